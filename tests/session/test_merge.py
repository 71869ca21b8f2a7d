"""The merge rules, one by one, as properties, and against MONAI's own where that is not broken."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from openvista.inference.profiles import BEST, BUNDLE
from openvista.network import ClickLabel
from openvista.session.merge import (
    CERTAINTY,
    NOT_ASKED,
    RADIUS,
    Merged,
    VoxelClick,
    correct_nearby,
    enforce_clicks,
    enforcement_radius,
    keep_clicked,
    merge_clicks,
    nearest_click,
)
from openvista.session.session import Session
from small_sessions import BrightRegions, bright_scan, bright_session, two_balls

SHAPE = (9, 8, 7)


def logits(seed: int, smooth: float = 1.0) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), smooth)
    return (noise / noise.std() * 3).astype(np.float32)


def random_clicks(seed: int, count: int) -> list[VoxelClick]:
    random = np.random.default_rng(seed)
    return [VoxelClick(tuple(int(random.integers(n)) for n in SHAPE), bool(random.integers(2))) for _ in range(count)]


def line(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)[:, None, None]


def signs(array: np.ndarray) -> list[int]:
    return (array.ravel() > 0).astype(int).tolist()


def at(x: int, positive: bool = True) -> VoxelClick:
    return VoxelClick((x, 0, 0), positive)


def test_a_positive_click_outside_takes_its_piece_of_what_is_added():
    previous, answer = line(-1, -1, 5, -1, -1, -1), line(3, -3, 3, -3, 3, -3)
    merged = merge_clicks(previous, answer, [at(4)])
    assert merged.logits_XYZ.ravel().tolist() == [-1, -1, 5, -1, 3, -1]


def test_a_click_of_either_sign_in_the_old_mask_makes_all_of_the_answer_added():
    previous, answer = line(-1, 5, -1, -1), line(3, 3, 3, -3)
    assert merge_clicks(previous, answer, [at(1)]).logits_XYZ.ravel().tolist() == [3, 3, 3, -1]
    assert signs(merge_clicks(previous, answer, [at(0)]).logits_XYZ) == [1, 1, 0, 0]
    both = merge_clicks(previous, answer, [at(0), at(1, False)])
    assert both.logits_XYZ.ravel().tolist() == [3, 3, 3, -1]


def test_a_negative_click_takes_its_piece_of_what_is_removed():
    previous, answer = line(5, 5, -1, 5, 5), line(-3, -2, -3, -3, 3)
    merged = merge_clicks(previous, answer, [at(0, False)])
    assert merged.logits_XYZ.ravel().tolist() == [-3, -2, -1, 5, 5]


@pytest.mark.parametrize(("distance", "found"), [(1, True), (2, True), (3, False)])
def test_a_click_near_a_piece_finds_it_within_two_voxels(distance, found):
    previous, answer = np.full(SHAPE, -1, np.float32), np.full(SHAPE, -3, np.float32)
    answer[5, 4, 3] = 2
    merged = merge_clicks(previous, answer, [VoxelClick((5 - distance, 4, 3), True)])
    assert (merged.logits_XYZ[5, 4, 3] > 0) == found


def test_not_a_number_where_nothing_was_visited_does_no_harm():
    nan = float("nan")
    answer, visited = line(nan, 3, nan), np.array([0, 1, 0], bool)[:, None, None]
    merged = merge_clicks(line(-1, -1, 5), answer, [at(1)], visited)
    assert merged.logits_XYZ.ravel().tolist() == [-1, 3, 5]
    kept = keep_clicked(answer, [at(1)], visited)
    assert kept.logits_XYZ[1] == 3
    assert kept.known_XYZ.ravel().tolist() == [False, True, False]


def test_what_was_not_visited_stays():
    previous, visited = line(5, 5, -1), np.array([1, 0, 0], bool)[:, None, None]
    merged = merge_clicks(previous, line(-3, -3, 3), [at(0, False), at(2)], visited)
    assert merged.logits_XYZ.ravel().tolist() == [-3, 5, -1]


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 4))
def test_only_what_clicks_took_changes(seed, count):
    previous, answer, clicks = logits(seed), logits(seed + 1), random_clicks(seed, count)
    merged = merge_clicks(previous, answer, clicks)
    assert np.array_equal(merged.logits_XYZ[~merged.taken_XYZ], previous[~merged.taken_XYZ])
    assert np.array_equal(merged.logits_XYZ[merged.taken_XYZ], answer[merged.taken_XYZ])
    assert count or not merged.taken_XYZ.any()


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 4))
def test_merging_twice_equals_once(seed, count):
    previous, answer, clicks = logits(seed), logits(seed + 1), random_clicks(seed, count)
    once = merge_clicks(previous, answer, clicks)
    assert np.array_equal(merge_clicks(previous, answer, clicks + clicks).logits_XYZ, once.logits_XYZ)
    assert np.array_equal(merge_clicks(previous, answer, clicks[::-1]).logits_XYZ, once.logits_XYZ)
    kept = keep_clicked(answer, clicks)
    again = keep_clicked(kept.logits_XYZ, clicks)
    assert np.array_equal(again.logits_XYZ > 0, kept.logits_XYZ > 0)


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_clicks_outside_the_array_count_for_nothing(seed):
    previous, answer, clicks = logits(seed), logits(seed + 1), random_clicks(seed, 2)
    outside = [VoxelClick((-1, 2, 2), True), VoxelClick((2, 2, SHAPE[2]), False)]
    expected = merge_clicks(previous, answer, clicks).logits_XYZ
    assert np.array_equal(merge_clicks(previous, answer, [*clicks, *outside]).logits_XYZ, expected)


def test_clicks_alone_keep_their_pieces_and_hide_the_others():
    answer = line(2, 2, -4, 3, -2, 1)
    kept = keep_clicked(answer, [at(0), at(5, False)])
    assert kept.logits_XYZ.ravel().tolist() == [2, 2, -4, -3, -2, -3]  # -3 is the mean of -4 and -2
    assert kept.taken_XYZ.ravel().tolist() == [True, True, False, False, False, False]


def test_pieces_touch_at_corners_and_no_further():
    answer = np.full((3, 3, 3), -1, np.float32)
    answer[0, 0, 0] = answer[1, 1, 1] = 2
    assert keep_clicked(answer, [VoxelClick((0, 0, 0), True)]).taken_XYZ.sum() == 2
    answer[1, 1, 1], answer[2, 2, 2] = -1, 2
    assert keep_clicked(answer, [VoxelClick((0, 0, 0), True)]).taken_XYZ.sum() == 1


def test_nothing_that_was_not_clicked_stays_positive_or_undecided():
    answer = line(0, 2, 0, 2)
    kept = keep_clicked(answer, [at(1)], np.array([1, 1, 1, 1], bool)[:, None, None])
    assert kept.logits_XYZ.astype(np.float16).ravel()[3] < 0


def corrected(
    previous: np.ndarray, answer: np.ndarray, clicks: list[VoxelClick], new: int = 1, **other: object
) -> Merged:
    everywhere = np.ones(previous.shape, bool)
    choices = {"spacing": (1.0, 1.0, 1.0), "visited_XYZ": everywhere, "seen_XYZ": everywhere}
    choices |= {"forgettable_XYZ": ~everywhere, **other}
    return correct_nearby(previous, answer, clicks[:-new], clicks[-new:], **choices)


def test_a_later_click_changes_what_is_nearest_to_it_and_connected():
    previous, answer = line(5, 5, -1, -1, -1, -1, -1, -1), line(-3, -3, -3, 3, 3, 3, -3, 3)
    assert signs(corrected(previous, answer, [at(1), at(4)]).logits_XYZ) == [1, 1, 0, 1, 1, 1, 0, 0]
    assert signs(corrected(previous, answer, [at(1), at(5)]).logits_XYZ) == [1, 1, 0, 1, 1, 1, 0, 0]
    stretched = corrected(previous, answer, [at(0), at(6, False), at(5)], spacing=(2.0, 1.0, 1.0))
    assert signs(stretched.logits_XYZ) == [1, 1, 0, 1, 1, 1, 0, 0], "a click of either sign holds its own side"


def test_a_later_negative_click_takes_its_side_only():
    previous, answer = line(5, 5, 5, 5, 5, 5), line(-3, -3, -3, -3, -3, -3)
    merged = corrected(previous, answer, [at(0), at(5, False)])
    assert merged.logits_XYZ.ravel().tolist() == [5, 5, 5, -3, -3, -3]
    assert signs(corrected(previous, answer, [at(2), at(2, False)]).logits_XYZ) == [0] * 6, "the newest of equals"


def test_a_later_click_in_the_object_adds_what_hangs_on_it():
    previous, answer = line(-1, 5, 5, -1, -1, 5), line(3, -3, 3, 3, -3, -3)
    assert signs(corrected(previous, answer, [at(5), at(2)]).logits_XYZ) == [1, 1, 1, 1, 0, 1]


def test_where_nobody_has_looked_before_distance_does_not_matter():
    previous, answer = line(-1, -1, 5, -1, -1), line(3, 3, 3, 3, 3)
    unseen = np.array([1, 1, 0, 0, 0], bool)[:, None, None]
    clicks = [at(1), at(2)]
    assert signs(corrected(previous, answer, clicks).logits_XYZ) == [0, 0, 1, 1, 1]
    assert signs(corrected(previous, answer, clicks, seen_XYZ=~unseen).logits_XYZ) == [1, 1, 1, 1, 1]


def test_what_no_window_looks_at_goes_only_where_it_may_be_forgotten():
    previous, answer = line(5, 5, 5, 5), line(3, -3, 0, 0)
    visited = np.array([1, 1, 0, 0], bool)[:, None, None]
    clicks = [at(0), at(2, False)]
    kept = corrected(previous, answer, clicks, visited_XYZ=visited)
    assert signs(kept.logits_XYZ) == [1, 0, 1, 1]
    gone = corrected(previous, answer, clicks, visited_XYZ=visited, forgettable_XYZ=np.ones_like(visited))
    assert gone.logits_XYZ.ravel().tolist() == [5, -3, NOT_ASKED, NOT_ASKED]


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 5))
def test_a_later_positive_click_only_adds_and_a_negative_one_only_takes_away(seed, count):
    previous, answer, clicks = logits(seed), logits(seed + 1), random_clicks(seed, count)
    merged = corrected(previous, answer, clicks)
    before, after = previous > 0, merged.logits_XYZ > 0
    assert np.array_equal(before != after, merged.taken_XYZ)
    assert np.array_equal(before & after, before) if clicks[-1].positive else np.array_equal(before & after, after)
    assert np.array_equal((answer > 0)[merged.taken_XYZ], after[merged.taken_XYZ])


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_new_clicks_of_one_prompt_may_come_in_any_order(seed):
    previous, answer, clicks = logits(seed), logits(seed + 1), random_clicks(seed, 4)
    spacing = (1.0, 1.37, 1.71)
    voxels = np.stack(np.indices(SHAPE), -1)
    distances = np.sort([(((voxels - click.voxel) * spacing) ** 2).sum(-1) for click in clicks], axis=0)
    assume((distances[1] - distances[0]).min() > 1e-3)  # of equally near ones the newest would count
    one = corrected(previous, answer, clicks, new=3, spacing=spacing).logits_XYZ
    other = corrected(previous, answer, [clicks[0], *clicks[:0:-1]], new=3, spacing=spacing).logits_XYZ
    assert np.array_equal(one, other)


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 3))
def test_equal_to_monai(seed, count):
    vista3d = pytest.importorskip("monai.networks.nets.vista3d")
    previous, answer = logits(seed), logits(seed + 1)
    random = np.random.default_rng(seed)
    # clicks inside a component: near several, MONAI takes whichever was numbered last
    inside = np.argwhere((answer > 0) != (previous > 0))
    clicks = [tuple(inside[i].tolist()) for i in random.choice(len(inside), count, replace=False)]
    signs_ = [bool(answer[voxel] > 0) for voxel in clicks]
    before = torch.from_numpy(previous.copy())[None, None]
    theirs = vista3d.VISTA3D.connected_components_combine(
        SimpleNamespace(NINF_VALUE=-9999),
        before,
        torch.from_numpy(answer.copy())[None, None],
        torch.tensor([clicks]),
        torch.tensor([[int(sign) for sign in signs_]]),
        torch.tensor([True]),
    )
    ours = merge_clicks(previous, answer, [VoxelClick(v, s) for v, s in zip(clicks, signs_, strict=True)])
    np.testing.assert_allclose(ours.logits_XYZ, theirs[0, 0].numpy(), rtol=1e-6)


ENFORCED_SHAPE = (24, 20, 16)
SPACING = (2.0, 3.0, 4.0)
EVERYWHERE = np.ones(ENFORCED_SHAPE, bool)


class Stubborn(BrightRegions):
    """Sees brightness, and no negative click changes its mind."""

    def answer(self, features, clicks, zero_shot):
        return super().answer(features, [click for click in clicks if click.label == ClickLabel.POSITIVE], zero_shot)


def random_answer(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 4, ENFORCED_SHAPE).astype(np.float32)


def clicks_anywhere(seed: int, count: int = 12) -> list[VoxelClick]:
    random = np.random.default_rng(seed)
    voxels = {tuple(random.integers(ENFORCED_SHAPE).tolist()) for _ in range(count)}
    return [VoxelClick(voxel, bool(random.integers(2))) for voxel in sorted(voxels)]


@pytest.mark.parametrize("seed", range(20))
def test_every_click_is_right_and_what_is_nearer_to_clicks_that_were_right_is_left_alone(seed):
    answer, clicks = random_answer(seed), clicks_anywhere(seed)
    enforced = enforce_clicks(answer, clicks, SPACING, EVERYWHERE)
    nearest = nearest_click(clicks, ENFORCED_SHAPE, SPACING)
    for number, click in enumerate(clicks):
        assert (enforced[click.voxel] > 0) == click.positive
        if (answer[click.voxel] > 0) == click.positive:
            own = nearest == number
            assert np.array_equal(enforced[own], answer[own])
        else:
            change = (enforced - answer)[nearest == number]
            assert (change >= 0).all() if click.positive else (change <= 0).all()


def test_what_nobody_contradicts_is_the_same_array():
    answer = random_answer(1)
    clicks = [VoxelClick(click.voxel, bool(answer[click.voxel] > 0)) for click in clicks_anywhere(1)]
    assert enforce_clicks(answer, clicks, SPACING, EVERYWHERE) is answer


def test_the_shift_falls_off_with_millimetres_and_the_answer_given_is_not_written_to():
    answer = np.full(ENFORCED_SHAPE, -3, np.float32)
    enforced = enforce_clicks(answer, [VoxelClick((12, 10, 8), True)], SPACING, EVERYWHERE)
    assert (answer == -3).all()
    assert enforced[12, 10, 8] == CERTAINTY
    assert enforced[12, 10, 11] == pytest.approx(enforced[12, 14, 8], abs=1e-5)  # 12 mm both
    assert enforced[12, 10, 11] == pytest.approx(enforced[18, 10, 8], abs=1e-5)
    along = enforced[12:, 10, 8]
    assert (np.diff(along) <= 0).all()
    assert (enforced > 0).sum() > 1


def test_the_gaussian_is_narrower_where_windows_are_small():
    assert enforcement_radius((128, 128, 128), (1.5, 1.5, 1.5)) == RADIUS
    assert enforcement_radius((96, 96, 64), (0.1, 0.1, 0.1)) == pytest.approx(0.64)
    answer, click = np.full(ENFORCED_SHAPE, -3, np.float32), [VoxelClick((12, 10, 8), True)]
    narrow, wide = (enforce_clicks(answer, click, SPACING, EVERYWHERE, radius) for radius in (3.0, 10.0))
    assert narrow[12, 10, 8] == wide[12, 10, 8]
    assert (narrow > 0).sum() < (wide > 0).sum()


@pytest.mark.parametrize("voxel", [(-1, 2, 2), (24, 2, 2), (3, 3, 3)])
def test_clicks_where_no_window_has_answered_shift_nothing(voxel):
    visited = EVERYWHERE.copy()
    visited[:8] = False
    answer = np.where(visited, np.float32(-2), np.float32(np.nan))
    assert enforce_clicks(answer, [VoxelClick(voxel, True)], SPACING, visited) is answer
    enforced = enforce_clicks(answer, [VoxelClick((9, 10, 8), True)], SPACING, visited)
    assert np.isnan(enforced[:8]).all()
    assert enforced[9, 10, 8] == CERTAINTY


def test_of_two_clicks_in_one_voxel_the_newer_counts():
    answer = np.full(ENFORCED_SHAPE, -3, np.float32)
    both = [VoxelClick((12, 10, 8), True), VoxelClick((12, 10, 8), False)]
    assert np.array_equal(enforce_clicks(answer, both, SPACING, EVERYWHERE), answer)
    assert enforce_clicks(answer, both[::-1], SPACING, EVERYWHERE)[12, 10, 8] == CERTAINTY


def test_a_click_on_what_the_network_does_not_see_marks_its_place_in_best_and_nothing_in_the_papers_profile():
    dark = (20, 5, 15)
    best = bright_session(two_balls(), profile=BEST)
    best.click(dark)
    marked = best.mask("object")
    assert marked[dark]
    assert not marked[10, 12, 14]
    papers = bright_session(two_balls(), profile=BUNDLE)
    papers.click(dark)
    assert not papers.mask("object").any()


def test_a_session_file_from_before_this_choice_stays_what_it_was():
    session = bright_session(two_balls())
    session.click((10, 12, 14))
    contents = session.contents()
    del contents.manifest["profile"]["heed_clicks"]
    back = Session.restored(contents, session.open_scan.model, session.scan)
    assert not back.profile.enforce_clicks
    back.click((20, 5, 15), back.new_object("dark"))
    assert not back.mask("dark").any()


@pytest.mark.parametrize(("profile", "kept"), [(BEST, False), (BUNDLE, True)])
def test_a_negative_click_in_what_the_network_insists_on_takes_its_place_away_in_best(profile, kept):
    inside = np.zeros((40, 40, 30), bool)
    inside[5:20, 10:25, 8:20] = True
    session = bright_session(bright_scan(inside), Stubborn((40, 40, 40)), profile)
    session.click((8, 15, 14))
    session.click((16, 15, 14), positive=False)
    mask = session.mask("object")
    assert mask[16, 15, 14] == kept
    assert mask[8, 15, 14]
    assert not (mask & ~inside).any()
