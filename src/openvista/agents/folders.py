"""The folders whose files may be read and written, and no others."""

from dataclasses import dataclass
from pathlib import Path

from openvista.errors import InputError, OutputError, ServiceError
from openvista.serve.paths import confined
from openvista.serve.sandbox_child import refuse_pointers


@dataclass(frozen=True)
class Folders:
    """What an agent may touch.

    Attributes:
        roots: folders that exist, as real paths.
    """

    roots: tuple[Path, ...]

    @classmethod
    def of(cls, given: list[Path]) -> "Folders":
        """The folders a user named.

        Raises:
            InputError: none, or one that is no folder.
        """
        if not given:
            raise InputError("no folder may be used: give --root FOLDER, whose scans may be read and results written")
        for folder in given:
            if not folder.is_dir():
                raise InputError(f"--root {folder}: there is no such folder")
        return cls(tuple(folder.resolve() for folder in given))

    def existing(self, given: str) -> Path:
        """The real file or folder of a path, relative to a root or absolute, links followed first.

        Raises:
            ServiceError: it is neither there nor allowed, or a header whose voxels are in another file.
        """
        try:
            found = confined(given, self.roots)
        except ServiceError:
            raise ServiceError(f"{given[:200]}: no such file or folder in {self}", status=404) from None
        refuse_pointers(found)
        return found

    def target(self, given: str, overwrite: bool) -> Path:
        """The real path of a file that is to be written: its folder is there, and inside of a root.

        Raises:
            OutputError: it is not, or the file exists and may not be written over.
        """
        name = Path(given).name
        for root in self.roots:
            try:
                folder = (root / given).parent.resolve(strict=True)
            except (OSError, ValueError, RuntimeError):  # not there, NUL in the name, a loop of links
                continue
            if folder.is_dir() and any(folder.is_relative_to(one) for one in self.roots):
                path = folder / name
                if path.is_symlink() or path.is_dir() or (path.exists() and not overwrite):
                    raise OutputError(f"{given[:200]}: exists; give another name, or overwrite a file with overwrite")
                return path
        raise OutputError(f"{given[:200]}: its folder does not exist in {self}; give a file in a folder that does")

    def __str__(self) -> str:
        return "the allowed folders: " + ", ".join(map(str, self.roots))
