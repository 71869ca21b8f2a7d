"""Stray pieces: what lies far from the rest of a structure that is in one piece (spinal cord in an upper arm)."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.geometry.box import EDGE_MARGIN, Crop
from openvista.geometry.components import label_components

CELL_MM = 10.0
"""Pieces within about one to two cells of each other count as one: an artefact may cut an organ, a model may miss a
slice, and neither is a reason to lose the other half."""

T = TypeVar("T", bound=np.generic)


def remove_strays(
    labels: NDArray[np.unsignedinteger],
    spacing: Sequence[float],
    class_ids: Collection[int],
    at_once: int = 1 << 21,
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
    counts_N = cells.count()
    stray_N = np.zeros(len(counts_N), dtype=bool)
    for block in cells.blocks:
        counts_XYZ = block.cells(counts_N)
        stray_XYZ = _stray_cells(counts_XYZ.transpose(np.argsort(cells.order)))
        if stray_XYZ is not None:
            block.cells(stray_N)[:] = stray_XYZ.transpose(cells.order)
    if stray_N.any():
        cells.clear(stray_N)
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
    counts: NDArray[Any] = mask
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


def _stray_cells(counts: NDArray[Any]) -> NDArray[np.bool_] | None:
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
class _Block:
    """The cells of one class: of its box, counted from the box's first voxel.

    Attributes:
        class_id: whose.
        box: its voxels, along the axes of the view.
        shape: cells along those axes.
        first: the first of them among the cells of all classes.
    """

    class_id: int
    box: tuple[slice, ...]
    shape: tuple[int, ...]
    first: int

    def cells(self, values_N: NDArray[T]) -> NDArray[T]:
        """The view [X, Y, Z] of this class in values for the cells of all classes."""
        return values_N[self.first : self.first + math.prod(self.shape)].reshape(self.shape)


@dataclass(frozen=True, eq=False)
class _LabelledCells:
    """A label map and the cells that its voxels lie in, each class with cells of its own.

    Attributes:
        labels: a view of the label map, the axis with the largest steps in memory first.
        order: which axis of the label map each of the view's is.
        blocks: of the classes that are asked for and there.
        total: cells of all of them; cell 0 is everybody else's.
        places: label to row of ``steps``.
        steps: for each of the view's axes [class, position]: what a voxel there adds to the number of its cell.
        at_once: voxels that are looked at in one go.
    """

    labels: NDArray[np.unsignedinteger]
    order: tuple[int, ...]
    blocks: list[_Block]
    total: int
    places: NDArray[np.intp]
    steps: list[NDArray[np.intp]]
    at_once: int

    @classmethod
    def over(
        cls, labels: NDArray[np.unsignedinteger], spacing: Sequence[float], class_ids: Collection[int], at_once: int
    ) -> "_LabelledCells":
        order = tuple(int(axis) for axis in np.argsort([-abs(step) for step in labels.strides], kind="stable"))
        view, sides = labels.transpose(order), [_cell_sides(spacing)[axis] for axis in order]
        blocks, total = [], 1
        boxes = ndimage.find_objects(view)
        for class_id, box in enumerate(boxes, start=1):
            if box is not None and class_id in class_ids:
                shape = tuple(-(-(along.stop - along.start) // side) for along, side in zip(box, sides, strict=True))
                blocks.append(_Block(class_id, box, shape, total))
                total += math.prod(shape)
        places = np.zeros(len(boxes) + 1, dtype=np.intp)
        steps = [np.zeros((len(blocks) + 1, length), dtype=np.intp) for length in view.shape]
        for place, block in enumerate(blocks, start=1):
            places[block.class_id] = place
            steps[0][place] = block.first
            for axis, (along, side) in enumerate(zip(block.box, sides, strict=True)):
                cell = np.arange(along.stop - along.start) // side
                steps[axis][place, along] += cell * math.prod(block.shape[axis + 1 :])
        return cls(view, order, blocks, total, places, steps, at_once)

    def count(self) -> NDArray[np.intp]:
        """Voxels of its class in each cell."""
        counts_N = np.zeros(self.total, dtype=np.intp)
        if self.blocks:
            for _, _, cells in self._chunks():
                counts_N += np.bincount(cells, minlength=self.total)
        return counts_N

    def clear(self, chosen_N: NDArray[np.bool_]) -> None:
        """Make the voxels of the chosen cells background."""
        for labels, voxels, cells in self._chunks():
            labels[np.unravel_index(voxels[chosen_N[cells]], labels.shape)] = 0

    def _chunks(self) -> Iterator[tuple[NDArray[np.unsignedinteger], NDArray[np.intp], NDArray[np.intp]]]:
        """Some planes of the label map at a time: they, which of their voxels have a label, and in which cell."""
        x_step, y_step, z_step = self.steps
        plane = self.labels.shape[1:]
        planes = min(max(self.at_once // math.prod(plane), 1), len(self.labels))
        x_of, y_of, z_of = (axis.ravel() for axis in np.indices((planes, *plane), dtype=np.int32))
        for first in range(0, len(self.labels), planes):
            labels = self.labels[first : first + planes]
            flat = labels.reshape(-1)
            voxels = np.flatnonzero(flat != 0)
            place = self.places[flat[voxels]]
            cells = x_step[place, first + x_of[voxels]]
            cells += y_step[place, y_of[voxels]]
            cells += z_step[place, z_of[voxels]]
            yield labels, voxels, cells
