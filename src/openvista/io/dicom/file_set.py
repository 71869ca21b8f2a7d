"""Where DICOM files come from: a folder with all below it, a DICOMDIR, one file of a series, a zip."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom import dcmread

from openvista.errors import ScanError
from openvista.io.dicom.instances import UNREADABLE
from openvista.io.zipped import unpack

logger = logging.getLogger(__name__)

_DIRECTORY = "1.2.840.10008.1.3.10"  # Media Storage Directory Storage (PS3.4 annex I): the class of a DICOMDIR


def files_at(path: Path) -> list[Path]:
    """The files that may be DICOM: all below a folder, those that a DICOMDIR names, or one file.

    Hidden files and folders, such as those that macOS adds, are left out; so is a DICOMDIR inside a folder.

    Raises:
        ScanError: a folder cannot be listed; a DICOMDIR is damaged or names files that are not there.
    """
    if path.is_dir():
        return _files_below(path)
    if path.name.upper() == "DICOMDIR":
        return _files_of_directory(path)
    return [path]


def _files_below(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise ScanError(f"{error.filename}: cannot be listed: {error.strerror}; check its permissions") from error

    found = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not _ignored(name))
        found += [Path(place, name) for name in sorted(names) if not _ignored(name)]
    return [file for file in found if file.is_file()]


def _ignored(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "DICOMDIR")


def _files_of_directory(path: Path) -> list[Path]:
    """What a DICOMDIR's records name (PS3.3 F.3.2.2: Referenced File ID, a path in components)."""
    try:
        directory = dcmread(path)
        if directory.file_meta.MediaStorageSOPClassUID != _DIRECTORY:
            return [path]
        records = [record.get("ReferencedFileID") for record in directory.DirectoryRecordSequence]
    except UNREADABLE as error:
        raise ScanError(f"{path}: a damaged DICOMDIR ({type(error).__name__}); give the folder it lies in") from error
    named = [[record] if isinstance(record, str) else list(record) for record in records if record]
    found = [_below(path.parent, [str(part) for part in parts]) for parts in named]
    missing = sum(file is None for file in found)
    if missing == len(found):
        raise ScanError(f"{path}: none of the {len(found)} files that it names is there; copy the whole disc")
    if missing:
        logger.warning("%s: %d of the %d files that it names are not there", path, missing, len(found))
    return [file for file in found if file is not None]


def _below(folder: Path, parts: list[str]) -> Path | None:
    """The file, also where copying from a disc made its name lower case; ``None`` if it is not there."""
    if any(part in ("", ".", "..") or "/" in part or "\\" in part for part in parts):
        return None
    for spelled in (parts, [part.lower() for part in parts]):
        if (file := folder.joinpath(*spelled)).is_file():
            return file
    return None


@contextmanager
def unpacked(path: Path, max_bytes: int) -> Iterator[Path]:
    """A zip's files in a temporary folder, which goes at the end; every other path is itself.

    Raises:
        TooLargeError: too many files, or more than ``max_bytes``.
        ScanError: no readable zip.
    """
    if path.suffix.lower() != ".zip":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="openvista-") as folder:
        yield unpack(path, Path(folder), max_bytes)
