"""Reading one damaged file as the product does, and whether what comes out is what another reader sees."""

import io
import logging
import math
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pydicom
import torch
from numpy.typing import NDArray
from pydicom.pixels import pixel_array
from pydicom.uid import RLELossless
from seeds import session_scan

from openvista.cvpr.case_file import read_case_file
from openvista.datalist import read_datalist
from openvista.errors import InputError
from openvista.io import check_scan, read_scan, read_segmentation
from openvista.io.session_file import read_log
from openvista.prepare import affordable_grid
from openvista.scan import Scan
from openvista.session.replay import replay
from openvista.train.recipe_file import read_recipe
from openvista.weights.card import read_card
from openvista.weights.files import read_file
from small_sessions import two_branches_model

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MM = {1: 1000.0, 3: 0.001}
_TYPES = {"CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4", "LONG": "i4",
          "ULONG": "u4", "LONG_LONG": "i8", "ULONG_LONG": "u8", "FLOAT": "f4", "DOUBLE": "f8"}  # fmt: skip

Image = tuple[NDArray[Any], NDArray[np.float64]]


def judge(kind: str, path: Path) -> tuple[str, str]:
    """``("right" | "refused" | "wrong grid", why)``; any other exception is a traceback, and the caller's to count."""
    try:
        return _READERS[kind](path)
    except InputError as error:
        if "\n" in str(error) or not str(error).strip():
            raise ValueError(f"a refusal of {len(str(error).splitlines())} lines: {error}") from error
        return "refused", f"{type(error).__name__}: {error}"


# --- images -------------------------------------------------------------------------------------------------------


def _image(reader: Callable[[Path], Image]) -> Callable[[Path], tuple[str, str]]:
    def read(path: Path) -> tuple[str, str]:
        heard = io.StringIO()
        handler = logging.StreamHandler(heard)
        handler.setLevel(logging.WARNING)
        logging.getLogger("openvista").handlers = [handler]
        if "labels" in path.name:
            read_segmentation(path)
        scan = read_scan(path)
        check_scan(scan)
        affordable_grid(scan.grid, (1.5, 1.5, 1.5), scan.name, torch.device("cpu"))
        warned = scan.warnings or heard.getvalue()
        return ("right", "with a warning") if warned else _compare(scan, reader, path)

    return read


def _compare(scan: Scan, reader: Callable[[Path], Image], path: Path) -> tuple[str, str]:
    try:
        with np.errstate(all="ignore"):
            values, affine = reader(path)
    except zlib.error as error:
        return "wrong grid", f"voxels that cannot be unpacked: {error}"
    except Exception as error:  # noqa: BLE001 - whatever the other reader raises, it has no opinion
        return "right", f"no other opinion: {type(error).__name__}"
    values = values.reshape(scan.voxels.shape)
    if not np.allclose(scan.grid.affine, affine, rtol=1e-4, atol=1e-3):
        return "wrong grid", f"{scan.grid.affine.round(3).tolist()} against {np.round(affine, 3).tolist()}"
    if not np.allclose(scan.voxels, values.astype(np.float32), rtol=1e-4, atol=1e-2, equal_nan=True):
        return "wrong grid", "other voxels"
    return "right", ""


def _by_nibabel(path: Path) -> Image:
    image = nib.load(path)
    affine = np.array(image.affine)
    affine[:3] *= _MM.get(int(image.header["xyzt_units"]) & 7, 1.0)
    return image.get_fdata(), affine


def _by_pynrrd(path: Path) -> Image:
    import nrrd

    values, header = nrrd.read(str(path))
    affine = np.eye(4)
    if header.get("space directions") is not None:
        affine[:3, :3] = np.array(header["space directions"], dtype=float).T
    elif header.get("spacings") is not None:
        affine[:3, :3] = np.diag(header["spacings"])
    if header.get("space origin") is not None:
        affine[:3, 3] = header["space origin"]
    signs = {"right-anterior-superior": (1, 1, 1), "left-anterior-superior": (-1, 1, 1)}
    flip = signs.get(header.get("space", "").lower(), (-1, -1, 1))
    return values, np.diag([*flip, 1.0]) @ affine


def _by_metaimage(path: Path) -> Image:
    """By the document of the format alone: https://itk.org/Wiki/MetaIO/Documentation."""
    content = path.read_bytes()
    head, _, data = content.partition(b"ElementDataFile = LOCAL\n")
    fields = dict(re.findall(r"^\s*(\w+)\s*=\s*(.*?)\s*$", head.decode("latin-1"), re.MULTILINE))
    numbers = {key: [float(part) for part in fields[key].split()] for key in ("DimSize", "Offset", "TransformMatrix")}
    shape = [int(n) for n in numbers["DimSize"]]
    dtype = np.dtype(_TYPES[fields["ElementType"].removeprefix("MET_")])
    msb = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False"))
    dtype = dtype.newbyteorder(">" if msb[0] in "Tt1" else "<")
    if int(fields.get("HeaderSize", 0)) > 0:
        data = content[int(fields["HeaderSize"]) :]
    if fields.get("CompressedData", "False")[0] in "Tt1":
        data = zlib.decompress(data[: int(fields["CompressedDataSize"])] if "CompressedDataSize" in fields else data)
    values = np.frombuffer(data[: math.prod(shape) * dtype.itemsize], dtype).reshape(shape, order="F")
    affine = np.eye(4)
    spacing = [float(part) for part in fields.get("ElementSpacing", fields.get("ElementSize", "1 1 1")).split()]
    affine[:3, :3] = np.array(numbers["TransformMatrix"]).reshape(3, 3).T * spacing
    affine[:3, 3] = numbers["Offset"]
    return values, _LPS @ affine


