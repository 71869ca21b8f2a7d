"""Scan and Segmentation: arrays that fit their grid, and questions to a segmentation."""

from dataclasses import replace

import numpy as np
import pytest

from openvista.errors import AnatomyError, GridError
from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.scan import ClassMaps, Scan, Segmentation

GRID = Grid((4, 5, 6), np.diag([2.0, 2.0, 2.5, 1.0]))


def segmentation() -> Segmentation:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[1:3, 1:3, 1:3] = 3
    labels[3, 4, 5] = 20
    voxels = np.where(labels == 3, 40, -1000).astype(np.int16)
    return Segmentation(labels, GRID, {3: "Spleen", 20: "lung", 7: "aorta"}, scan=Scan(voxels, GRID, "case"))


def test_shapes_must_fit() -> None:
    with pytest.raises(GridError, match=r"\(4, 5, 7\)"):
        Scan(np.zeros((4, 5, 7), np.int16), GRID)
    with pytest.raises(GridError, match=r"\(4, 5, 7\)"):
        Segmentation(np.zeros((4, 5, 7), np.uint8), GRID, {})


def test_a_scan_on_another_grid_is_refused() -> None:
    scan = Scan(np.zeros(GRID.shape, np.int16), Grid(GRID.shape, np.eye(4)), "other")
    with pytest.raises(GridError, match="other"):
        Segmentation(np.zeros(GRID.shape, np.uint8), GRID, {}, scan=scan)


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float32, bool])
def test_labels_of_another_type_are_refused(dtype: type) -> None:
    with pytest.raises(ValueError, match="uint8 or uint16"):
        Segmentation(np.zeros(GRID.shape, dtype), GRID, {})


def test_mask_by_id_and_name() -> None:
    seg = segmentation()
    assert seg.mask(3).sum() == 8
    np.testing.assert_array_equal(seg.mask("SPLEEN"), seg.labels == 3)
    assert not seg.mask("aorta").any()


def test_an_unknown_structure_names_the_nearest() -> None:
    with pytest.raises(AnatomyError, match=r"'spleeen'.*nearest: spleen"):
        segmentation().mask("spleeen")
    with pytest.raises(AnatomyError, match="99"):
        segmentation().mask(99)


def test_every_name_has_a_colour_and_given_ones_stay() -> None:
    seg = Segmentation(np.zeros(GRID.shape, np.uint8), GRID, {1: "a", 300: "b"}, {1: (1, 2, 3)})
    assert seg.colours[1] == (1, 2, 3)
    assert all(0 <= channel <= 255 for channel in seg.colours[300])


def test_table_has_a_row_per_name_in_order() -> None:
    rows = segmentation().table()
    assert [(row.id, row.name, row.voxels) for row in rows] == [(3, "Spleen", 8), (7, "aorta", 0), (20, "lung", 1)]
    assert rows[0].volume_ml == pytest.approx(8 * 0.01)
    assert (rows[0].mean_hu, rows[1].mean_hu) == (40, None)
    assert [row.touches_border for row in rows] == [False, False, True]


def test_what_is_unlikely_is_in_the_table_and_can_be_left_out() -> None:
    seg = segmentation()
    assert [row.unlikely for row in seg.table()] == [(), (), ()]
    judged = replace(seg, unlikely={20: ("volume", "HU")})
    assert judged.table()[2].unlikely == ("volume", "HU")
    left = judged.without_unlikely()
    assert np.array_equal(left.labels, np.where(seg.labels == 20, 0, seg.labels))
    assert left.labels.dtype == seg.labels.dtype
    assert (left.table()[2].voxels, left.table()[2].unlikely) == (0, ("volume", "HU"))
    assert judged.combined([3, 20], 20, "both").unlikely == {}
    assert judged.combined([3, 7], 7, "both").unlikely == {20: ("volume", "HU")}


@pytest.mark.parametrize("whole", [2, 7, 300])
def test_combined(whole: int) -> None:
    labels = np.array([[[0, 1, 2, 3, 2]]], np.uint8)
    before = Segmentation(labels, Grid(labels.shape, np.eye(4)), {1: "a", 2: "b", 3: "c", 4: "absent"}, {2: (1, 2, 3)})
    after = before.combined([2, 3], whole, "both")
    assert after.labels.tolist() == [[[0, 1, whole, whole, whole]]]
    assert after.names == {1: "a", 4: "absent", whole: "both"}
    assert set(after.colours) == {1, 4, whole}
    assert before.labels.tolist() == [[[0, 1, 2, 3, 2]]]


def test_a_crop_stays_where_it_was_in_the_patient() -> None:
    affine = np.array([[0, -2, 0, 7], [3, 0, 0.5, -4], [0, 0, 4, 1], [0, 0, 0, 1.0]])
    labels = np.arange(10 * 9 * 8).reshape(10, 9, 8).astype(np.uint16)
    scan = Scan(labels.astype(np.int16), Grid(labels.shape, affine), geometry={"sform": np.eye(4)})
    maps = ClassMaps("probabilities", np.stack([labels, labels + 1]), scan.grid, {3: "spleen", 4: "liver"}, scan)
    whole = Segmentation(labels, scan.grid, {3: "spleen"}, scan=scan, class_maps=maps)
    part = whole.cropped(Box((6, 2, 0), (9, 7, 5)))
    assert part.scan is not None
    assert part.class_maps is not None
    for values in (part.labels, part.scan.voxels, part.class_maps.values_KXYZ[0]):
        assert np.array_equal(values, labels[6:9, 2:7, 0:5])
    for grid in (part.grid, part.scan.grid, part.class_maps.grid):
        assert np.allclose(grid.to_world(np.array([[1, 2, 3]])), scan.grid.to_world(np.array([[7, 4, 3]])))
    assert part.scan.geometry is None
    assert scan.cropped(Box.whole(labels.shape)) is scan


def test_segmentations_of_one_grid_are_compared() -> None:
    seg = segmentation()
    other = replace(seg, labels=np.where(seg.labels == 3, 3, 0).astype(np.uint8), scan=None)
    rows = seg.compare(other)
    assert [(row.name, row.dice) for row in rows] == [("Spleen", 1), ("lung", 0)]
    elsewhere = Segmentation(seg.labels, Grid(GRID.shape, np.eye(4)), seg.names)
    with pytest.raises(GridError, match="does not lie on the grid of this one"):
        seg.compare(elsewhere)
