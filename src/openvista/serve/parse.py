"""Reads one stranger's file, in a process of its own: ``python -m openvista.serve.parse``, a request on standard input.

Whatever a hostile file does to a decoder, it does it here: with bounded memory, time, open files and output, without
the server's token, and without other people's scans in memory. What comes out is an array without pickles and JSON.
"""

import contextlib
import json
import os
import sys
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from openvista.errors import InputError, ServiceError

VOXELS_FILE = "voxels.npy"
FACTS_FILE = "scan.json"
_MOST_MEMBERS = 20_000
_DEFLATE_RATIO = 1032
_CHUNK = 1 << 20
_OPEN_FILES = 256


@dataclass(frozen=True)
class ParseRequest:
    """What to read and how far to go.

    Attributes:
        source: a file, or a folder of slices.
        output: existing empty folder for the array and the facts.
        scratch: existing empty folder for what a zip holds.
        voxels: most voxels of the scan.
        unpacked_bytes: most bytes a zip may grow to.
        memory_bytes: address space.
        cpu_seconds: processor time.
        labels: the file is a label map, not a scan.
    """

    source: str
    output: str
    scratch: str
    voxels: int
    unpacked_bytes: int
    memory_bytes: int
    cpu_seconds: int
    labels: bool = False


def main() -> int:
    """Read the request, bound ourselves, read the file, answer on standard output with one line of JSON."""
    request = ParseRequest(**json.load(sys.stdin))
    _bound(request)
    try:
        answer: dict[str, Any] = {"facts": _parse(request)}
    except ServiceError as error:
        answer = {"status": error.status, "code": error.code, "problem": str(error)}
    except InputError as error:
        answer = {"status": 422, "code": "scan", "problem": str(error)}
    except MemoryError:
        answer = {"status": 413, "code": "too-large", "problem": "the scan needs more memory than this server gives it"}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def _bound(request: ParseRequest) -> None:
    """Limits that the system enforces; on systems that have none the parent's time limit remains."""
    try:
        import resource
    except ImportError:
        return
    wanted = {
        resource.RLIMIT_AS: request.memory_bytes,
        resource.RLIMIT_CPU: request.cpu_seconds,
        resource.RLIMIT_FSIZE: max(request.unpacked_bytes, 8 * request.voxels + _CHUNK),
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in wanted.items():
        hard = resource.getrlimit(limit)[1]
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some of them
            resource.setrlimit(limit, (ceiling, ceiling))


def _parse(request: ParseRequest) -> dict[str, Any]:
    source = Path(request.source)
    if source.is_file() and source.suffix.lower() == ".zip":
        source = unpack(source, Path(request.scratch), request.unpacked_bytes)
    return _labels(source, request) if request.labels else _scan(source, request)


def _scan(source: Path, request: ParseRequest) -> dict[str, Any]:
    import numpy as np

    from openvista.io import check_scan, read_scan

    scan = read_scan(source, max_voxels=request.voxels)
    low, high = float(scan.voxels.min()), float(scan.voxels.max())
    np.save(Path(request.output, VOXELS_FILE), np.asfortranarray(scan.voxels), allow_pickle=False)
    geometry = None
    if scan.geometry is not None:
        geometry = {
            key: [np.asarray(value).dtype.str, np.asarray(value).tolist()] for key, value in scan.geometry.items()
        }
    return {
        "affine": scan.grid.affine.tolist(),
        "geometry": geometry,
        "hu_range": [low, high],
        "warnings": [asdict(warning) for warning in check_scan(scan)],
    }


def _labels(source: Path, request: ParseRequest) -> dict[str, Any]:
    import numpy as np

    from openvista.io import read_labels

    labels, grid = read_labels(source, max_voxels=request.voxels)
    np.save(Path(request.output, VOXELS_FILE), np.asfortranarray(labels), allow_pickle=False)
    return {"affine": grid.affine.tolist()}


def unpack(archive: Path, folder: Path, most_bytes: int) -> Path:
    """Write the files of a zip side by side into a folder, under names of our own, and stop when they grow too large.

    What an archive says about itself is not believed: bytes are counted while they come. Names give the ending only, so
    ``..``, absolute paths and links have nowhere to go; encrypted members are refused.

    Returns:
        The folder; or the only file in it.

    Raises:
        ServiceError: 413 too many members or bytes; 422 not a readable zip, or nothing in it.
    """
    written, files = 0, []
    try:
        with zipfile.ZipFile(archive) as content:
            members = [member for member in content.infolist() if _is_wanted(member)]
            if len(members) > _MOST_MEMBERS:
                raise _bomb(f"the zip holds {len(members)} files; the most is {_MOST_MEMBERS}")
            for index, member in enumerate(members):
                target = folder / f"{index:05d}{_ending(member.filename)}"
                written += _unpack_one(content, member, target, most_bytes - written)
                files.append(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ServiceError(f"not a readable zip: {error}", status=422, code="scan") from None
    if not files:
        raise ServiceError("the zip holds no file", status=422, code="scan")
    return files[0] if len(files) == 1 else folder


def _unpack_one(content: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int) -> int:
    count = 0
    with content.open(member) as source, target.open("wb") as file:
        while chunk := source.read(_CHUNK):
            count += len(chunk)
            if count > left or count > _DEFLATE_RATIO * max(member.compress_size, 1) + _CHUNK:
                raise _bomb("the zip grows beyond what this server takes")
            file.write(chunk)
    return count


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.replace("\\", "/").split("/")
    return not member.is_dir() and "__MACOSX" not in parts and not parts[-1].startswith(".")


def _ending(name: str) -> str:
    from openvista.io.paths import image_suffix

    return image_suffix(Path(name)) or (".zip.inner" if name.lower().endswith(".zip") else ".dcm")


def _bomb(message: str) -> ServiceError:
    return ServiceError(message, status=413, code="too-large")


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
