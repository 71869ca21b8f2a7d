"""DICOM Segmentation objects as label maps: binary, fractional and label map, with frames left out and overlaps."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels import iter_pixels

from openvista.anatomy.colours import Colour
from openvista.errors import GridError, ScanError, first_line
from openvista.geometry.grid import Grid, triple
from openvista.io.dicom.described import class_id_of
from openvista.io.dicom.instances import UNREADABLE
from openvista.io.dicom.placing import Painting, Plane, grid_of_planes, nearest_labels, share_axes, voxels_of
from openvista.io.raw import MAX_VOXELS, check_header
from openvista.scan import Segmentation

SEG_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation Storage, Label Map Segmentation Storage."""


@dataclass(frozen=True)
class _Segment:
    """A segment by the number it has in the file, and what it becomes."""

    number: int
    label_id: int
    name: str
    colour: Colour | None


def read_seg(path: Path, grid: Grid | None = None, *, max_voxels: int = MAX_VOXELS) -> Segmentation:
    """Read a DICOM Segmentation. Where segments overlap, the smaller one lies on top, and a warning says so.

    Args:
        path: the file.
        grid: to put it on, as a rule the scan's; by default the smallest one that holds its frames.
        max_voxels: a larger one is refused.

    Returns:
        Ids are those of the classes in objects that we wrote, and segment numbers in others.

    Raises:
        ScanError: no DICOM Segmentation, damaged, or frames that form no volume.
        GridError: nothing in it lies on the grid.
    """
    try:
        whole = dcmread(path, force=True)
        kind = str(whole.SegmentationType)
        segments, planes = _segments(whole), _planes(whole)
        between = _between(whole)
    except (OSError, *UNREADABLE) as error:
        raise ScanError(f"{path}: not a DICOM segmentation that can be read: {first_line(error)}") from error
    if not planes:
        raise ScanError(f"{path}: a DICOM segmentation without frames")
    own = grid_of_planes(planes, between, path)
    check_header(path, own.shape, np.dtype(np.uint16), max_voxels)
    names = {one.label_id: one.name for one in segments}
    painting = Painting(grid if grid is not None and share_axes(planes[0], own, grid) else own, names)
    try:
        paint = _paint_label_map if kind == "LABELMAP" else _paint_bits
        paint(painting, whole, planes, segments)
    except (RuntimeError, *UNREADABLE) as error:  # RuntimeError: what pydicom says when no decoder can
        raise ScanError(f"{path}: its pixels cannot be read: {first_line(error)}") from error
    painting.warn(path)
    labels, target = painting.labels_XYZ, painting.grid
    if grid is not None and target is not grid:
        labels, target = nearest_labels(labels, own, grid), grid
    if not labels.any():
        raise GridError(f"{path}: nothing in it lies on the scan: it is empty, or belongs to another one")
    colours = {one.label_id: one.colour for one in segments if one.colour}
    return Segmentation(labels, target, names, colours)


def _paint_label_map(painting: Painting, whole: Dataset, planes: list[Plane], segments: list[_Segment]) -> None:
    id_of = np.zeros(np.iinfo(np.uint16).max + 1, dtype=painting.labels_XYZ.dtype)  # without a segment: background
    for one in segments:
        id_of[one.number] = one.label_id
    for plane, pixels in zip(planes, _frames(whole, range(len(planes))), strict=True):
        voxels, ids = voxels_of(plane, id_of[pixels], painting.grid)
        painting.labels_XYZ[voxels] = ids


