"""Where scans of a cohort come from and results go: folders, and buckets through fsspec."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from openvista.errors import InputError, OpenVistaError, first_line, needs_extra
from openvista.io.atomic import make_folder
from openvista.pacs.dicomweb import DicomWeb, is_address, parse_address
from openvista.weights.card import sha256_of


def is_remote(uri: str) -> bool:
    """Whether an address is beyond the file system: ``s3://...``, not ``file://...``."""
    scheme, found, _ = uri.partition("://")
    return bool(found) and scheme not in ("file", "local")


def local_path(uri: str) -> Path:
    """The path of an address on the file system."""
    return Path(uri.removeprefix("file://").removeprefix("local://"))


def file_system(uri: str) -> tuple[Any, str]:
    """fsspec's file system of a remote address, and the path in it.

    Raises:
        MissingExtraError: its driver is not installed.
        InputError: there is no such kind of address.
    """
    scheme = uri.partition("://")[0]
    with needs_extra(f"the fsspec driver of {scheme}://", "cloud", f"reach {scheme}://"):
        from fsspec.core import url_to_fs

        try:
            found, path = url_to_fs(uri)
        except ValueError as error:
            raise InputError(f"{uri}: {first_line(error)}; use a path, s3:// or gs://") from None
    return found, path


@contextmanager
def reaching(uri: str) -> Iterator[None]:
    """Around work with a bucket before any scan is begun: what its library says becomes one line.

    Raises:
        InputError: it cannot be reached, or not with these credentials.
    """
    try:
        yield
    except OpenVistaError:
        raise
    except Exception as error:  # noqa: BLE001 (every bucket's library has its own)
        said = f"{type(error).__name__}: {first_line(error)}"
        raise InputError(
            f"{uri}: cannot be reached ({said}); check the address, the network and the credentials"
        ) from None


def full_uri(system: Any, path: str) -> str:
    """The address of a path in a file system."""
    return str(system.unstrip_protocol(path))


@contextmanager
def fetched(uri: str, series: str | None = None) -> Iterator[Path]:
    """A scan on this machine's disk; what had to be fetched, from a bucket or a PACS, is gone after the block."""
    if not is_remote(uri):
        yield local_path(uri)
        return
    if is_address(uri):
        with tempfile.TemporaryDirectory(prefix="openvista-") as folder:
            address = parse_address(uri)
            archive = DicomWeb(address.base)
            found = archive.choose(address, series)
            target = Path(folder, found.uid)
            target.mkdir()
            archive.fetch(found, target)
            yield target
        return
    system, path = file_system(uri)
    with tempfile.TemporaryDirectory(prefix="openvista-") as folder:
        target = Path(folder) / Path(path).name
        if system.isdir(path):
            system.get(path.rstrip("/") + "/", f"{target}/", recursive=True)
        else:
            system.get_file(path, str(target))
        yield target


class Place:
    """The folder or bucket that results go to. Names are relative, with "/" between folders.

    Args:
        root: path or address.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.is_remote = is_remote(root)

    @contextmanager
    def folder_for(self, name: str) -> Iterator[Path]:
        """A local folder to write files beside ``name`` to. In a bucket they appear when the block has succeeded.

        Raises:
            OutputError: it cannot be made.
        """
        if not self.is_remote:
            folder = (local_path(self.root) / name).parent
            make_folder(folder)
            yield folder
            return
        with tempfile.TemporaryDirectory(prefix="openvista-") as scratch:
            yield Path(scratch)
            for file in sorted(file for file in Path(scratch).rglob("*") if file.is_file()):
                self.put(file, str(PurePosixPath(name).parent / file.relative_to(scratch).as_posix()))

    def put(self, file: Path, name: str) -> None:
        """Store a file whole: an upload is there or is not."""
        system, path = file_system(self._uri(name))
        if "/" in name:
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
        system.put_file(str(file), path)

    def size(self, name: str) -> int | None:
        """Bytes of a file; ``None`` where there is none. A bucket is listed once."""
        if self.is_remote:
            return self._sizes.get(name)
        try:
            return (local_path(self.root) / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    @cached_property
    def _sizes(self) -> dict[str, int]:
        with reaching(self.root):
            system, path = file_system(self.root)
            found = system.find(path, detail=True)
        return {name.removeprefix(path).lstrip("/"): int(info["size"]) for name, info in found.items()}

    def get(self, name: str, file: Path) -> bool:
        """Fetch a file, if it is there."""
        if self.size(name) is None:
            return False
        with fetched(self._uri(name)) as copy:
            shutil.copyfile(copy, file)
        return True

    def sha256(self, name: str) -> str | None:
        """SHA-256 of a file; ``None`` where there is none."""
        try:
            with fetched(self._uri(name)) as file:
                return sha256_of(file)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _uri(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"
