"""Images of any modality as scans: axes, spacing, grey values."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openvista.cvpr.image import Reading
from openvista.errors import InputError
from openvista.prepare import prepare
from small_challenge import PRESET
from small_evaluation import CARD

LOW, HIGH = PRESET.hu_window


@given(st.tuples(*[st.integers(1, 5)] * 3), st.integers(0, 99))
def test_axes_go_there_and_back(shape, seed):
    image = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    scan = Reading(window=(0.0, 255.0), resample="always", spacing_order="zyx").scan(image, (3.0, 2.0, 1.0), PRESET)
    assert scan.grid.spacing == (1.0, 2.0, 3.0)
    assert np.array_equal(scan.voxels.transpose(2, 1, 0), image)
    assert scan.grid.axis_codes == "LPS"


@pytest.mark.parametrize(
    ("stored", "order", "expected"),
    [
        ((5.0, 0.8, 0.8), "auto", (5.0, 0.8, 0.8)),
        ((0.8, 0.8, 5.0), "auto", (5.0, 0.8, 0.8)),
        ((1.0, 2.0, 3.0), "auto", (1.0, 2.0, 3.0)),
        ((0.8, 0.8, 5.0), "zyx", (0.8, 0.8, 5.0)),
        ((1.0, 2.0, 3.0), "xyz", (3.0, 2.0, 1.0)),
    ],
)
def test_the_order_of_the_spacing(stored, order, expected):
    assert Reading(spacing_order=order).spacing_ZYX(stored) == expected


def test_grey_values_are_stretched_between_percentiles():
    image = np.arange(1000, dtype=np.uint16).reshape(10, 10, 10) * 60  # no modality has such numbers
    voxels = Reading().scan(image, (2.0, 2.0, 2.0), PRESET).voxels
    assert voxels.dtype == np.float32
    assert (voxels.min(), voxels.max()) == pytest.approx((LOW, HIGH))
    assert (np.sort(voxels.ravel())[[10, -11]]) == pytest.approx([LOW, HIGH], abs=3)
    assert np.median(voxels) == pytest.approx((LOW + HIGH) / 2, abs=3)


def test_few_bright_voxels_and_constant_images_pass():
    image = np.zeros((10, 10, 10), np.uint8)
    assert Reading().scan(image, (2.0, 2.0, 2.0), PRESET).voxels.max() == pytest.approx(LOW)
    image[5, 5, 5] = 9
    assert Reading().scan(image, (2.0, 2.0, 2.0), PRESET).voxels[5, 5, 5] == pytest.approx(HIGH)


def test_a_known_window_gives_hu_back():
    image = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1)
    voxels = Reading(window=(-160.0, 240.0)).scan(image, (2.0, 2.0, 2.0), PRESET).voxels
    assert voxels.ravel() == pytest.approx([-160, -80, 240])


@pytest.mark.parametrize(
    ("spacing", "resample", "shape"),
    [
        ((1.0, 1.0, 1.0), "auto", (10, 10, 10)),
        ((0.01, 0.01, 0.01), "auto", (20, 20, 20)),  # no patient of 0.2 mm: its own voxels
        ((1.0, 1.0, 1.0), "never", (20, 20, 20)),
        ((0.01, 0.01, 0.01), "always", (1, 1, 1)),
    ],
)
def test_what_the_network_sees(spacing, resample, shape):
    scan = Reading(resample=resample).scan(np.zeros((20, 20, 20), np.uint8), spacing, PRESET)
    prepared = prepare(scan, PRESET.spacing, PRESET.hu_window).grid.shape
    assert all(abs(side - wanted) <= 1 for side, wanted in zip(prepared, shape, strict=True))


def test_choices_that_do_not_exist():
    with pytest.raises(InputError, match="resample"):
        Reading(resample="maybe")
    with pytest.raises(InputError, match="spacing-order"):
        Reading(spacing_order="yzx")
    with pytest.raises(InputError, match="lower"):
        Reading(window=(5.0, 5.0))


def test_a_card_says_how_unless_somebody_asks_for_something_else():
    card = replace(CARD, challenge={"percentiles": [5, 95], "resample": "never"})
    assert Reading().for_model(card) == Reading(resample="never", percentiles=(5.0, 95.0))
    assert Reading(resample="always").for_model(card).resample == "always"
    assert Reading().for_model(CARD) == Reading()
