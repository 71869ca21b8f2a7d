"""A DICOM series as a scan that remembers its slices."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from openvista.dicom_slices import DicomSlice, DicomSlices
from openvista.errors import ScanError
from openvista.geometry.grid import Float3, Grid, triple
from openvista.io.dicom.file_set import unpacked
from openvista.io.dicom.gdcm_apart import JpegProcess
from openvista.io.dicom.instances import ImageFrame
from openvista.io.dicom.pixels import AIR_HU, drop_pixels, frames_in_hu, open_pixels
from openvista.io.dicom.series import CT, choose_series, find_series
from openvista.io.dicom.stack import Stack, stack_of
from openvista.io.paths import scan_name
from openvista.io.raw import MAX_VOXELS, check_finite, check_header, make_grid
from openvista.scan import Scan

logger = logging.getLogger(__name__)

_INT16 = np.iinfo(np.int16)


def read_dicom(
    path: Path,
    *,
    series: str | None = None,
    fill_gaps: bool = False,
    max_voxels: int = MAX_VOXELS,
    kinds: Sequence[str] = CT,
) -> Scan:
    """Read a series of CT, or of MR, whose values have no unit.

    Args:
        path: a folder with all below it, a zip, a DICOMDIR, an enhanced multi-frame file, or one file of a series.
        series: UID, its beginning, number or description of the series; ``None`` for the only CT volume.
        fill_gaps: interpolate missing slices instead of refusing them.
        max_voxels: a larger scan is refused by its headers, before its pixels are read.
        kinds: what Modality of an image may be: "CT", "MR" or both.

    Returns:
        Voxels [column, row, slice] in HU, int16 where they are whole numbers that fit, else float32; slices sorted
        along the normal of the image plane. ``Scan.dicom`` says which instance and frame each slice came from.
        Slices of a tilted gantry are shifted in their planes, on a grid large enough for all of them.

    Raises:
        ScanError: no CT or several, geometry that is no volume, damaged or unknown pixels.
    """
    with unpacked(path, max_bytes=8 * max_voxels) as place:
        stack, grid = _laid_out(path, place, series, fill_gaps, max_voxels, kinds)
        voxels, slices = _Volume(stack).filled(path)
    return Scan(voxels, grid, scan_name(path), path, dicom=slices)


def read_dicom_grid(path: Path) -> Grid:
    """Where the voxels of the only CT volume lie, without reading them.

    Raises:
        ScanError: as :func:`read_dicom`.
    """
    with unpacked(path, max_bytes=8 * MAX_VOXELS) as place:
        return _laid_out(path, place, None, False, MAX_VOXELS, CT)[1]


def _laid_out(
    path: Path, place: Path, series: str | None, fill_gaps: bool, max_voxels: int, kinds: Sequence[str]
) -> tuple[Stack, Grid]:
    stack = stack_of(choose_series(find_series(place, kinds), series, path, kinds), fill_gaps, path)
    check_header(path, stack.shape, np.dtype(np.int16), max_voxels)
    return stack, make_grid(path, stack.shape, stack.affine)


class _Volume:
    """The voxels of a stack while its frames are read.

    Attributes:
        voxels_ZYX: [slice, row, column] HU; int16 until a value does not fit.
        headers: of the files that slices came from.
        slices: what lies at each place so far.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.voxels_ZYX: NDArray[Any] = np.full(stack.shape[::-1], AIR_HU, dtype=np.int16)
        self.headers: list[Dataset] = []
        self.slices: list[DicomSlice | None] = [None] * stack.shape[2]

    def filled(self, path: Path) -> tuple[NDArray[Any], DicomSlices]:
        """Read every frame; then fill what is missing from its neighbours.

        Raises:
            ScanError: damaged pixels, values that are not finite, or two different images at one place.
        """
        members: dict[Path, list[tuple[ImageFrame, int, list[float]]]] = defaultdict(list)
        for placed in zip(self.stack.frames, self.stack.places, self.stack.shifts.tolist(), strict=True):
            members[placed[0].file].append(placed)
        with JpegProcess() as jpeg:
            for file, frames in members.items():
                self._add(file, frames, jpeg)
        for place in self.stack.missing:
            self._fill(place)
        voxels = self.voxels_ZYX.T
        check_finite(path, voxels)
        orientation, rows, columns = self.stack.orientation, self.stack.rows, self.stack.columns
        return voxels, DicomSlices(tuple(self.headers), tuple(self.slices), orientation, columns, rows)

    def _add(self, file: Path, members: list[tuple[ImageFrame, int, list[float]]], jpeg: JpegProcess) -> None:
        """Put the frames of one file at their places."""
        whole = open_pixels(file)
        instance, used = len(self.headers), False
        for (frame, place, shift), hu in zip(
            members, frames_in_hu(file, whole, [frame for frame, _, _ in members], jpeg), strict=True
        ):
            if hu.shape != (self.stack.rows, self.stack.columns):
                raise ScanError(f"{file}: its pixels are {hu.shape}, not what its header says; copy it again")
            hu = _moved(hu, shift, self.voxels_ZYX.shape[1:])
            if self.slices[place] is not None:
                self._check_duplicate(file, place, hu)
                continue
            self._put(place, hu)
            position: Float3 = triple(frame.position or ())
            self.slices[place] = DicomSlice(instance, frame.index, position, (shift[0], shift[1]))
            used = True
        if used:
            self.headers.append(drop_pixels(whole))

    def _put(self, place: int, hu: NDArray[Any]) -> None:
        fits = hu.dtype.kind == "i" and hu.min() >= _INT16.min and hu.max() <= _INT16.max
        if not fits and self.voxels_ZYX.dtype == np.int16:
            self.voxels_ZYX = self.voxels_ZYX.astype(np.float32)
        self.voxels_ZYX[place] = hu

    def _check_duplicate(self, file: Path, place: int, hu: NDArray[Any]) -> None:
        if not np.array_equal(self.voxels_ZYX[place], hu.astype(self.voxels_ZYX.dtype)):
            raise ScanError(f"{file}: another image of its series lies at the same place; give one of each place")
        logger.info("%s: the same image is there twice; one is used", file)

    def _fill(self, place: int) -> None:
        """Interpolate between the nearest slices that are there; the first and last place always are."""
        before = next(index for index in range(place, -1, -1) if self.slices[index] is not None)
        after = next(index for index in range(place, len(self.slices)) if self.slices[index] is not None)
        share = (place - before) / (after - before)
        first, second = self.voxels_ZYX[before].astype(np.float32), self.voxels_ZYX[after]
        mixed = first + np.float32(share) * (second - first)
        self.voxels_ZYX[place] = np.rint(mixed) if self.voxels_ZYX.dtype == np.int16 else mixed


