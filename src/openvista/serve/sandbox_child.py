"""Reads untrusted files, each in a process of its own: ``python -m openvista.serve.sandbox_child``.

One request per line on standard input. For each we fork, and the child reads the file: whatever a hostile file does to
a decoder, it does it there, with bounded memory, time, open files and output, without the server's token, and without
other people's scans in memory. What comes out is an array without pickles, and JSON. Forking from a process that has
the readers loaded already makes this cost a hundredth of a second.
"""

import contextlib
import errno
import json
import os
import re
import sys
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openvista.errors import InputError, MissingSlicesError, ServiceError, SeveralSeriesError, TooLargeError
from openvista.io.atomic import FULL_DISK
from openvista.io.paths import image_suffix
from openvista.io.zipped import unpack

if TYPE_CHECKING:
    from openvista.scan import Scan

VOXELS_FILE = "voxels.npy"
SLICES_FILE = "slices.json"
ANSWER_FILE = "answer.json"
SESSION_FILE = "session.ovsession"
DETACHED = (".nhdr", ".mhd")
"""Endings of headers whose voxels are in another file."""
_PACKED = ("packed-scan", "packed-mask")
_CHUNK = 1 << 20
_OPEN_FILES = 256
_HEADER_BYTES = 1 << 20  # a label map with names for 132 classes has 50 kB
_NRRD_DATA = re.compile(rb"^\s*data\s*file\s*:", re.IGNORECASE | re.MULTILINE)
_METAIMAGE_DATA = re.compile(rb"^\s*ElementDataFile\s*=\s*(\S*)", re.IGNORECASE | re.MULTILINE)


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
        kind: ``"scan"``, ``"labels"`` (a label map), ``"session"`` (a session file); ``"packed-scan"`` and
            ``"packed-mask"`` (arrays of nnInteractive's protocol).
        scan_grid: shape and affine of the scan that labels belong to, or that a packed array is.
        series, fill_gaps: of DICOM scans, see :func:`openvista.io.read_scan`.
    """

    source: str
    output: str
    scratch: str
    voxels: int
    unpacked_bytes: int
    memory_bytes: int
    cpu_seconds: int
    kind: str = "scan"
    series: str | None = None
    fill_gaps: bool = False
    scan_grid: tuple[list[int], list[list[float]]] | None = None


def main() -> int:
    """Answer requests until standard input ends: a line with the exit status of the process that read the file."""
    if hasattr(os, "fork"):
        with contextlib.suppress(ImportError):  # an extra; loaded once instead of for every file
            import openvista.io.dicom.read  # noqa: F401
    for line in sys.stdin:
        request = ParseRequest(**json.loads(line))
        if request.kind in _PACKED:
            with contextlib.suppress(ImportError):  # an extra; half a second, once instead of for every mask
                import blosc2  # noqa: F401
        status = _in_child(request) if hasattr(os, "fork") else _answer(request)
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()
        if not hasattr(os, "fork"):
            return 0  # a process that has read one untrusted file reads no other
    return 0


def _in_child(request: ParseRequest) -> int:
    """Exit status of a child that answers the request; negative for the signal that ended it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = _answer(request)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _answer(request: ParseRequest) -> int:
    """Bound ourselves, read the file, leave an answer in the output folder."""
    _bound(request)
    try:
        answer: dict[str, Any] = {"facts": _parse(request)}
    except ServiceError as error:
        answer = {"status": error.status, "code": error.code, "problem": str(error)}
    except SeveralSeriesError as error:
        answer = {"status": 422, "code": "several-series", "problem": str(error), "choices": error.choices}
    except MissingSlicesError as error:
        problem = f"{error.found}; send the whole series, or ask for them to be interpolated (fill_gaps)"
        answer = {"status": 422, "code": "missing-slices", "problem": problem}
    except TooLargeError as error:
        answer = {"status": 413, "code": "too-large", "problem": str(error)}
    except (InputError, OSError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        number = cause.errno if isinstance(cause, OSError) else None
        if number in FULL_DISK:
            answer = {"status": 507, "code": "disk-full", "problem": "the server's disk is full"}
        elif number == errno.EFBIG or isinstance(error, OSError):
            answer = {"status": 413, "code": "too-large", "problem": "the file grows beyond what this server takes"}
        else:
            answer = {"status": 422, "code": "scan", "problem": str(error)}
    except MemoryError:
        answer = {"status": 413, "code": "too-large", "problem": "the scan needs more memory than this server gives it"}
    Path(request.output, ANSWER_FILE).write_text(json.dumps(answer), encoding="utf-8")
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
    if request.kind == "session":
        return _session(source, request)
    if request.kind in _PACKED:
        return _packed(source, request)
    if source.is_file() and source.suffix.lower() == ".zip":
        source = unpack(source, Path(request.scratch), request.unpacked_bytes)
    refuse_pointers(source)
    return _labels(source, request) if request.kind == "labels" else _scan(source, request)


def refuse_pointers(path: Path) -> None:
    """NRRD and MetaImage headers can name another file for their voxels, any file of ours: refuse those that do.

    Args:
        path: a file, or a folder with files.

    Raises:
        ServiceError: 422, one does, or is not what its ending says.
    """
    for file in path.iterdir() if path.is_dir() else [path]:
        _refuse_pointer(file)


def _refuse_pointer(path: Path) -> None:
    ending = image_suffix(path)
    if ending in DETACHED:
        raise _pointer()
    if ending.endswith((".nrrd", ".mha")):
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
        if ending == ".mha":
            homes = _METAIMAGE_DATA.findall(head)
            if not homes or any(home.upper() != b"LOCAL" for home in homes):
                raise _pointer()
        elif not head.startswith(b"NRRD") or _NRRD_DATA.search(head):
            raise _pointer()


def _pointer() -> ServiceError:
    return ServiceError(
        "the image's voxels must be in the same file as its header: send one .nii.gz, .nrrd or .mha", code="scan"
    )


def _scan(source: Path, request: ParseRequest) -> dict[str, Any]:
    from openvista.io import read_scan

    return _keep_scan(
        read_scan(source, series=request.series, fill_gaps=request.fill_gaps, max_voxels=request.voxels), request
    )


def _keep_scan(scan: "Scan", request: ParseRequest) -> dict[str, Any]:
    import numpy as np

    from openvista.io import check_scan

    low, high = float(scan.voxels.min()), float(scan.voxels.max())
    np.save(Path(request.output, VOXELS_FILE), np.asfortranarray(scan.voxels), allow_pickle=False)
    geometry = None
    if scan.geometry is not None:
        geometry = {key: [value.dtype.str, value.tolist()] for key, value in scan.geometry.items()}
    number = None
    if scan.dicom is not None:
        from openvista.io.dicom.kept import write_slices

        write_slices(Path(request.output, SLICES_FILE), scan.dicom)
        number = scan.dicom.headers[0].get("SeriesNumber")
    return {
        "name": "series" if number is None else f"series-{number}",
        "affine": scan.grid.affine.tolist(),
        "geometry": geometry,
        "hu_range": [low, high],
        "warnings": [asdict(warning) for warning in check_scan(scan)],
    }


def _labels(source: Path, request: ParseRequest) -> dict[str, Any]:
    import numpy as np

    from openvista.geometry.grid import Grid, triple
    from openvista.io import read_segmentation

    shape, affine = request.scan_grid or (None, None)
    scan_grid = None if shape is None else Grid(triple(shape), np.array(affine))
    found = read_segmentation(source, scan_grid=scan_grid, max_voxels=request.voxels)
    np.save(Path(request.output, VOXELS_FILE), np.asfortranarray(found.labels), allow_pickle=False)
    return {"affine": found.grid.affine.tolist(), "names": found.names}


def _session(source: Path, request: ParseRequest) -> dict[str, Any]:
    """Read a session file and write what was understood anew, so that only our own files are opened outside of here."""
    from openvista.io.session_file import read_session, write_session

    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(source) as content:
        if sum(member.file_size for member in content.infolist()) > request.unpacked_bytes:
            raise _bomb("the session file grows beyond what this server takes")
    contents = read_session(source)
    if any(array.dtype.kind not in "biuf" for array in contents.arrays.values()):
        raise ServiceError("the session file holds arrays that are no numbers", code="session")
    write_session(contents, Path(request.output, SESSION_FILE))
    return {}


def _packed(source: Path, request: ParseRequest) -> dict[str, Any]:
    import numpy as np

    from openvista.io.raw import RawImage, make_grid, to_hu
    from openvista.scan import Scan
    from openvista.serve.nninteractive.packed import unpack

    values = unpack(source, request.voxels)
    if request.kind == "packed-mask":
        np.save(Path(request.output, VOXELS_FILE), values != 0, allow_pickle=False)
        return {}
    affine = np.array(request.scan_grid[1] if request.scan_grid else np.eye(4))
    voxels, warnings = to_hu(source, RawImage(values.reshape(values.shape[-3:]), affine))
    return _keep_scan(Scan(voxels, make_grid(source, voxels.shape, affine), "image", warnings=warnings), request)


def _bomb(message: str) -> ServiceError:
    return ServiceError(message, status=413, code="too-large")


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
