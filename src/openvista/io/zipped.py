"""What a zip of slices holds, in a folder; an archive is not believed what it says about itself."""

import zipfile
import zlib
from pathlib import Path

from openvista.errors import ScanError, TooLargeError
from openvista.io.paths import DICOM_SUFFIXES, image_suffix

_MOST_MEMBERS = 20_000
_DEFLATE_RATIO = 1032  # what deflate can reach at most (zlib technical notes)
_CHUNK = 1 << 20


def unpack(archive: Path, folder: Path, most_bytes: int) -> Path:
    """Write the files of a zip side by side into a folder, under names of our own, and stop when they grow too large.

    Bytes are counted while they come. Names give the ending only, so ``..``, absolute paths and links have nowhere to
    go; encrypted members are refused.

    Returns:
        The folder; or the only file in it.

    Raises:
        TooLargeError: too many members or bytes.
        ScanError: not a readable zip, or nothing in it.
    """
    written, files = 0, []
    try:
        with zipfile.ZipFile(archive) as content:
            members = [member for member in content.infolist() if _is_wanted(member)]
            if len(members) > _MOST_MEMBERS:
                raise TooLargeError(f"{archive}: the zip holds {len(members)} files; the most is {_MOST_MEMBERS}")
            for index, member in enumerate(members):
                target = folder / f"{index:05d}{_ending(member.filename)}"
                written += _unpack_one(archive, content, member, target, most_bytes - written)
                files.append(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ScanError(f"{archive}: not a readable zip: {error}") from error
    if not files:
        raise ScanError(f"{archive}: the zip holds no file")
    return files[0] if len(files) == 1 else folder


def _unpack_one(archive: Path, content: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int) -> int:
    count = 0
    with content.open(member) as source, target.open("wb") as file:
        while chunk := source.read(_CHUNK):
            count += len(chunk)
            if count > left or count > _DEFLATE_RATIO * max(member.compress_size, 1) + _CHUNK:
                raise TooLargeError(f"{archive}: the zip grows beyond what is taken")
            file.write(chunk)
    return count


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.replace("\\", "/").split("/")
    return not member.is_dir() and "__MACOSX" not in parts and not parts[-1].startswith(".")


def _ending(name: str) -> str:
    path = Path(name)
    known = path.suffix.lower() in ("", *DICOM_SUFFIXES) and path.name.upper() != "DICOMDIR"
    return image_suffix(path) or (".dcm" if known else ".other")
