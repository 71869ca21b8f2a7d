"""Paths that a client names, confined to the folders that the operator allowed."""

import os
from collections.abc import Sequence
from pathlib import Path

from openvista.errors import ServiceError
from openvista.io.paths import image_suffix
from openvista.io.session_file import SESSION_SUFFIX

_MOST_FILES = 20_000


def confined(given: str, roots: Sequence[Path]) -> Path:
    """The real file or folder that a given path means, if it lies in one of the roots.

    Relative paths are tried under each root. Links are followed first and judged by where they lead. A folder is taken
    only if everything in it lies inside as well; a file that may be of a DICOM series, only if the files that may be
    read with it do. The answer is the same for what does not exist and what is forbidden.

    Raises:
        ServiceError: 404, it is neither there nor allowed; 403, no root was allowed at all.
    """
    if not roots:
        raise ServiceError("this server takes no paths; it was started without --root", status=403, code="paths-off")
    real_roots = [root.resolve() for root in roots]
    for root in real_roots:
        found = _resolve(root, given)
        if found is not None and _inside(found, real_roots) and _wholly_inside(found, real_roots):
            return found
    raise ServiceError("no such file or folder under the allowed folders", status=404, code="not-found")


def _resolve(root: Path, given: str) -> Path | None:
    try:
        return (root / given).resolve(strict=True)  # an absolute path replaces the root, and is judged like any other
    except (OSError, ValueError, RuntimeError):  # not there, NUL in the name, a loop of links
        return None


def _inside(path: Path, roots: Sequence[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def _wholly_inside(path: Path, roots: Sequence[Path]) -> bool:
    """No link leads out, neither below a folder nor among the files of a series; pipes and devices are no scans."""
    if path.is_dir():
        return _no_link_leads_out(path, roots, below=True)
    if not path.is_file():
        return False
    if image_suffix(path) or path.suffix.lower() in (".zip", SESSION_SUFFIX):
        return True
    return _no_link_leads_out(path.parent, roots, below=path.name.upper() == "DICOMDIR")


def _no_link_leads_out(path: Path, roots: Sequence[Path], below: bool) -> bool:
    """Of the files in a folder, or with ``below`` of all that is below it. False also for too many files."""
    count = 0
    for folder, folders, files in os.walk(path, followlinks=False):
        for name in (*folders, *files) if below else files:
            count += 1
            item = Path(folder, name)
            if count > _MOST_FILES or (item.is_symlink() and not _inside(item.resolve(), roots)):
                return False
        if not below:
            break
    return True


def safe_name(given: str, fallback: str = "scan") -> str:
    """A client's file name, made harmless: no folders, no control characters, at most 120 letters, never empty."""
    base = given.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(letter for letter in base if letter.isprintable()).strip(" .")
    return kept[:120] or fallback
