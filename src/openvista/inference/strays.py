"""Stray pieces: what lies far from the rest of a structure that is in one piece (spinal cord in an upper arm)."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.box import EDGE_MARGIN, Box, Crop
from openvista.geometry.components import label_components

CELL_MM = 10.0
"""Pieces within about one to two cells of each other count as one: an artefact may cut an organ, a model may miss a
slice, and neither is a reason to lose the other half."""

_Chunk = tuple[int, NDArray[np.unsignedinteger], NDArray[np.intp], NDArray[np.intp]]
"""A row of cells; planes of the label map in it; which of their voxels have a label; place and cell of each as one
number."""


def remove_strays(
    labels: NDArray[np.unsignedinteger],
    spacing: Sequence[float],
    class_ids: Collection[int],
    at_once: int = 1 << 20,
) -> NDArray[np.unsignedinteger]:
    """Make what is stray background (see :func:`stray_voxels`); changes the array and returns it.

    All classes are counted in one pass over the voxels, so that their number hardly matters.

    Args:
        labels: class ids, 0 = none; three axes in any order.
        spacing: mm along its axes.
        class_ids: the classes that are in one piece; others stay as they are.
        at_once: voxels that are looked at in one go, which bounds the memory beside the label map.
    """
    cells = _LabelledCells.over(labels, spacing, class_ids, at_once)
    counts_KXYZ = cells.count()
    stray_KXYZ = np.zeros(counts_KXYZ.shape, dtype=bool)
    for place, counts_XYZ in enumerate(counts_KXYZ[1:], start=1):
        around = Box.around(counts_XYZ > 0)
        stray_XYZ = None if around is None else _stray_cells(counts_XYZ[around.slices()])
        if around is not None and stray_XYZ is not None:
            stray_KXYZ[place][around.slices()] = stray_XYZ
    cells.clear(stray_KXYZ)
    return labels


def without_strays(logits: Crop, spacing: Sequence[float]) -> Crop:
    """Logits of a class without its strays: theirs turn negative, and the box closes around the rest.

    Args:
        logits: positive inside, on a box [X, Y, Z] of a grid.
        spacing: mm along the axes of that grid.

    Returns:
        The crop itself where there is only one piece.
    """
    values_XYZ = logits.values_XYZ
    stray_XYZ = stray_voxels(values_XYZ > 0, spacing)
    if stray_XYZ is None:
        return logits
    values_XYZ = np.where(stray_XYZ, -abs(values_XYZ), values_XYZ)
    return Crop(logits.start, values_XYZ).cropped(values_XYZ > 0, EDGE_MARGIN)


def stray_voxels(mask: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.bool_] | None:
    """Everything of a mask but its largest piece; ``None`` if it has one piece or none.

    Args:
        mask: three axes in any order.
        spacing: mm along its axes.
    """
    sides = _cell_sides(spacing)
    counts = mask
    for axis, side in enumerate(sides):
        counts = np.add.reduceat(counts, np.arange(0, mask.shape[axis], side), axis=axis, dtype=np.int32)
    stray = _stray_cells(counts)
    if stray is None:
        return None
    for axis, side in enumerate(sides):
        stray = np.repeat(stray, side, axis=axis)
    return np.asarray(mask & stray[tuple(slice(length) for length in mask.shape)])


def _cell_sides(spacing: Sequence[float]) -> list[int]:
    return [max(round(CELL_MM / length), 1) for length in spacing]


def _stray_cells(counts: NDArray[np.integer]) -> NDArray[np.bool_] | None:
    """Cells of all pieces but the one with the most voxels; ``None`` if there are not two.

    Args:
        counts: voxels in each cell.
    """
    pieces, count = label_components(counts > 0)
    if count < 2:
        return None
    sizes = np.bincount(pieces.ravel(), weights=counts.ravel())
    return np.asarray((pieces > 0) & (pieces != sizes[1:].argmax() + 1))


@dataclass(frozen=True, eq=False)
class _LabelledCells:
    """A label map and the cells that its voxels lie in.

    Attributes:
        labels: a view of the label map, the axis with the largest steps in memory first.
        order: which axis of the label map each of the view's is.
        sides: voxels of a cell along the view's axes.
        place_of: label to place, from 1; 0 for what is not asked for.
        places: how many there are, 0 among them.
        at_once: voxels that are looked at in one go.
    """

    labels: NDArray[np.unsignedinteger]
    order: tuple[int, ...]
    sides: tuple[int, ...]
    place_of: NDArray[np.intp]
    places: int
    at_once: int

    @classmethod
    def over(
        cls, labels: NDArray[np.unsignedinteger], spacing: Sequence[float], class_ids: Collection[int], at_once: int
    ) -> "_LabelledCells":
        largest = int(labels.max(initial=0))
        asked = sorted(class_id for class_id in set(class_ids) if 0 < class_id <= largest)
        place_of = np.zeros(largest + 1, dtype=np.intp)
        place_of[asked] = np.arange(1, len(asked) + 1)
        order = tuple(int(axis) for axis in np.argsort([-abs(step) for step in labels.strides], kind="stable"))
        sides = _cell_sides(spacing)
        own_sides = tuple(sides[axis] for axis in order)
        return cls(labels.transpose(order), order, own_sides, place_of, len(asked) + 1, at_once)

    def count(self) -> NDArray[np.int32]:
        """Voxels of each place in each cell [K, X, Y, Z], axes as the label map's; place 0 is not counted."""
        counts_KXYZ = np.zeros((self.places, *self.shape), dtype=np.int32)
        if self.places > 1:
            for row, _, _, bins in self._chunks(range(self.shape[0])):
                counted = np.bincount(bins, minlength=counts_KXYZ[:, 0].size)
                counts_KXYZ[1:, row] += counted.reshape(counts_KXYZ[:, 0].shape)[1:]
        return counts_KXYZ.transpose(0, *(1 + np.argsort(self.order)))

    def clear(self, chosen_KXYZ: NDArray[np.bool_]) -> None:
        """Make the voxels of each place in its chosen cells background."""
        chosen_KXYZ = chosen_KXYZ.transpose(0, *(1 + axis for axis in self.order))
        rows = np.flatnonzero(chosen_KXYZ.any(axis=(0, 2, 3)))
        for row, labels, voxels, bins in self._chunks(rows):
            gone = voxels[chosen_KXYZ[:, row].ravel()[bins]]
            labels[np.unravel_index(gone, labels.shape)] = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along the view's axes."""
        return tuple(-(-length // side) for length, side in zip(self.labels.shape, self.sides, strict=True))

    def _chunks(self, rows: Iterable[int]) -> Iterator[_Chunk]:
        """What is labelled in these rows of cells, some planes at a time."""
        _, y_cells, z_cells = self.shape
        y, z = (np.arange(length) // side for length, side in zip(self.labels.shape[1:], self.sides[1:], strict=True))
        cell_of_plane = (y[:, None] * z_cells + z).ravel()
        planes = min(max(self.at_once // max(len(cell_of_plane), 1), 1), self.sides[0])
        cell_of = np.tile(cell_of_plane, planes)
        for row in rows:
            stop = min((row + 1) * self.sides[0], len(self.labels))
            for first in range(row * self.sides[0], stop, planes):
                labels = self.labels[first : min(first + planes, stop)]
                flat = labels.reshape(-1)
                voxels = np.flatnonzero(flat != 0)
                bins = self.place_of[flat[voxels]] * (y_cells * z_cells) + cell_of[voxels]
                yield row, labels, voxels, bins
