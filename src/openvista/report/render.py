"""Labels as solid bodies seen from the front: first surface along each ray, lit and shaded. Arrays only, no GPU."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista.anatomy.colours import Colour
from openvista.geometry.box import Box
from openvista.geometry.grid import Float3
from openvista.report.slices import magnify, span

_VOXEL_BUDGET = 9_000_000  # rotated volume: about half a second on one core
_MOST_PIXELS = 520  # of an image side: what the preview's panel shows
_AZIMUTH, _ELEVATION = np.deg2rad(24), np.deg2rad(8)  # from the patient's front left, a little from above
_MARGIN_MM = 12.0
_LIGHT = np.array([-0.45, 0.55, 0.70])  # from the upper left in front: image right, image up, towards the viewer
_AMBIENT, _DIFFUSE, _SHINE = 0.36, 0.66, 0.16
_CRISPNESS = 4  # how sharply one structure's smoothed outline gives way to the next
_GHOST = np.array([0.30, 0.36, 0.44])  # the scan itself, faint like an X-ray, behind the structures


def render_labels(
    labels_XYZ: NDArray[Any],
    hu_XYZ: NDArray[Any] | None,
    spacing: Float3,
    colours: Mapping[int, Colour],
) -> NDArray[np.float32]:
    """Draw every labelled structure as an opaque surface.

    Args:
        labels_XYZ: ids, axes R A S.
        hu_XYZ: the scan on the same grid, drawn faintly behind; or ``None``.
        spacing: mm of the three axes.
        colours: 0..255 by id.

    Returns:
        [row, column, 3], 0..1, square pixels; head up, the patient's right on the left.
    """
    box = _box(labels_XYZ, spacing).slices()
    labels_XYZ = labels_XYZ[box]
    matrix, offset, shape, pixel_mm = _camera(labels_XYZ.shape, spacing, _VOXEL_BUDGET)
    rotated_UDV = ndimage.affine_transform(labels_XYZ, matrix, offset, shape, order=0, mode="grid-constant")
    image = np.zeros((shape[2], shape[0], 3), np.float32)
    if hu_XYZ is not None:
        image += _see_through(hu_XYZ[box], spacing, image.shape[:2])[..., None] * _GHOST
    hit = rotated_UDV > 0
    depth = np.where(hit.any(axis=1), hit.argmax(axis=1), -1)
    ids = np.take_along_axis(rotated_UDV, np.maximum(depth, 0)[:, None], axis=1)[:, 0].T
    blur = max(1.2, 0.75 * max(spacing) / pixel_mm)  # hides the steps of the voxels
    surface, opacity = _shade(ids, depth.T.astype(np.float32), colours, blur)
    return (image * (1 - opacity) + surface * opacity).clip(0, 1).astype(np.float32)


def _see_through(hu_XYZ: NDArray[Any], spacing: Float3, size: tuple[int, ...]) -> NDArray[np.float32]:
    """The scan as an X-ray from the same camera [row, column], 0..1; coarse, as it is only a backdrop."""
    density = (np.clip(hu_XYZ, -1000, 800) + 1000).astype(np.uint16)  # air adds nothing
    matrix, offset, shape, _ = _camera(density.shape, spacing, _VOXEL_BUDGET / 8)
    through = ndimage.affine_transform(density, matrix, offset, shape, order=0, mode="grid-constant").sum(axis=1).T
    through = (through / max(float(np.percentile(through, 99.5)), 1.0)).clip(0, 1).astype(np.float32)
    return magnify(through, size)


def _box(labels: NDArray[np.unsignedinteger], spacing: Float3) -> Box:
    """The part of the volume with labels and a margin; everything when there is no label."""
    step = 2 if min(labels.shape) > 64 else 1
    found = Box.around(labels[::step, ::step, ::step] > 0)
    if found is None:
        return Box.whole(labels.shape)
    box = found.scaled(step)
    margins = [int(max(_MARGIN_MM / mm, 0.12 * extent)) + step for mm, extent in zip(spacing, box.shape, strict=True)]
    return box.widened(margins, labels.shape)


def _camera(
    shape: tuple[int, ...], spacing: Float3, budget: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[int, int, int], float]:
    """From a pixel (across, depth, down) to a voxel: ``(matrix, offset, output shape, mm per pixel)``."""
    into = np.array(
        [np.sin(_AZIMUTH) * np.cos(_ELEVATION), -np.cos(_AZIMUTH) * np.cos(_ELEVATION), -np.sin(_ELEVATION)]
    )
    across = np.cross(into, (0, 0, 1))
    across /= np.linalg.norm(across)
    down = np.cross(into, across)
    axes = np.stack([across, into, down], axis=1)
    size_mm = np.array(shape) * np.array(spacing)
    extent_mm = np.abs(axes.T) @ size_mm
    pixel_mm = float((np.prod(extent_mm) / budget) ** (1 / 3))
    pixel_mm = max(pixel_mm, min(spacing) / 3, float(extent_mm.max()) / _MOST_PIXELS)
    count = np.maximum(1, np.ceil(extent_mm / pixel_mm)).astype(int)
    matrix = axes * pixel_mm / np.array(spacing)[:, None]
    offset = (np.array(shape) - 1) / 2 - matrix @ ((count - 1) / 2)
    return matrix, offset, (int(count[0]), int(count[1]), int(count[2])), pixel_mm


def _shade(
    ids: NDArray[np.unsignedinteger], depth: NDArray[np.float32], colours: Mapping[int, Colour], blur: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Light each structure by its own smoothed surface; outlines are smoothed as well.

    Returns:
        ``(colour [row, column, 3], opacity [row, column, 1])``.
    """
    shaded = np.zeros((*ids.shape, 3), np.float32)
    total = np.asarray(ndimage.gaussian_filter((ids == 0).astype(np.float32), 0.5 * blur)) ** _CRISPNESS
    background = total.copy()
    shadow = _depth_cue(ids > 0, depth)
    for key in np.unique(ids[ids > 0]).tolist():
        here, margin = ids == key, round(4 * blur) + 2
        rows, columns = span(here.any(axis=1), margin), span(here.any(axis=0), margin)
        mask = (ids[rows, columns] == key).astype(np.float32)
        weight = ndimage.gaussian_filter(mask, blur)
        near = np.maximum(weight, 1e-4)
        smooth = ndimage.gaussian_filter(mask * depth[rows, columns], blur) / near
        dim = ndimage.gaussian_filter(mask * shadow[rows, columns], blur) / near
        share = np.asarray(ndimage.gaussian_filter(mask, 0.5 * blur)) ** _CRISPNESS
        lit = _light(smooth, np.array(colours.get(key, (255, 255, 255))) / 255)
        shaded[rows, columns] += (share * dim)[..., None] * lit
        total[rows, columns] += share
    return shaded / np.maximum(total - background, 1e-6)[..., None], (1 - background / total)[..., None]


