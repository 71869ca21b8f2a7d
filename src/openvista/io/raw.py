"""What a file holds before it is a scan: stored numbers, their scaling, and where they lie.

Every format reader fills a ``RawImage``; the rules about what is acceptable as a CT or as a label map are here, once.
"""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.errors import GridError, ScanError
from openvista.geometry.grid import Grid
from openvista.scan import NiftiGeometry, ScanWarning

logger = logging.getLogger(__name__)

MAX_VOXELS = 2**31  # 2048 x 1024 x 1024: beyond any CT; a header that claims more is broken or hostile
MAX_AXIS = 32767  # what NIfTI-1 can name
MAX_DEFLATE_RATIO = 1032  # what deflate can reach at most (zlib technical notes)

_INT16 = np.iinfo(np.int16)
_LOWEST_HU = -4096  # no CT goes lower: 12 bits below zero; used to recognise int16 values stored as uint16


@dataclass(frozen=True)
class RawImage:
    """Stored values of an image file.

    Attributes:
        values: [X, Y, Z] in the file's voxel order, in any real dtype, native byte order.
        affine: voxel to RAS+ mm.
        slope: what a stored value is multiplied with, ...
        intercept: ... and what is added then.
        geometry: how a NIfTI header says where the voxels lie; ``None`` for other formats.
        warnings: what the header leaves unclear.
    """

    values: NDArray[Any]
    affine: NDArray[np.float64]
    slope: float = 1.0
    intercept: float = 0.0
    geometry: NiftiGeometry | None = None
    warnings: tuple[ScanWarning, ...] = ()


def check_header(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], max_voxels: int = MAX_VOXELS
) -> tuple[int, int, int]:
    """Refuse what cannot be a 3D image, before a single voxel is read.

    Args:
        path: for messages.
        shape: of the stored values.
        dtype: of the stored values.
        max_voxels: the most the caller takes.

    Returns:
        The shape as three lengths; one volume with further axes of length 1 counts as 3D (logged).

    Raises:
        ScanError: not three axes, an empty axis, colour or complex values, or absurdly many voxels.
    """
    if dtype.names or dtype.subdtype or dtype.kind not in "iuf":
        raise ScanError(f"{path}: holds {_kind_of(dtype)}, not CT values; export the scan as plain numbers in HU")
    if len(shape) < 3:
        raise ScanError(f"{path}: is {len(shape)}D, shape {shape}; give a 3D volume, not a single picture")
    if min(shape) < 1:
        raise ScanError(f"{path}: has an empty axis, shape {shape}; export the scan again")
    voxels, volumes = math.prod(shape), math.prod(shape[3:])
    if volumes != 1:
        raise ScanError(f"{path}: is {len(shape)}D with {volumes} volumes, shape {shape}; save one volume as a 3D file")
    if voxels > MAX_VOXELS or max(shape) > MAX_AXIS:
        raise ScanError(f"{path}: its header claims {voxels:.3g} voxels, shape {shape}; the header is broken")
    if voxels > max_voxels:
        raise ScanError(
            f"{path}: has {voxels} voxels, shape {shape}; at most {max_voxels} are taken: crop or resample it"
        )
    if len(shape) > 3:
        logger.warning("%s: is %dD with one volume; using it as 3D", path, len(shape))
    return shape[0], shape[1], shape[2]


def check_file_size(path: Path, needed: int, compressed: bool) -> None:
    """Refuse a header that claims more bytes than the file can hold, before memory is asked for.

    Raises:
        ScanError: the file is too short.
    """
    size = path.stat().st_size
    if size * (MAX_DEFLATE_RATIO if compressed else 1) < needed:
        raise ScanError(f"{path}: cut short: {size} bytes cannot hold the {needed} its header claims; copy it again")


