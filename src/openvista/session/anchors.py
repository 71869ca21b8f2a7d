"""Anchors: what tells the network which object a click corrects. Pure functions.

The point branch knows an object by its clicks alone. When somebody corrects a mask that no click has made, an automatic
result or one that was brought, the network would see the correction and nothing else: asked with one negative click it
finds no object at all. So each window gets positive prompts of its own, well inside the mask: its anchors. Merging
counts them as clicks that came before the user's, so that the correction stays near to where the user clicked.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.geometry.box import Crop, minus
from openvista.geometry.components import component_near, label_components
from openvista.geometry.grid import Axis3, Float3
from openvista.session.click_engine import GridClick
from openvista.session.lattice import Lattice
from openvista.session.merge import REACH
from openvista.session.state import ClickWindow

ANCHORS = 3
"""In a window. With more, less of the mask lies nearer to the click than to one of them (chosen on validation scans,
benchmarks/accuracy.md)."""
STRAY = 0.1
"""A piece with fewer voxels than this share of the largest one is wrong as a whole if a negative click lies in it.
Not tuned, nor are the two distances."""
SAYS_THE_SAME = 10.0
"""mm: a place that lies this near to a positive click is no anchor: the click is one itself."""
GIVES_WAY = 5.0
"""mm: an anchor that lies this near to a negative click of the user no longer counts."""


def find_anchors(
    mask: Crop, click: GridClick, voxel: Axis3, start: Axis3, lattice: Lattice, spacing: Float3
) -> tuple[Float3, ...]:
    """Voxels of a mask that lie deep inside it and far from a click and from each other.

    None if the window holds nothing of the mask, or nothing but what a positive click names itself.

    Args:
        mask: what the click corrects, a bool crop [X, Y, Z] of the model grid.
        click: the user's.
        voxel: of the model grid, where it falls.
        start: first voxel of its window.
        lattice: where windows may lie.
        spacing: mm of the model grid.

    Returns:
        At most ``ANCHORS`` places, in voxels of the model grid.
    """
    inside = lattice.inside(start)
    mask_XYZ = (mask if click.positive else _without_stray_piece(mask, voxel)).on(inside, False)
    if not mask_XYZ.any():
        return ()
    depth_XYZ = ndimage.distance_transform_edt(np.pad(mask_XYZ, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    voxels_N3, depth_N = np.argwhere(mask_XYZ) + inside.start, depth_XYZ[mask_XYZ]
    distance_N = _distance(voxels_N3, click.place, spacing)
    if click.positive:
        far_N = distance_N > SAYS_THE_SAME
        voxels_N3, depth_N, distance_N = voxels_N3[far_N], depth_N[far_N], distance_N[far_N]
    anchors: list[Float3] = []
    while len(anchors) < min(ANCHORS, len(voxels_N3)):
        best = int(np.minimum(depth_N, distance_N / 2).argmax())
        x, y, z = voxels_N3[best].tolist()
        anchors.append((float(x), float(y), float(z)))
        distance_N = np.minimum(distance_N, _distance(voxels_N3, anchors[-1], spacing))
    return tuple(anchors)


def without_contradicted(
    windows: Iterable[ClickWindow], clicks: Iterable[GridClick], spacing: Float3
) -> list[ClickWindow]:
    """The windows without anchors next to a negative click; places in voxels of the model grid, spacing in mm."""
    negative = [np.array(click.place) for click in clicks if not click.positive]

    def stands(anchor: Float3) -> bool:
        return all(np.linalg.norm((place - anchor) * spacing) >= GIVES_WAY for place in negative)

    return [replace(window, anchors=tuple(filter(stands, window.anchors))) for window in windows]


def _without_stray_piece(mask: Crop, voxel: Axis3) -> Crop:
    """The mask without the piece at a voxel, if that is a small one."""
    labels_XYZ, _ = label_components(mask.values_XYZ)
    piece = component_near(labels_XYZ, minus(voxel, mask.start), REACH) if mask.box.contains(voxel) else 0
    sizes = np.bincount(labels_XYZ.ravel())
    if not piece or sizes[piece] >= STRAY * sizes[1:].max():
        return mask
    return Crop(mask.start, mask.values_XYZ & (labels_XYZ != piece))


def _distance(voxels_N3: NDArray[np.intp], place: Float3, spacing: Float3) -> NDArray[np.float64]:
    """mm from voxels to a place."""
    return np.asarray(np.sqrt((((voxels_N3 - np.array(place)) * spacing) ** 2).sum(axis=1)))