def _moved(hu: NDArray[Any], shift: list[float], shape: tuple[int, ...]) -> NDArray[Any]:
    """A slice on the grid of all slices: voxel (i, j) is pixel (i + shift[0], j + shift[1]), linear between pixels.

    Voxels more than half a pixel outside the slice are air.
    """
    if shift == [0.0, 0.0] and hu.shape == shape:
        return hu
    moved: NDArray[Any] = hu
    inside = np.ones(shape, dtype=bool)
    for axis, offset in ((0, shift[1]), (1, shift[0])):
        length, last = shape[axis], hu.shape[axis] - 1
        pixel = np.arange(length) + offset
        within = (pixel >= -0.5) & (pixel <= last + 0.5)
        inside &= within[:, None] if axis == 0 else within[None, :]
        pixel = pixel.clip(0, last)
        lower = np.floor(pixel).astype(int)
        upper = np.minimum(lower + 1, last)
        share = (pixel - lower).astype(np.float32)
        share = share[:, None] if axis == 0 else share[None, :]
        if share.any():
            first = moved.take(lower, axis).astype(np.float32)
            moved = first + share * (moved.take(upper, axis) - first)
        else:
            moved = moved.take(lower, axis)
    if hu.dtype.kind == "i":
        moved = np.rint(moved).astype(hu.dtype)
    return np.where(inside, moved, np.asarray(AIR_HU, dtype=moved.dtype))
