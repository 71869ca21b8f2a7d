"""Windows near what is found, against all windows: a network that finds bright voxels, and tiny random ones."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.inference.automatic import WindowQuestion, label_windowed, may_search, segment_scan
from openvista.inference.labelling import Decision
from openvista.inference.profiles import BEST
from openvista.inference.progress import Progress
from openvista.inference.search import LARGEST_GAP, first_windows, search
from openvista.inference.stitching import Storage
from openvista.inference.windows import Windowed, pad, plan_windows
from openvista.prepare import Prepared
from small_inference import make_scan

CPU = torch.device("cpu")
WINDOW, SHAPE = (10, 10, 10), (80, 22, 10)
STORAGE = Storage(CPU, torch.float32)
TISSUE, FIRST, SECOND = 0.5, 0.7, 1.0


def cut(image_XYZ, mm=(10.0, 10.0, 10.0)):
    """A made-up scan on the model grid, cut as ``best`` does."""
    grid = Grid(tuple(image_XYZ.shape), np.diag([*mm, 1.0]))
    plan = plan_windows(grid.shape, WINDOW, BEST.overlap, BEST.placement)
    padded = pad(image_XYZ, plan, BEST.padding)
    return Windowed(Prepared(image_XYZ, grid, grid), BEST, Box.whole(grid.shape), plan, padded)


class Bright:
    """A stand-in for a network: two classes by brightness, less sure where the window is dark as a whole, so that
    windows do not agree. It counts what it is asked."""

    def __init__(self):
        self.seen = Counter()

    def __call__(self, windows_XYZ):
        return map(self.logits, windows_XYZ)

    def logits(self, window_XYZ):
        self.seen[window_XYZ.storage_offset()] += 1
        mean = window_XYZ.mean() - TISSUE
        first = 0.08 - (window_XYZ - FIRST).abs() + mean
        second = 0.08 - (window_XYZ - SECOND).abs() + mean
        return torch.stack([first, second], -1)


def with_boxes(*boxes):
    """Noisy tissue with bright boxes in it: (value, x, y) with slices."""
    image = torch.rand(SHAPE, generator=torch.Generator().manual_seed(2)) * 0.02 + TISSUE
    for value, x, y in boxes:
        image[x, y, 3:7] = value
    return image


def both(image):
    """Labels near what is found, and everywhere; the windows encoded; those of the plan; steps reported."""
    windowed, bright, steps = cut(image), Bright(), []
    decision = Decision(None, 1 << 12)
    question = WindowQuestion((1, 2), bright, 2, decision)
    found = search(windowed, bright, decision, 2, STORAGE, steps.append)
    near = label_windowed(found, question, STORAGE, steps.append)
    assert set(bright.seen.values()) == {1}, "a window was encoded twice"
    encoded = sum(bright.seen.values())
    assert encoded == len(found.plan.starts)
    return near, label_windowed(windowed, question, STORAGE), encoded, len(windowed.plan.starts), steps


BOTH = [(FIRST, slice(22, 26), slice(4, 9)), (SECOND, slice(27, 31), slice(4, 9))]


def test_few_windows_say_the_same_to_the_bit():
    near, everywhere, encoded, windows, _ = both(with_boxes(*BOTH))
    assert set(np.unique(everywhere)) == {0, 1, 2}
    assert np.array_equal(near, everywhere)
    assert encoded < 0.75 * windows


def test_a_structure_that_goes_on_beyond_the_windows_is_followed():
    """A thin one along a gap between the first windows comes into sight at one end only."""
    plan = cut(with_boxes()).plan
    ends = {start[1] for start in first_windows(plan)}
    gap = next(y for y in range(SHAPE[1]) if not any(end <= y < end + WINDOW[1] for end in ends))
    image = with_boxes(*BOTH, (SECOND, slice(28, 70), slice(gap, gap + 1)))
    image[28:31, 8 : gap + 1, 3:7] = SECOND
    near, everywhere, encoded, _, _ = both(image)
    assert everywhere[66:70, gap, 4].all(), "the structure must be found to its end"
    assert np.array_equal(near, everywhere)
    assert encoded > len(first_windows(plan))


def test_a_structure_in_two_places_is_found_in_both():
    near, everywhere, encoded, windows, _ = both(with_boxes(*BOTH, (FIRST, slice(64, 68), slice(12, 16))))
    assert everywhere[64:68].any()
    assert np.array_equal(near, everywhere)
    assert encoded < windows


@pytest.mark.parametrize("boxes", [[], BOTH[:1]], ids=["no class", "one class of two"])
def test_what_is_not_found_is_looked_for_everywhere(boxes):
    near, everywhere, encoded, windows, _ = both(with_boxes(*boxes))
    assert encoded == windows
    assert np.array_equal(near, everywhere)


def test_what_lies_in_a_gap_only_is_found():
    plan = cut(with_boxes()).plan
    seen = np.zeros(SHAPE, bool)
    for start in first_windows(plan):
        seen[plan.slices(start)] = True
    x = int(np.flatnonzero(~seen.any((1, 2)))[0])
    near, everywhere, encoded, windows, _ = both(with_boxes(BOTH[0], (SECOND, slice(x, x + 1), slice(3, 9))))
    assert (everywhere == 2).any()
    assert np.array_equal(near, everywhere)
    assert encoded == windows


def test_progress_counts_windows_and_corrects_its_total():
    *_, encoded, windows, steps = both(with_boxes(*BOTH))
    steps = [step for step in steps if step.stage == "encode"]
    assert [step.done for step in steps] == list(range(1, encoded + 1))
    assert all(step.done <= step.total <= windows for step in steps)
    assert steps[0].total == windows
    assert steps[-1] == Progress("encode", encoded, encoded)


@pytest.mark.parametrize("length", [10, 11, 16, 22, 37, 80])
@pytest.mark.parametrize("overlap", [0.0, 0.15, 0.4, 0.625])
def test_gaps_between_the_first_windows_are_small(length, overlap):
    plan = plan_windows((length, 10, 10), WINDOW, overlap, "even")
    first = first_windows(plan)
    assert set(first) <= set(plan.starts)
    bounds = [0, *(bound for start in first for bound in (start[0], start[0] + WINDOW[0])), length]
    gaps = [after - before for before, after in zip(bounds[::2], bounds[1::2], strict=True)]
    assert max(gaps) <= LARGEST_GAP * WINDOW[0]
    fewer = len(first) < len(plan.starts)
    assert fewer or overlap < 0.4 or length < 22
    assert not fewer or overlap > 0 or length % WINDOW[0] < 5, "without overlap only an end may be left out"


def test_a_scan_from_end_to_end(tiny_windows):
    """A random network says something everywhere, so nothing may be left out."""
    scan = make_scan((80, 30, 20), np.diag([2.0, 2.0, 2.0, 1.0]))
    labels = {}
    for everywhere in (False, True):
        profile = BEST.override(everywhere=everywhere)
        labels[everywhere] = segment_scan(tiny_windows, scan, (5,), profile, one_piece_ids=(5,))
    assert labels[True].any()
    assert np.array_equal(labels[False], labels[True])


def test_who_may_search():
    windowed, one, none = cut(with_boxes()), {1, 2, 3}, set()
    logits = WindowQuestion((1, 2), Bright(), 2, Decision(None, 9))
    features = replace(logits, decision=Decision(torch.zeros(2, 4), 9))
    assert may_search(windowed, logits, one, CPU)
    assert not may_search(windowed, features, one, CPU), "many classes"
    assert not may_search(windowed, logits, none, CPU), "pieces far away count"
    for choice in ({"everywhere": True}, {"drop_strays": False}):
        assert not may_search(replace(windowed, profile=BEST.override(**choice)), logits, one, CPU)
    whole = replace(windowed, plan=replace(windowed.plan, starts=first_windows(windowed.plan)))
    assert not may_search(whole, logits, one, CPU), "nothing to leave out"
    huge = replace(windowed.plan, window=(10**5, 10**5, 10**5))
    assert not may_search(replace(windowed, plan=huge), logits, one, CPU)
