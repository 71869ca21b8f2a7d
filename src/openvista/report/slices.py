"""Slices of a scan with its labels, as colour images the way radiologists look at them. Arrays only."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.anatomy.colours import Colour
from openvista.geometry.grid import Axis3, Grid, triple

SOFT_TISSUE_WINDOW = (-160.0, 240.0)  # width 400, level 40: the usual window for the abdomen and neck
_FILL = 0.42  # opacity of a structure's inside; its outline is drawn nearly solid
_OUTLINE = 0.95
_BODY_HU = -400  # between air or lung and fat
_MARGIN = 0.06  # around the body, of its size
_BORDER_SHARE = 0.15  # of an axis at either end
_COUNTED_VOXELS = 8_000_000  # for choosing slices, a sample of this many is plenty


def in_ras_order(volume: NDArray[np.generic], grid: Grid) -> NDArray[np.generic]:
    """A view of [X, Y, Z] in file order with axes that run to R, A, S (see ``Grid.in_ras_order``)."""
    axes, signs = grid.ras_order
    return volume.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]


def informative_slices(labels_XYZ: NDArray[Any]) -> Axis3:
    """The slice per axis that shows most: each structure counts by how near it is to its largest cut.

    Slices near the border count less: structures that go on outside have their largest cut there.
    Without any label: the middle.
    """
    step = max(1, round((labels_XYZ.size / _COUNTED_VOXELS) ** (1 / 3)))
    steps = [step if length > 8 * step else 1 for length in labels_XYZ.shape]  # never thin out a thin axis
    sample = np.ascontiguousarray(labels_XYZ[tuple(slice(None, None, s) for s in steps)])
    where = np.nonzero(sample)
    ids = sample[where].astype(np.int64)
    chosen = []
    for axis in range(3):
        length = sample.shape[axis]
        if not ids.size:
            chosen.append(labels_XYZ.shape[axis] // 2)
            continue
        counts = np.bincount(ids * length + where[axis], minlength=(int(ids.max()) + 1) * length).reshape(-1, length)
        counts = counts[counts.any(axis=1)]
        score = (counts / counts.max(axis=1, keepdims=True)).sum(axis=0)
        inward = (np.minimum(np.arange(length), np.arange(length)[::-1]) + 1) / length
        chosen.append(int(np.argmax(score * (inward / _BORDER_SHARE).clip(max=1))) * steps[axis])
    return triple(chosen)


def radiological(volume_XYZ: NDArray[np.generic], axis: int, index: int) -> NDArray[np.generic]:
    """A slice [row, column] of a RAS volume: right of the patient on the left, front or head on top.

    Axial (axis 2) and coronal (1): columns R to L. Sagittal (0): columns A to P.
    """
    return np.moveaxis(volume_XYZ, axis, 0)[index].T[::-1, ::-1]


def content_box(labels: NDArray[Any], hu: NDArray[Any] | None) -> tuple[slice, slice]:
    """The part of a slice [row, column] with body or labels, and a small margin; all of it when there is neither."""
    content = labels > 0
    if hu is not None:
        content = content | (hu > _BODY_HU)
    if not content.any():
        return slice(None), slice(None)
    rows, columns = content.any(axis=1), content.any(axis=0)
    row_margin, column_margin = (round(_MARGIN * (side.stop - side.start)) for side in (span(rows), span(columns)))
    return span(rows, row_margin), span(columns, column_margin)


def colour_slice(
    labels: NDArray[Any],
    hu: NDArray[Any] | None,
    size: tuple[int, int],
    colours: Mapping[int, Colour],
) -> NDArray[np.float32]:
    """A slice as an image: CT in grey, structures tinted and outlined.

    Args:
        labels: [row, column] ids.
        hu: [row, column], or ``None`` for a black background.
        size: (rows, columns) of the image; both are interpolated linearly, so outlines are smooth.
        colours: 0..255 by id.

    Returns:
        [row, column, 3], 0..1.
    """
    rows, columns = _linear(labels.shape[0], size[0]), _linear(labels.shape[1], size[1])
    grey = np.zeros(size, np.float32)
    if hu is not None:
        low, high = SOFT_TISSUE_WINDOW
        grey = rows @ np.clip((hu.astype(np.float32) - low) / (high - low), 0, 1) @ columns.T
    enlarged = _enlarge(labels, rows, columns)
    palette = np.zeros((int(labels.max()) + 1, 3), np.float32)
    for key, colour in colours.items():
        if key < len(palette):
            palette[key] = np.array(colour) / 255
    opacity = np.where(_outline(enlarged), _OUTLINE, _FILL) * (enlarged > 0)
    return (grey * (1 - opacity))[..., None] + palette[enlarged] * opacity[..., None]


def magnify(plane: NDArray[np.float32], size: Sequence[int]) -> NDArray[np.float32]:
    """Linear interpolation between pixel centres to another size, with equal outer edges."""
    factors = [new / old for new, old in zip(size, plane.shape, strict=True)]
    return np.asarray(ndimage.zoom(plane, factors, order=1, mode="nearest", grid_mode=True))


def _linear(source: int, target: int) -> NDArray[np.float32]:
    """Matrix [target, source] that interpolates linearly between pixel centres, with equal outer edges."""
    position = ((np.arange(target) + 0.5) * source / target - 0.5).clip(0, source - 1)
    low = np.minimum(position.astype(int), max(source - 2, 0))
    matrix = np.zeros((target, source), np.float32)
    matrix[np.arange(target), low] = 1 - (position - low)
    matrix[np.arange(target), np.minimum(low + 1, source - 1)] += position - low
    return matrix


def _enlarge(
    labels: NDArray[np.unsignedinteger], rows: NDArray[np.float32], columns: NDArray[np.float32]
) -> NDArray[np.unsignedinteger]:
    """The id with the largest interpolated share at each pixel of the image."""
    best = rows @ (labels == 0).astype(np.float32) @ columns.T
    winner = np.zeros(best.shape, labels.dtype)
    for key in np.unique(labels[labels > 0]):
        mask = labels == key
        r, c = span(np.any(mask, axis=1)), span(np.any(mask, axis=0))
        # a structure reaches only the pixels that its own voxels weigh on
        to_r, to_c = span(rows[:, r].any(axis=1)), span(columns[:, c].any(axis=1))
        share = rows[to_r, r] @ mask[r, c].astype(np.float32) @ columns[to_c, c].T
        better = share > best[to_r, to_c]
        winner[to_r, to_c][better] = key
        best[to_r, to_c][better] = share[better]
    return winner


def span(present: Any, margin: int = 0) -> slice:
    """From the first to the last true element, at least one, and a margin on either side."""
    where = np.flatnonzero(present)
    return slice(max(int(where[0]) - margin, 0), int(where[-1]) + margin + 1)


def _outline(labels: NDArray[np.unsignedinteger]) -> NDArray[np.bool_]:
    """Pixels with a neighbour (above, below, left, right) of another id."""
    edge = np.zeros(labels.shape, bool)
    down, across = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return edge
