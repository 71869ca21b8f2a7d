"""What is likely: measures against a plain computation, limits of ranges, what is judged of cut scans."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from openvista.geometry.grid import Grid
from openvista.plausibility import CHANCE, ClassRanges, Gathered, Plausibility, SeenRange, Shape, in_words, shapes

WINDOW = (-500.0, 900.0)
OBLIQUE = np.array([[1.9, 0.3, 0, 5], [-0.4, 2.1, 0.2, -7], [0, -0.3, 3.1, 40], [0, 0, 0, 1]], dtype=float)
SEEN = SeenRange.of([20.0, 22.0, 25.0, 26.0, 30.0], geometric=True)


def test_measures_equal_the_plain_computation():
    random = np.random.default_rng(0)
    labels = np.zeros((14, 12, 10), np.uint8)
    labels[3:9, 2:10, 1:9] = random.choice([0, 4, 7], (6, 8, 8))
    labels[5, 5, 0] = 7
    hu = random.integers(-1000, 3000, labels.shape).astype(np.int16)
    found = shapes(labels, Grid(labels.shape, OBLIQUE), hu, [4, 7, 9, 300], WINDOW)
    assert found.keys() == {4, 7}
    for key, shape in found.items():
        mask = labels == key
        places = np.argwhere(mask) @ OBLIQUE[:3, :3].T + OBLIQUE[:3, 3]
        box = OBLIQUE[:3, :3] @ OBLIQUE[:3, :3].T / 12
        values = np.linalg.eigvalsh(np.cov(places.T, bias=True) + box)
        assert shape.volume_ml == pytest.approx(mask.sum() * np.linalg.det(OBLIQUE[:3, :3]) / 1000)
        assert shape.mean_hu == pytest.approx(np.clip(hu[mask], *WINDOW).mean())
        assert shape.elongation == pytest.approx(math.sqrt(values[1] / values[2]))
        assert shape.height_mm == pytest.approx(places[:, 2].mean())
    assert (found[4].cut, found[7].cut) == (False, True)
    assert shapes(labels, Grid(labels.shape, OBLIQUE), None, [4], WINDOW, margin=1)[4].cut


@pytest.mark.parametrize("cases", [2, 5, 30])
def test_limits_are_those_of_a_further_value_and_nothing_seen_is_outside(cases):
    values = np.random.default_rng(cases).normal(30, 4, cases)
    low, high = SeenRange.of(values.tolist()).limits(0.0)
    reach = stats.t.ppf(1 - CHANCE / 2, cases - 1) * values.std(ddof=1) * math.sqrt(1 + 1 / cases)
    assert low == pytest.approx(min(values.min(), values.mean() - reach), rel=1e-2)
    assert high == pytest.approx(max(values.max(), values.mean() + reach), rel=1e-2)
    wider = SeenRange.of(values.tolist()).limits(10.0)
    assert wider[0] < low
    assert wider[1] > high


def test_a_single_case_says_nothing_of_others():
    assert SeenRange.of([3.0]) is None
    ranges = Gathered([{1: Shape(3.0, 40.0, 0.8, 0.0, False)}]).ranges()
    assert Plausibility(ranges, WINDOW).judge({1: Shape(900.0, -900.0, 0.1, 0.0, False)}) == {}


def test_a_volume_far_from_what_was_seen_is_unlikely_by_its_factor():
    judge = Plausibility({1: ClassRanges(volume_ml=SEEN)}, WINDOW)
    shape = Shape(24.0, 40.0, 0.8, 0.0, False)
    assert judge.judge({1: shape, 2: shape}) == {}
    for factor in (1 / 6, 6):
        assert judge.judge({1: replace(shape, volume_ml=24.0 * factor)}) == {1: ("volume",)}


def test_of_what_is_cut_a_small_volume_and_the_elongation_say_nothing():
    round_ = SeenRange.of([0.80, 0.82, 0.84, 0.86] * 5)
    judge = Plausibility(
        {1: ClassRanges(volume_ml=SEEN, elongation=round_, mean_hu=SeenRange.of([30.0, 40.0] * 9))}, WINDOW
    )
    part = Shape(0.5, 35.0, 0.1, 0.0, True)
    assert judge.judge({1: part}) == {}
    assert judge.judge({1: replace(part, cut=False)}) == {1: ("volume", "elongation")}
    assert judge.judge({1: replace(part, volume_ml=900.0, mean_hu=-400.0)}) == {1: ("volume", "HU")}


def test_what_was_marked_in_part_is_longer_than_its_marks():
    thin = SeenRange.of([0.20, 0.22, 0.24, 0.26] * 5)
    judge = Plausibility({1: ClassRanges(volume_ml=SEEN, elongation=thin, open_ended=True)}, WINDOW)
    longer = Shape(300.0, 40.0, 0.02, 0.0, False)
    assert judge.judge({1: longer}) == {}
    assert judge.judge({1: replace(longer, volume_ml=1.0, elongation=0.9)}) == {1: ("volume", "elongation")}


def bodies(count: int = 20) -> list[dict[int, Shape]]:
    """Three structures 50 mm apart, with some spread, in scans whose origins differ; a fourth was marked in part."""
    random = np.random.default_rng(1)
    found = []
    for _ in range(count):
        heights = random.uniform(-900, 900) + np.array([0, 50, 100, 20]) + random.normal(0, 4, 4)
        found.append({key: Shape(10.0, 40.0, 0.8, height, False) for key, height in enumerate(heights, start=1)})
    return found


def test_where_a_structure_lies_is_judged_by_most_of_the_others():
    judge = Plausibility(Gathered(bodies(), {4}).ranges(), WINDOW)
    assert judge.ranges[4].height_mm is None
    body = bodies()[0]
    assert judge.judge({key: replace(shape, height_mm=shape.height_mm - 5000) for key, shape in body.items()}) == {}
    for key, shift in ((1, -150), (3, 150)):
        moved = {**body, key: replace(body[key], height_mm=body[key].height_mm + shift)}
        assert judge.judge(moved) == {key: ("place",)}
    body[3] = replace(body[3], height_mm=body[3].height_mm + 150)
    del body[1]
    assert judge.judge(body) == {}, "of two nobody knows which one is misplaced"


def test_classes_that_no_case_shows_together_have_no_heights_on_one_scale():
    elsewhere = [{key + 10: shape for key, shape in body.items()} for body in bodies(5)]
    ranges = Gathered([*bodies(), *elsewhere], {4, 14}).ranges()
    assert {key for key, one in ranges.items() if one.height_mm is not None} in ({1, 2, 3}, {11, 12, 13})


def test_a_scan_shows_nothing_known_where_all_is_unlikely_or_a_small_part():
    judge = Plausibility({1: ClassRanges(volume_ml=SEEN)}, WINDOW)
    assert judge.shows({1: 24.0}, ())
    assert judge.shows({2: 0.1}, ())  # a class without ranges
    assert not judge.shows({1: 24.0}, {1})
    assert not judge.shows({1: 0.5}, ())
    assert not judge.shows({}, ())


def test_in_words():
    assert in_words(("volume", "HU")) == "unlikely: volume, HU"
    assert in_words(()) == ""
