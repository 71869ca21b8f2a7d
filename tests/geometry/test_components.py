import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from openvista.geometry.box import Box
from openvista.geometry.components import (
    component_near,
    components_at,
    deepest_voxels,
    label_components,
    largest_component,
    nearest_voxel,
)


def noise(seed: int, shape=(9, 8, 10), share=0.2) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < share


def test_pieces_that_share_a_corner_are_one():
    mask = np.zeros((5, 5, 5), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 3, 3] = True
    labels, count = label_components(mask)
    assert count == 2
    assert labels[0, 0, 0] == labels[1, 1, 1] != labels[3, 3, 3]


def test_the_nearest_piece_within_reach():
    labels = np.zeros((7, 7, 7), np.int32)
    labels[3, 3, 5], labels[2, 2, 2] = 1, 2
    assert component_near(labels, (3, 3, 5), 0) == 1
    assert component_near(labels, (3, 3, 3), 0) == 0
    assert component_near(labels, (3, 3, 3), 1) == 2  # in the first cube, although the other is as near by steps
    assert component_near(labels, (3, 3, 4), 2) == 1
    assert component_near(labels, (6, 6, 6), 2) == 0


def test_borders_are_no_trouble():
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = True
    assert components_at(mask, [(2, 2, 2)], 2)[0, 0, 0]
    assert not components_at(mask, [(5, 0, 0), (-1, 0, 0)], 2).any()
    assert not components_at(np.zeros((0, 0, 0), bool), [(0, 0, 0)]).size


@given(st.integers(0, 10_000), st.floats(0, 0.3), st.booleans())
def test_the_largest_component_of_a_mask(seed, share, touching):
    mask, other = noise(seed, share=share), noise(seed + 1, share=0.02)
    labels, count = label_components(mask)
    sizes = [(labels == number).sum() for number in range(1, count + 1)]
    if touching:
        sizes = [size * (labels == number)[other].any() for number, size in enumerate(sizes, start=1)]
    largest = largest_component(mask, other if touching else None)
    if max(sizes, default=0) == 0:
        assert largest is None
        return
    expected = labels == 1 + sizes.index(max(sizes))  # the first of equals
    assert np.array_equal(largest.on(Box.whole(mask.shape), False), expected)
    assert largest.box == Box.around(expected)


@given(st.integers(0, 10_000), st.tuples(*[st.sampled_from([0.5, 1.0, 1.5, 3.0])] * 3))
def test_deepest_voxels_are_those_farthest_from_any_voxel_outside(seed, spacing):
    mask = noise(seed, share=0.95)
    outside = np.argwhere(~np.pad(mask, 2)) - 2
    inside = np.argwhere(mask)
    depth = np.sqrt(((((inside[:, None] - outside[None]) * spacing) ** 2).sum(axis=2)).min(axis=1))
    assert np.array_equal(deepest_voxels(mask, spacing), inside[depth >= depth.max() - 1e-4])


def test_the_nearest_voxel_of_a_set():
    voxels = np.array([[0, 0, 0], [4, 0, 0], [0, 0, 3]])
    assert nearest_voxel(voxels) == (0, 0, 0)
    assert nearest_voxel(voxels, (2, 0, 0)) == (0, 0, 0)  # the first of two
    assert nearest_voxel(voxels, (1.5, 0, 1.5), (1, 1, 5)) == (0, 0, 0)
    assert nearest_voxel(voxels, (2.5, 0, 1.4), (1, 1, 0.1)) == (4, 0, 0)