def _paint_bits(painting: Painting, whole: Dataset, planes: list[Plane], segments: list[_Segment]) -> None:
    """Largest segment first: what lies in another one, as a tumour in its organ, stays to be seen."""
    least = -(-int(whole.get("MaximumFractionalValue", 1)) // 2)  # half of the largest value
    frames_of: dict[int, list[int]] = defaultdict(list)
    for index in range(len(planes)):
        frames_of[_segment_number(whole, index)].append(index)
    sizes: Counter[int] = Counter()
    for number, indices in frames_of.items():
        sizes[number] = sum(int((pixels >= least).sum()) for pixels in _frames(whole, indices))
    for one in sorted(segments, key=lambda segment: -sizes[segment.number]):
        indices = frames_of[one.number]
        for index, pixels in zip(indices, _frames(whole, indices), strict=True):
            painting.put(voxels_of(planes[index], pixels >= least, painting.grid)[0], one.label_id)


def _frames(whole: Dataset, indices: Sequence[int]) -> Iterator[NDArray[Any]]:
    """[row, column] of some frames, in this order.

    Frames of bits follow each other without a gap (PS3.5 8.1.1), so most begin within a byte where their pixels are no
    multiple of 8; pydicom 3.0.2 loses pixels of some of those.
    """
    if int(whole.BitsAllocated) > 1 or whole.file_meta.TransferSyntaxUID.is_encapsulated:
        yield from iter_pixels(whole, indices=list(indices)) if indices else ()
        return
    shape = int(whole.Rows), int(whole.Columns)
    size = shape[0] * shape[1]
    packed = np.frombuffer(whole.PixelData, dtype=np.uint8)
    for index in indices:
        first, last = index * size, (index + 1) * size
        bits = np.unpackbits(packed[first // 8 : -(-last // 8)], bitorder="little")
        yield bits[first % 8 :][:size].reshape(shape)


def _segments(whole: Dataset) -> list[_Segment]:
    """All segments but a label map's background, which has number 0."""
    items = [item for item in whole.SegmentSequence if int(item.SegmentNumber) > 0]
    own_ids = [class_id_of(str(item.get("TrackingID", ""))) for item in items]
    ours = all(own_ids) and len(set(own_ids)) == len(own_ids)
    return [
        _Segment(
            number=int(item.SegmentNumber),
            label_id=own_id if ours and own_id else int(item.SegmentNumber),
            name=str(item.get("SegmentLabel") or f"segment {item.SegmentNumber}"),
            colour=_colour(item),
        )
        for item, own_id in zip(items, own_ids, strict=True)
    ]


def _colour(item: Dataset) -> Colour | None:
    value = item.get("RecommendedDisplayCIELabValue")
    if not value:
        return None
    red, green, blue = hd.color.CIELabColor.from_dicom_value(value).to_rgb(clip=True)
    return red, green, blue


def _planes(whole: Dataset) -> list[Plane]:
    """Where each frame lies."""
    shared = whole.SharedFunctionalGroupsSequence[0]
    planes = []
    for frame in whole.PerFrameFunctionalGroupsSequence:
        orientation = _group(frame, shared, "PlaneOrientationSequence").ImageOrientationPatient
        measures = _group(frame, shared, "PixelMeasuresSequence")
        position = _group(frame, shared, "PlanePositionSequence").ImagePositionPatient
        x, y, z, u, v, w = map(float, orientation)
        between_rows, between_columns = map(float, measures.PixelSpacing)
        if not np.isfinite([*position, x, y, z, u, v, w]).all() or min(between_rows, between_columns) <= 0:
            raise ValueError("a frame has no place or no spacing")
        planes.append(
            Plane(
                position=triple(map(float, position)),
                orientation=(x, y, z, u, v, w),
                spacing=(between_rows, between_columns),
                rows=int(whole.Rows),
                columns=int(whole.Columns),
            )
        )
    return planes


def _between(whole: Dataset) -> float | None:
    shared = whole.SharedFunctionalGroupsSequence[0]
    measures = _group(whole.PerFrameFunctionalGroupsSequence[0], shared, "PixelMeasuresSequence")
    value = measures.get("SpacingBetweenSlices")
    return abs(float(value)) if value else None


def _segment_number(whole: Dataset, index: int) -> int:
    frame, shared = whole.PerFrameFunctionalGroupsSequence[index], whole.SharedFunctionalGroupsSequence[0]
    return int(_group(frame, shared, "SegmentIdentificationSequence").ReferencedSegmentNumber)


def _group(frame: Dataset, shared: Dataset, keyword: str) -> Dataset:
    """A functional group of a frame, its own or the one that all share."""
    item: Dataset = (frame.get(keyword) or shared[keyword].value)[0]
    return item
