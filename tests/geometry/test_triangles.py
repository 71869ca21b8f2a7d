"""Surfaces: closed, outwards, as large as the voxels; balls, thin plates, single voxels, any affine, any noise."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from openvista.geometry.box import Crop
from openvista.geometry.grid import Grid
from openvista.geometry.triangles import Triangles, surface_of

ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


def is_closed(surface: Triangles) -> bool:
    """Every edge is run along once in each direction, so by two faces that agree on what is outside."""
    faces = surface.faces.astype(np.int64)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there = edges @ (len(surface.vertices), 1)
    back = edges @ (1, len(surface.vertices))
    return len(np.unique(there)) == len(there) and np.array_equal(np.sort(there), np.sort(back))


def surface_in(mask: NDArray[np.bool_], affine: NDArray[np.float64] | None = None) -> Triangles:
    grid = Grid(mask.shape, np.eye(4) if affine is None else affine)
    return surface_of(Crop((0, 0, 0), mask), grid)


def ball(radius: float) -> NDArray[np.bool_]:
    middle = int(radius) + 1.3
    return np.asarray(((np.indices((int(2 * middle) + 1,) * 3) - middle) ** 2).sum(axis=0) < radius**2)


def block(*lengths: int) -> NDArray[np.bool_]:
    return np.pad(np.ones(lengths, bool), 1)


SHAPES = {
    "voxel": block(1, 1, 1),
    "rod": block(7, 1, 1),
    "plate": block(9, 1, 9),
    "plate of two": block(9, 9, 2),
    "cube": block(6, 6, 6),
    "shell": ball(6) & ~np.pad(ball(4), 2),
    "small ball": ball(2.2),
    "ball": ball(12),
    "all of the volume": np.ones((4, 5, 6), bool),
}
SHAPES["diagonal"] = np.max(np.indices((6, 6, 6)), axis=0) == np.min(np.indices((6, 6, 6)), axis=0)
"""Voxels that touch by their corners."""


@pytest.mark.parametrize("spacing", [(1, 1, 1), (1, 1, 5), (0.7, 0.7, 0.3)], ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_volume_is_that_of_the_voxels(name: str, spacing: tuple[float, float, float]) -> None:
    mask = SHAPES[name]
    surface = surface_in(mask, np.diag([*spacing, 1.0]))
    assert is_closed(surface)
    assert surface.volume == pytest.approx(mask.sum() * np.prod(spacing), rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(arrays(bool, array_shapes(min_dims=3, max_dims=3, max_side=7)).filter(np.any))
def test_any_mask_has_a_closed_surface_of_its_volume(mask: NDArray[np.bool_]) -> None:
    surface = surface_in(mask)
    assert is_closed(surface)
    assert surface.volume == pytest.approx(mask.sum(), rel=1e-3)


@pytest.mark.parametrize("share", [0.03, 0.3, 0.7, 0.97])
def test_noise(share: float) -> None:
    mask = np.random.default_rng(3).random((30, 30, 30)) < share
    surface = surface_in(mask)
    assert is_closed(surface)
    assert surface.volume == pytest.approx(mask.sum(), rel=1e-3)


@settings(max_examples=30, deadline=None)
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    spacing=st.tuples(*[st.floats(0.3, 6)] * 3),
    angle=st.floats(-0.7, 0.7),
    shear=st.floats(-0.4, 0.4),
)
def test_any_affine(
    orientation: tuple[tuple[int, ...], tuple[int, ...]],
    spacing: tuple[float, float, float],
    angle: float,
    shear: float,
) -> None:
    """Flipped, oblique, sheared: in the patient's place, normals outwards."""
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, shear], [-np.sin(angle), 0, np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ (np.eye(3)[:, orientation[0]] * np.array(orientation[1]) * spacing)
    affine[:3, 3] = (-120, 33, 700)
    mask = ball(4)
    grid = Grid(mask.shape, affine)
    surface = surface_of(Crop((0, 0, 0), mask), grid)
    assert surface.volume == pytest.approx(mask.sum() * grid.voxel_ml * 1000, rel=1e-3)  # negative if turned inwards
    voxels = grid.to_voxel(surface.vertices)
    np.testing.assert_allclose(voxels.mean(axis=0), np.argwhere(mask).mean(axis=0), atol=0.1)
    outwards = surface.vertices - grid.to_world(np.argwhere(mask)).mean(axis=0)
    assert ((outwards * surface.normals()).sum(axis=1) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(surface.normals(), axis=1), 1)


def test_a_crop_lies_where_it_starts() -> None:
    whole = np.zeros((20, 20, 20), bool)
    whole[9:13, 2:5, 14:20] = True  # at the volume's border
    grid = Grid(whole.shape, np.diag([-1.0, 2.0, 3.0, 1.0]))
    crop = surface_of(Crop((9, 2, 14), whole[9:13, 2:5, 14:20]), grid)
    np.testing.assert_allclose(crop.vertices, surface_of(Crop((0, 0, 0), whole), grid).vertices, atol=1e-4)
    np.testing.assert_allclose(
        grid.to_voxel(crop.vertices).max(axis=0), (12.5, 4.5, 19.5), atol=0.25
    )  # corners are round, so faces bulge


def test_flat_faces_stay_where_they_are_and_thin_plates_as_thick() -> None:
    surface = surface_in(block(30, 30, 1))
    inner = surface.vertices[(np.abs(surface.vertices[:, :2] - 15.5) < 10).all(axis=1)]
    assert np.ptp(inner[:, 2]) == pytest.approx(1, abs=0.1)


def test_smooth() -> None:
    """Normals of a ball within 7 degrees (root mean square); those of marching cubes alone are off by 21."""
    radius = 20
    surface = surface_in(ball(radius))
    middle = surface.vertices.mean(axis=0)
    centres = surface.vertices[surface.faces].mean(axis=1) - middle
    away = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    angles = np.degrees(np.arccos(np.clip((away * surface.face_normals()).sum(axis=1), -1, 1)))
    assert np.sqrt((angles**2).mean()) < 7
    assert np.abs(np.linalg.norm(surface.vertices - middle, axis=1) - radius).max() < 0.5  # within the outermost voxels
