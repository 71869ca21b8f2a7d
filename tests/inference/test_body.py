import numpy as np
import pytest
import torch

from openvista.geometry.box import Box
from openvista.inference.body import CELL, Body, find_body
from openvista.inference.windows import plan_windows, without_air

HU_WINDOW = (-1000.0, 1000.0)
SPACING = (1.5, 1.5, 1.5)
WINDOW = (16, 16, 16)


def air(shape=(80, 60, 64)):
    return torch.zeros(shape)


def body_of(image, window=WINDOW):
    return find_body(image, SPACING, HU_WINDOW, window)


def test_the_box_holds_the_body_and_a_margin():
    image = air()
    image[30:50, 20:40, 24:40] = 0.5
    box = body_of(image).box
    for side, (first, stop) in zip(box.slices(), [(30, 50), (20, 40), (24, 40)], strict=True):
        assert first - 10 - 2 * CELL < side.start <= first - 10
        assert stop + 10 <= side.stop < stop + 10 + 2 * CELL


def test_lungs_are_body_though_they_hold_air():
    image = air((64, 48, 48))
    image[10:54, 8:40, :] = 0.5
    image[14:50, 12:36, :] = 0  # a tube of tissue around air, larger than a window
    body = body_of(image)
    plan = without_air(plan_windows(body.box.shape, WINDOW, 0.5), body)
    covered = np.zeros(plan.padded, dtype=bool)
    for start in plan.starts:
        covered[plan.slices(start)] = True
    x, y, z = body.box.start
    assert covered[10 - x : 54 - x, 8 - y : 40 - y, -z:].all()


def test_windows_in_air_are_left_out_and_none_that_touch_the_body():
    image = air((128, 60, 64))
    image[4:24, 20:40, 24:30] = 0.5
    image[100:120, 20:40, 50:60] = 0.5
    body = body_of(image)
    everywhere = plan_windows(body.box.shape, WINDOW, 0.5)
    kept = set(without_air(everywhere, body).starts)
    assert len(kept) < len(everywhere.starts) / 2
    for start in set(everywhere.starts) - kept:
        assert image[body.box.slices()][everywhere.slices(start)].max() == 0


def test_a_volume_without_tissue_is_looked_at_as_a_whole():
    body = body_of(air())
    assert body.box == Body.whole(air().shape).box
    plan = plan_windows((80, 60, 64), WINDOW, 0.5)
    assert without_air(plan, body).starts == plan.starts


@pytest.mark.parametrize("shape", [(1, 1, 1), (80, 3, 40), (5, 70, 1)])
def test_small_volumes_keep_all_their_windows(shape):
    body = body_of(torch.full(shape, 0.5))
    assert body.box == Box.whole(shape)
    plan = plan_windows(shape, WINDOW, 0.5)
    assert without_air(plan, body).starts == plan.starts


def test_the_box_is_not_smaller_than_a_window_where_there_are_voxels():
    image = air()
    image[76:80, 2:6, 30:34] = 0.5
    box = body_of(image, window=(64, 48, 100)).box
    assert box.shape[0] >= 64
    assert box.shape[1] >= 48
    assert box.shape[2] == 64


def test_a_threshold_below_the_hu_window_still_finds_air():
    image = air()
    image[30:50] = 0.1
    assert find_body(image, SPACING, (-200.0, 300.0), WINDOW).box.start[0] > 0
