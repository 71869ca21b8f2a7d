"""Stray pieces: what lies far from the rest of a structure that is in one piece (spinal cord in an upper arm)."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.geometry.box import EDGE_MARGIN, Crop
from openvista.geometry.components import label_components

CELL_MM = 10.0
"""Pieces within about one to two cells of each other count as one: an artefact may cut an organ, a model may miss a
slice, and neither is a reason to lose the other half."""


def remove_strays(
    labels: NDArray[np.unsignedinteger], spacing: Sequence[float], class_ids: Collection[int]
) -> NDArray[np.unsignedinteger]:
    """Make what is stray background; changes the array and returns it.

    Args:
        labels: class ids, 0 = none; three axes in any order.
        spacing: mm along its axes.
        class_ids: the classes that are in one piece; others stay as they are.
    """
    for class_id, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None or class_id not in class_ids:
            continue
        stray = stray_voxels(labels[box] == class_id, spacing)
        if stray is not None:
            labels[box][stray] = 0
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
    sides = [max(round(CELL_MM / length), 1) for length in spacing]
    counts = mask
    for axis, side in enumerate(sides):
        counts = np.add.reduceat(counts, np.arange(0, mask.shape[axis], side), axis=axis, dtype=np.int32)
    pieces, count = label_components(counts > 0)
    if count < 2:
        return None
    sizes = np.bincount(pieces.ravel(), weights=counts.ravel())
    stray = (pieces > 0) & (pieces != sizes[1:].argmax() + 1)
    for axis, side in enumerate(sides):
        stray = np.repeat(stray, side, axis=axis)
    return np.asarray(mask & stray[tuple(slice(length) for length in mask.shape)])
