"""Two label maps of one scan, structure by structure."""

import numpy as np
import pytest

from openvista.errors import AnatomyError
from openvista.geometry.grid import Grid
from openvista.metrics.agreement import StructureAgreement, compare_label_maps
from openvista.metrics.masks import measure_masks

GRID = Grid((9, 10, 11), np.diag([-2.0, 1.0, 2.5, 1.0]))


def balls(seed: int) -> np.ndarray:
    """Ids 1, 2 and 300, each somewhere."""
    random = np.random.default_rng(seed)
    labels = np.zeros(GRID.shape, np.uint16)
    places = np.stack(np.indices(GRID.shape), -1)
    for key in (1, 2, 300):
        labels[((places - random.uniform(2, 7, 3)) ** 2).sum(-1) < 9] = key
    return labels


@pytest.mark.parametrize("seed", range(3))
def test_each_pair_is_measured_as_its_two_masks_are(seed):
    first, second = balls(seed), balls(seed + 10)
    rows = compare_label_maps(first, {1: "a", 2: "b", 300: "c"}, second, {300: "A", 1: "B", 2: "d"}, GRID)
    assert [(row.name, row.first_id, row.second_id) for row in rows] == [
        ("a", 1, 300), ("b", 2, 1), ("c", 300, None), ("d", None, 2),
    ]  # fmt: skip
    for row in rows[:2]:
        wanted = measure_masks(first == row.first_id, second == row.second_id, GRID)
        assert (row.dice, row.hd95_mm) == (wanted.dice, wanted.hd95_mm)
        assert (row.first_ml, row.second_ml) == (wanted.truth_ml, wanted.predicted_ml)
    turned = compare_label_maps(second, {300: "A", 1: "B", 2: "d"}, first, {1: "a", 2: "b", 300: "c"}, GRID)
    assert {(row.dice, row.hd95_mm) for row in turned} == {(row.dice, row.hd95_mm) for row in rows}


def test_what_one_of_them_lacks_is_none_and_what_it_has_no_voxel_of_is_nought():
    first = (balls(0) == 1).astype(np.uint8)
    volume = first.sum() * GRID.voxel_ml
    empty = np.zeros_like(first)
    names = {1: "a", 2: "b"}
    missed = StructureAgreement("a", 1, 1, volume, 0, 0, None)
    assert compare_label_maps(first, names, empty, {1: "a"}, GRID) == [missed]
    assert compare_label_maps(empty, {1: "a"}, first, names, GRID) == [
        StructureAgreement("a", 1, 1, 0, volume, 0, None)
    ]
    both = first.copy()
    both[0, 0, 0] = 2
    rows = compare_label_maps(both, names, first, {1: "a"}, GRID)
    assert rows[1] == StructureAgreement("b", 2, None, GRID.voxel_ml, None, None, None)


def test_names_of_a_class_meet_but_numbers_are_no_classes():
    labels = balls(1)
    first = {1: "left kidney", 2: "spinal cord", 300: "1"}
    second = {1: "Spinal_Cord", 2: "kidney_left", 300: "liver"}
    pairs = [(row.first_id, row.second_id) for row in compare_label_maps(labels, first, labels, second, GRID)]
    assert pairs == [(1, 2), (2, 1), (300, None), (None, 300)]


def test_without_a_common_name_both_are_listed():
    with pytest.raises(AnatomyError, match="one has a, b, c, the other x"):
        compare_label_maps(balls(0), {1: "a", 2: "b", 300: "c"}, balls(0), {1: "x", 9: "y"}, GRID)
    with pytest.raises(AnatomyError, match="one has nothing"):
        compare_label_maps(np.zeros(GRID.shape, np.uint8), {}, balls(0), {1: "x"}, GRID)
