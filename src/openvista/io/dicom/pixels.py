"""Stored pixels to Hounsfield units, one frame at a time."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels import get_decoder, iter_pixels
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEGTransferSyntaxes,
    RLELossless,
)

from openvista.errors import ScanError, first_line
from openvista.io.dicom.gdcm_apart import JpegProcess
from openvista.io.dicom.instances import UNREADABLE, ImageFrame

logger = logging.getLogger(__name__)

AIR_HU = -1024

_PLUGINS = {
    (RLELossless,): "pydicom",
    (JPEGLSLossless, JPEGLSNearLossless): "pyjpegls",
    (JPEG2000Lossless, JPEG2000): "pylibjpeg",
}
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_TISSUE_HU = (-900.0, 3071.0)  # a padding value in here could be a real one


def open_pixels(file: Path) -> Dataset:
    """A whole file.

    Raises:
        ScanError: it cannot be read, or holds no pixels.
    """
    try:
        whole = dcmread(file, force=True)
    except OSError as error:
        raise ScanError(f"{file}: cannot be read: {error.strerror or type(error).__name__}") from error
    except UNREADABLE as error:
        raise ScanError(f"{file}: damaged ({type(error).__name__}); copy it again") from error
    if "PixelData" not in whole:
        raise ScanError(f"{file}: holds no pixels of a CT; export the series again")
    return whole


def drop_pixels(whole: Dataset) -> Dataset:
    """The header alone: pixels and overlays are taken out of it."""
    for keyword in _PIXELS:
        if keyword in whole:
            del whole[keyword]
    for tag in [tag for tag in whole.keys() if 0x6000 <= tag.group <= 0x60FF]:  # noqa: SIM118 - iterating parses
        del whole[tag]
    return whole


def frames_in_hu(file: Path, whole: Dataset, frames: Sequence[ImageFrame], jpeg: JpegProcess) -> Iterator[NDArray[Any]]:
    """[row, column] HU of each of a file's frames: int32 where slope and intercept are whole numbers, else float32.

    ``jpeg`` unpacks JPEG, where that is needed.

    Raises:
        ScanError: the pixels are damaged, or compressed in a way that nothing here unpacks.
    """
    padding = _padding(whole)
    try:
        _check_kind(file, whole)
        indices = [frame.index for frame in frames]
        if _syntax(whole) in JPEGTransferSyntaxes:
            decoded = jpeg.frames(file, indices)
        else:
            decoded = iter_pixels(whole, indices=indices, decoding_plugin=_plugin(whole))
        for frame, stored in zip(frames, decoded, strict=True):
            yield _to_hu(file, stored, frame, padding)
    except UNREADABLE as error:
        name = getattr(_syntax(whole), "name", "unknown")
        raise ScanError(f"{file}: its pixels ({name}) cannot be unpacked: {first_line(error)}") from error


def _syntax(whole: Dataset) -> UID | None:
    return whole.file_meta.get("TransferSyntaxUID") if hasattr(whole, "file_meta") else None


def _plugin(whole: Dataset) -> str:
    """Which library unpacks; "" for pydicom's choice. It would ask GDCM first, which a damaged file can end."""
    syntax = _syntax(whole)
    for group, plugin in _PLUGINS.items():
        if syntax in group and plugin in get_decoder(syntax).available_plugins:
            return plugin
    return ""


def _check_kind(file: Path, whole: Dataset) -> None:
    if whole.get("BitsAllocated") not in (8, 16, 32):
        raise ScanError(f"{file}: {whole.get('BitsAllocated')} bits for a pixel is no CT; export the series again")
    if whole.get("ModalityLUTSequence"):
        raise ScanError(f"{file}: its HU are in a lookup table, which is not read; export it with slope and intercept")


def _padding(whole: Dataset) -> tuple[int, int] | None:
    """Stored values, first and last, that stand for "no measurement here" (PS3.3 C.7.5.1.1.2)."""
    value, limit = whole.get("PixelPaddingValue"), whole.get("PixelPaddingRangeLimit")
    if not isinstance(value, int) or whole.get("Modality") == "MR":  # there it is a value such as 0, and stays
        return None
    other = limit if isinstance(limit, int) else value
    bits, signed = int(whole.BitsAllocated), bool(whole.get("PixelRepresentation"))
    ends = sorted(_as_stored(one, bits, signed) for one in (value, other))
    return ends[0], ends[1]


def _as_stored(value: int, bits: int, signed: bool) -> int:
    """A number in the pixels' own sign: writers give -2000 as 63536, and the other way round."""
    wrapped = value % 2**bits
    return wrapped - 2**bits if signed and wrapped >= 2 ** (bits - 1) else wrapped


def _to_hu(file: Path, stored: NDArray[Any], frame: ImageFrame, padding: tuple[int, int] | None) -> NDArray[Any]:
    whole_numbers = float(frame.slope).is_integer() and float(frame.intercept).is_integer()
    if whole_numbers and stored.dtype.kind in "iu" and abs(frame.slope) < 2**15 and abs(frame.intercept) < 2**30:
        values = stored.astype(np.int64 if stored.dtype.itemsize > 2 else np.int32)
        hu: NDArray[Any] = values * int(frame.slope) + int(frame.intercept)
    else:
        hu = (stored * np.float64(frame.slope) + np.float64(frame.intercept)).astype(np.float32)
    if padding is not None:
        low, high = sorted(end * frame.slope + frame.intercept for end in padding)
        if high < _TISSUE_HU[0]:
            # lossy compression smears the edge of the field: what is nearer to the padding than to air is no air either
            hu[hu <= max(high, (high + AIR_HU) / 2)] = AIR_HU
        elif low > _TISSUE_HU[1]:
            hu[(stored >= padding[0]) & (stored <= padding[1])] = AIR_HU
        else:
            logger.warning("%s: its padding value is %g HU, which tissue has as well: it stays", file, low)
    return hu
