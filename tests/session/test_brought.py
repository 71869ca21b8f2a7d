"""Masks that somebody brought are the same however they are kept, and what they take depends on what is in them."""

import numpy as np
import pytest

from openvista.geometry.box import Box, Crop
from openvista.session.brought import BroughtMask, PackedMask, boxes_of_labels

SHAPE = (150, 20, 140)


def structures(dtype: type = np.uint8, order: str = "C") -> np.ndarray:
    """Cuboids; 3 has a stray voxel far away, 5 lies everywhere, 9 has nothing."""
    labels = np.zeros(SHAPE, dtype, order=order)
    labels[::9, ::3, ::7] = 5
    labels[10:30, 2:9, 50:80] = 2
    labels[100:120, 2:9, 5:20] = 3
    labels[1, 18, 139] = 3
    labels[149, 19, 0] = 7
    return labels


@pytest.mark.parametrize(("dtype", "order"), [(np.uint8, "C"), (np.uint16, "F")])
def test_boxes_hold_every_voxel_once_and_little_else(dtype, order):
    labels = structures(dtype, order)
    found = boxes_of_labels(labels)
    assert {value: len(boxes) for value, boxes in found.items()} == {2: 1, 3: 2, 5: 1, 7: 1}
    for value, boxes in found.items():
        held = np.zeros(SHAPE, int)
        for box in boxes:
            held[box.slices()] += 1
        assert held.max() == 1
        assert held[labels == value].all()
    assert found[2] == [Box.around(labels == 2)]
    assert boxes_of_labels(np.zeros(SHAPE, np.uint8)) == {}


@pytest.mark.parametrize("value", [2, 3, 5, 7, 9])
def test_a_mask_of_a_label_map_and_one_of_a_crop_are_the_mask(value):
    labels = structures()
    inside = labels == value
    of_label = BroughtMask.of_label(labels, value, boxes_of_labels(labels).get(value, ()))
    of_crop = BroughtMask.of(Crop((0, 0, 0), inside))
    for mask in (of_label, of_crop):
        assert np.array_equal(mask.whole().on(Box.whole(SHAPE), False), inside)
    if value == 3:
        assert len(of_crop.parts) == 2
        assert of_label.nbytes == of_crop.nbytes < inside.nbytes / 1000
    assert BroughtMask.of(Crop.nothing(bool)).whole().box.empty


def test_bytes_that_do_not_fit_a_box_are_refused():
    with pytest.raises(ValueError, match="are not the voxels of a box"):
        PackedMask(Box((0, 0, 0), (3, 3, 3)), np.zeros(3, np.uint8))
