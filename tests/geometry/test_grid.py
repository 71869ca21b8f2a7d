"""Grid: orientation, spacing and the way between voxels and the world."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from openvista.errors import GridError
from openvista.geometry.grid import Grid, triple

ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


def rotation(angles: tuple[float, float, float]) -> NDArray[np.float64]:
    """Rotation matrix about x, y, z by angles in radians."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        i, j = [a for a in range(3) if a != axis]
        turn = np.eye(3)
        turn[i, i], turn[j, j], turn[i, j], turn[j, i] = c, c, -s, s
        matrix = turn @ matrix
    return matrix


def oriented_affine(
    order: tuple[int, ...],
    signs: tuple[int, ...],
    spacing: tuple[float, ...],
    angles: tuple[float, float, float] = (0, 0, 0),
) -> NDArray[np.float64]:
    """Affine whose array axis a runs along world axis order[a], direction signs[a], then rotated."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis in range(3):
        affine[order[axis], axis] = signs[axis] * spacing[axis]
    affine[:3, :3] = rotation(angles) @ affine[:3, :3]
    affine[:3, 3] = (-31.5, 12.25, 700.0)
    return affine


grids = st.builds(
    lambda orientation, shape, spacing, angles: Grid(shape, oriented_affine(*orientation, spacing, angles)),
    st.sampled_from(ORIENTATIONS),
    st.tuples(*[st.integers(1, 9)] * 3),
    st.tuples(*[st.floats(0.3, 6.0)] * 3),
    st.tuples(*[st.floats(-0.6, 0.6)] * 3),
)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_axis_codes_agree_with_nibabel(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    for angles in ((0, 0, 0), (0.3, -0.2, 0.25)):
        affine = oriented_affine(order, signs, (1.0, 2.0, 3.0), angles)
        assert Grid((4, 5, 6), affine).axis_codes == "".join(nib.aff2axcodes(affine))


@given(grids)
def test_ras_order_keeps_every_voxel_in_place(grid: Grid) -> None:
    axes, signs = grid.ras_order
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    moved = index.transpose(*axes, 3)[tuple(slice(None, None, sign) for sign in signs)]
    ras = grid.in_ras_order()
    assert moved.shape[:3] == ras.shape
    own = np.stack(np.meshgrid(*map(np.arange, ras.shape), indexing="ij"), axis=-1)
    np.testing.assert_allclose(ras.to_world(own.reshape(-1, 3)), grid.to_world(moved.reshape(-1, 3)), atol=1e-9)


@given(grids)
def test_ras_order_is_its_own_result(grid: Grid) -> None:
    ras = grid.in_ras_order()
    assert ras.in_ras_order() == ras
    assert ras.ras_order == ((0, 1, 2), (1, 1, 1))
    assert ras.axis_codes == "RAS"


@given(grids, st.lists(st.tuples(*[st.floats(-20, 20)] * 3), min_size=1, max_size=5))
def test_world_and_back(grid: Grid, voxels: list[tuple[float, float, float]]) -> None:
    points = np.array(voxels)
    np.testing.assert_allclose(grid.to_voxel(grid.to_world(points)), points, atol=1e-8)


@given(grids, st.tuples(*[st.floats(0.5, 5.0)] * 3))
def test_with_spacing_starts_at_the_same_voxel(grid: Grid, spacing: tuple[float, float, float]) -> None:
    other = grid.with_spacing(spacing)
    np.testing.assert_allclose(other.spacing, spacing, rtol=1e-9)
    np.testing.assert_allclose(other.affine[:3, 3], grid.affine[:3, 3])
    last = [(n - 1) * s for n, s in zip(grid.shape, grid.spacing, strict=True)]
    reached = [(n - 1) * s for n, s in zip(other.shape, spacing, strict=True)]
    assert all(abs(a - b) <= s / 2 + 1e-6 for a, b, s in zip(last, reached, spacing, strict=True))


def test_voxel_volume_of_a_sheared_grid() -> None:
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[1, 2] = 1.5  # gantry tilt moves slices but keeps the volume
    assert Grid((2, 2, 2), affine).voxel_ml == pytest.approx(0.024)


def test_equality_needs_shape_and_place() -> None:
    grid = Grid((4, 5, 6), np.eye(4))
    shifted = np.eye(4)
    shifted[0, 3] = 0.01
    assert grid == Grid((4, 5, 6), np.eye(4))
    assert grid != Grid((4, 5, 7), np.eye(4))
    assert grid != Grid((4, 5, 6), shifted)
    assert grid.matches(Grid((4, 5, 6), shifted), tolerance_mm=0.1)
    assert grid != "grid"


def test_the_affine_is_a_copy_that_cannot_change() -> None:
    affine = np.eye(4)
    grid = Grid((2, 2, 2), affine)
    affine[0, 0] = 7
    assert grid.spacing == (1, 1, 1)
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 7


@pytest.mark.parametrize(
    ("shape", "affine", "words"),
    [
        ((4, 5), np.eye(4), "three positive"),
        ((4, 0, 5), np.eye(4), "three positive"),
        ((4, 5, 6), np.eye(3), "4x4"),
        ((4, 5, 6), np.diag([1, 1, np.nan, 1]), "finite"),
        ((4, 5, 6), np.diag([1, 1, 1, 2]), "last row"),
        ((4, 5, 6), np.diag([1, 1, 0, 1]), "cannot be inverted"),
        ((4, 5, 6), np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "cannot be inverted"),
    ],
)
def test_unusable_grids_say_why(shape: tuple[int, ...], affine: NDArray[np.float64], words: str) -> None:
    with pytest.raises(GridError, match=words) as caught:
        Grid(shape, affine)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_triple_has_three_values() -> None:
    assert triple(range(3)) == (0, 1, 2)
    for count in (2, 4):
        with pytest.raises(ValueError, match="values to unpack"):
            triple(range(count))
