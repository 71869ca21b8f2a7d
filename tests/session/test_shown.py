"""Crops together are what one array would be."""

import numpy as np

from openvista.geometry.box import Box, Crop
from openvista.session.shown import Shown

WHOLE = Box.whole((12, 10, 8))


def test_what_lies_on_top_counts_on_its_box_and_elsewhere_nothing_changes():
    random = np.random.default_rng(4)
    crops = [
        Crop(start, np.where(random.random(shape) < 0.5, np.int8(5), np.int8(-5)))
        for start, shape in (((0, 0, 0), (4, 5, 6)), ((6, 1, 1), (5, 5, 5)), ((9, 8, 6), (1, 1, 1)))
    ]
    top = Crop((3, 2, 2), random.normal(size=(7, 7, 6)).astype(np.float32))
    expected = np.full(WHOLE.shape, -1.0)
    for crop in (*crops, top):
        expected[crop.slices] = crop.values_XYZ
    shown = Shown(tuple(crops)).under(top)
    assert len(shown.crops) == 3  # the last of them lies under it as a whole
    assert np.array_equal(shown.on(WHOLE), expected)
    assert np.array_equal(shown.whole().on(WHOLE, -1), expected)
    assert np.array_equal(shown.mask().on(WHOLE, False), expected > 0)
    positive = np.zeros(WHOLE.shape, int)
    for crop in shown.crops:
        positive[crop.slices] += crop.values_XYZ > 0
    assert positive.max() == 1


def test_nothing_is_shown_as_nothing():
    assert Shown(()).whole().box.empty
    assert Shown(()).mask().box.empty
    assert not (Shown(()).on(WHOLE) > 0).any()