def _by_pydicom(path: Path) -> Image:
    """By what each image says of itself, DICOM PS3.3 C.7.6.2: every image of the largest series, along its normal."""
    series: dict[str, list[Plane]] = defaultdict(list)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            streams = [io.BytesIO(archive.read(name)) for name in archive.namelist() if not name.endswith("/")]
    else:
        streams = [io.BytesIO(path.read_bytes())]
    for stream in streams:
        whole = pydicom.dcmread(stream)
        series[str(whole.SeriesInstanceUID)] += _planes(whole)
    planes = max(series.values(), key=len)
    row, column = np.reshape(planes[0].orientation, (2, 3))
    normal = np.cross(row, column)
    planes = list({round(float(plane.position @ normal), 3): plane for plane in planes}.values())
    planes.sort(key=lambda plane: plane.position @ normal)
    steps = np.diff([plane.position for plane in planes], axis=0)
    if np.ptp(steps, axis=0).max(initial=0) > 0.1 * np.abs(steps).max(initial=1) or not (planes[0].spacing > 0).all():
        raise ValueError("images that lie on no grid: how they are put onto one is not compared")
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * planes[0].spacing[1], column * planes[0].spacing[0]
    affine[:3, 2] = (planes[-1].position - planes[0].position) / max(len(planes) - 1, 1)
    affine[:3, 3] = planes[0].position
    return np.stack([plane.hu for plane in planes]).T, _LPS @ affine


class Plane(NamedTuple):
    """One image: where its first pixel lies (LPS+ mm), its cosines, mm from row to row and pixel to pixel, HU."""

    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing: NDArray[np.float64]
    hu: NDArray[np.float64]


def _planes(whole: pydicom.Dataset) -> list[Plane]:
    # pydicom's own decoder of RLE: the quicker one, in Rust, panics on damage
    plugin = "pydicom" if whole.file_meta.TransferSyntaxUID == RLELossless else ""
    stored = pixel_array(whole, decoding_plugin=plugin)
    if "PerFrameFunctionalGroupsSequence" not in whole:
        return [_plane(whole, whole, whole, whole, stored)]
    shared = whole.SharedFunctionalGroupsSequence[0]
    names = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
    names += ("PixelValueTransformationSequence",)
    frames = whole.PerFrameFunctionalGroupsSequence
    return [
        _plane(*((frame if name in frame else shared)[name][0] for name in names), image)
        for frame, image in zip(frames, np.atleast_3d(stored), strict=True)
    ]


def _plane(
    position: pydicom.Dataset,
    orientation: pydicom.Dataset,
    measures: pydicom.Dataset,
    rescale: pydicom.Dataset,
    pixels: NDArray[Any],
) -> Plane:
    return Plane(
        np.array(position.ImagePositionPatient, dtype=float),
        np.array(orientation.ImageOrientationPatient, dtype=float),
        np.array(measures.PixelSpacing, dtype=float),
        pixels * float(rescale.RescaleSlope) + float(rescale.RescaleIntercept),
    )


# --- everything else ----------------------------------------------------------------------------------------------


def _session(path: Path) -> tuple[str, str]:
    session = two_branches_model().open(session_scan(), path)
    session.segmentation()
    session.undo()
    session.segmentation()
    return "right", ""


def _log(path: Path) -> tuple[str, str]:
    events = read_log(path)
    if len(events) > 50:
        return "right", "a long log"
    replay(two_branches_model().open(session_scan()), events)
    return "right", ""


def _plainly(read: Callable[[Path], object]) -> Callable[[Path], tuple[str, str]]:
    def reading(path: Path) -> tuple[str, str]:
        read(path)
        return "right", ""

    return reading


_READERS: dict[str, Callable[[Path], tuple[str, str]]] = {
    "nifti": _image(_by_nibabel),
    "nrrd": _image(_by_pynrrd),
    "mha": _image(_by_metaimage),
    "dicom": _image(_by_pydicom),
    "npz": _plainly(read_case_file),
    "list": _plainly(lambda path: read_datalist(path, must_exist=False)),
    "recipe": _plainly(read_recipe),
    "card": _plainly(read_card),
    "checkpoint": _plainly(read_file),
    "session": _session,
    "log": _log,
}
