"""A click is right whatever the network says, and shifts nothing that is not its own."""

import numpy as np
import pytest
from small_sessions import BrightRegions, bright_scan, bright_session, two_balls

from openvista.inference.heed import CERTAINTY, RADIUS, heed_clicks, heed_radius
from openvista.inference.merge import Place, nearest_click
from openvista.inference.profiles import BEST, BUNDLE
from openvista.inference.session_store import pack, unpack
from openvista.network import ClickLabel

SHAPE = (24, 20, 16)
SPACING = (2.0, 3.0, 4.0)
EVERYWHERE = np.ones(SHAPE, bool)


class Stubborn(BrightRegions):
    """Sees brightness, and no negative click changes its mind."""

    def answer(self, features, tokens, zero_shot):
        return super().answer(features, [token for token in tokens if token.label == ClickLabel.POSITIVE], zero_shot)


def random_answer(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 4, SHAPE).astype(np.float32)


def random_places(seed: int, count: int = 12) -> list[Place]:
    random = np.random.default_rng(seed)
    voxels = {tuple(random.integers(SHAPE).tolist()) for _ in range(count)}
    return [Place(voxel, bool(random.integers(2))) for voxel in sorted(voxels)]


@pytest.mark.parametrize("seed", range(20))
def test_every_click_is_right_and_what_is_nearer_to_clicks_that_were_right_is_left_alone(seed):
    answer, places = random_answer(seed), random_places(seed)
    heeded = heed_clicks(answer, places, SPACING, EVERYWHERE)
    nearest = nearest_click(places, SHAPE, SPACING)
    for number, place in enumerate(places):
        assert (heeded[place.voxel] > 0) == place.positive
        if (answer[place.voxel] > 0) == place.positive:
            own = nearest == number
            assert np.array_equal(heeded[own], answer[own])
        else:
            change = (heeded - answer)[nearest == number]
            assert (change >= 0).all() if place.positive else (change <= 0).all()


def test_what_nobody_contradicts_is_the_same_array():
    answer = random_answer(1)
    places = [Place(place.voxel, bool(answer[place.voxel] > 0)) for place in random_places(1)]
    assert heed_clicks(answer, places, SPACING, EVERYWHERE) is answer


def test_the_shift_falls_off_with_millimetres_and_the_answer_given_is_not_written_to():
    answer = np.full(SHAPE, -3, np.float32)
    heeded = heed_clicks(answer, [Place((12, 10, 8), True)], SPACING, EVERYWHERE)
    assert (answer == -3).all()
    assert heeded[12, 10, 8] == CERTAINTY
    assert heeded[12, 10, 11] == pytest.approx(heeded[12, 14, 8], abs=1e-5)  # 12 mm both
    assert heeded[12, 10, 11] == pytest.approx(heeded[18, 10, 8], abs=1e-5)
    along = heeded[12:, 10, 8]
    assert (np.diff(along) <= 0).all()
    assert (heeded > 0).sum() > 1


def test_the_gaussian_is_narrower_where_windows_are_small():
    assert heed_radius((128, 128, 128), (1.5, 1.5, 1.5)) == RADIUS
    assert heed_radius((96, 96, 64), (0.1, 0.1, 0.1)) == pytest.approx(0.64)
    answer, click = np.full(SHAPE, -3, np.float32), [Place((12, 10, 8), True)]
    narrow, wide = (heed_clicks(answer, click, SPACING, EVERYWHERE, radius) for radius in (3.0, 10.0))
    assert narrow[12, 10, 8] == wide[12, 10, 8]
    assert (narrow > 0).sum() < (wide > 0).sum()


@pytest.mark.parametrize("place", [Place((-1, 2, 2), True), Place((24, 2, 2), True), Place((3, 3, 3), True)])
def test_clicks_where_no_window_has_answered_shift_nothing(place):
    visited = EVERYWHERE.copy()
    visited[:8] = False
    answer = np.where(visited, np.float32(-2), np.float32(np.nan))
    assert heed_clicks(answer, [place], SPACING, visited) is answer
    heeded = heed_clicks(answer, [Place((9, 10, 8), True)], SPACING, visited)
    assert np.isnan(heeded[:8]).all()
    assert heeded[9, 10, 8] == CERTAINTY


def test_of_two_clicks_in_one_voxel_the_newer_counts():
    answer = np.full(SHAPE, -3, np.float32)
    both = [Place((12, 10, 8), True), Place((12, 10, 8), False)]
    assert np.array_equal(heed_clicks(answer, both, SPACING, EVERYWHERE), answer)
    assert heed_clicks(answer, both[::-1], SPACING, EVERYWHERE)[12, 10, 8] == CERTAINTY


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
    contents = pack(session)
    del contents.manifest["profile"]["heed_clicks"]
    back = unpack(contents, session.bench.model, session.scan)
    assert not back.profile.heed_clicks
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