def _light(depth: NDArray[np.float32], colour: NDArray[np.float64]) -> NDArray[np.float64]:
    """A surface [row, column] given by its depth, in one colour, with a small highlight."""
    across, down = np.zeros_like(depth), np.zeros_like(depth)
    if min(depth.shape) > 1:
        down, across = np.asarray(np.gradient(depth, axis=0)), np.asarray(np.gradient(depth, axis=1))
    normal = np.stack([across, -down, np.ones_like(depth)], axis=-1)
    cosine = normal @ (_LIGHT / np.linalg.norm(_LIGHT)) / np.linalg.norm(normal, axis=-1)
    facing = np.clip(cosine, 0, 1)
    return colour * (_AMBIENT + _DIFFUSE * facing)[..., None] + _SHINE * facing[..., None] ** 24


def _depth_cue(solid: NDArray[np.bool_], depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Factor <= 1: farther surfaces are dimmer, and a surface just behind a nearer one lies in its shadow."""
    if not solid.any():
        return np.ones(depth.shape, np.float32)
    near, far = float(depth[solid].min()), float(depth[solid].max())
    filled = np.where(solid, depth, far)
    around = ndimage.gaussian_filter(filled, max(depth.shape) / 90)
    shadow = ((filled - around) / max(far - near, 1.0) * 2.2).clip(0, 0.5)
    return (1 - 0.28 * (filled - near) / max(far - near, 1.0) - shadow).astype(np.float32)