def read_into(stream: Any, buffer: memoryview) -> int:
    """Fill a buffer from a stream; how many bytes came before its end."""
    count = 0
    while count < len(buffer):
        got = stream.readinto(buffer[count : count + (1 << 24)])
        if not got:
            break
        count += got
    return count


def make_grid(path: Path, shape: tuple[int, ...], affine: NDArray[np.float64]) -> Grid:
    """A grid, with the file named when its affine is unusable.

    Raises:
        ScanError: the affine cannot be inverted, is not finite, or makes the image larger than any patient.
    """
    try:
        grid = Grid((shape[0], shape[1], shape[2]), affine)
        grid.refuse_extent()
        return grid
    except GridError as error:
        raise ScanError(f"{path}: {error}") from error


def to_hu(path: Path, raw: RawImage) -> tuple[NDArray[Any], tuple[ScanWarning, ...]]:
    """Stored values to HU: int16 where the file holds unscaled integers that fit, float32 otherwise.

    Returns:
        The HU, and what header and values leave unclear.

    Raises:
        ScanError: NaN or infinite values.
    """
    values, warnings = raw.values, raw.warnings
    scaled = (raw.slope, raw.intercept) != (1.0, 0.0)
    if values.dtype == np.uint16:
        values, wrapped = _undo_wrap(values)
        warnings += wrapped
    if not scaled and values.dtype.kind in "iu" and _fits_int16(values):
        return values.astype(np.int16, copy=False), warnings
    with np.errstate(over="ignore", invalid="ignore"):
        hu = values.astype(np.float32)
        if scaled:
            hu *= np.float32(raw.slope)
            hu += np.float32(raw.intercept)
    check_finite(path, hu)
    return hu, warnings


def to_labels(path: Path, raw: RawImage) -> NDArray[np.unsignedinteger]:
    """Stored values to a label map: uint8 when the highest id is at most 255, else uint16.

    Raises:
        ScanError: values that are no whole numbers 0..65535.
    """
    values = raw.values
    if (raw.slope, raw.intercept) != (1.0, 0.0):
        values = values * np.float64(raw.slope) + np.float64(raw.intercept)
    if values.dtype.kind == "f":
        check_finite(path, values)
        if not np.array_equal(values, np.rint(values)):
            raise ScanError(f"{path}: not a label map: it holds fractions; give the map of whole numbers")
    low, high = values.min(), values.max()
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise ScanError(f"{path}: not a label map: values {low:g} to {high:g}; ids lie between 0 and 65535")
    return values.astype(np.uint8 if high <= 255 else np.uint16, copy=False)


def check_finite(path: Path, values: NDArray[Any]) -> None:
    """Refuse NaN and infinity.

    Raises:
        ScanError: with the number of such voxels.
    """
    # minimum and maximum carry NaN and infinity along and need no mask of the volume's size
    if np.isfinite(values.min()) and np.isfinite(values.max()):
        return
    nan, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    raise ScanError(f"{path}: {nan} voxels are NaN and {infinite} infinite; replace them, for air by -1000")


def _fits_int16(values: NDArray[Any]) -> bool:
    if np.can_cast(values.dtype, np.int16):
        return True
    return bool(values.min() >= _INT16.min and values.max() <= _INT16.max)


def _undo_wrap(values: NDArray[Any]) -> tuple[NDArray[Any], tuple[ScanWarning, ...]]:
    """HU below zero that were stored as uint16 come back as 65536 + HU; give them their sign again."""
    if values.max() <= _INT16.max:
        return values, ()
    high = values[values > _INT16.max]
    if high.min() < 65536 + _LOWEST_HU:
        return values, ()
    message = f"uint16 values above {high.min() - 1} are negative HU that wrapped; read as int16"
    return values.view(np.int16), (ScanWarning("values-wrapped", message),)


def _kind_of(dtype: np.dtype[Any]) -> str:
    if dtype.names or dtype.subdtype:
        return "colours (RGB)"
    return "complex numbers" if dtype.kind == "c" else f"values of type {dtype}"
