"""Runs of the challenge, with the network that sees brightness instead of anatomy."""

from dataclasses import replace

import numpy as np
import pytest

from openvista.cvpr.case_file import read_case_file
from openvista.cvpr.image import Reading
from openvista.cvpr.predict import Deadline, Predictor, run_seconds
from openvista.network import ClickLabel
from openvista.simulate.challenge_user import ArrayClick
from small_challenge import PRESET, BrightModel, two_balls, write_case


class Challenge:
    """A case, and a predictor whose network counts."""

    def __init__(self, folder, labels, **case):
        self.file = read_case_file(write_case(folder / "case.npz", labels, **case))
        self.model = BrightModel()
        self.request = self.file.request

    def ask(self, request=None, seconds=None, profile="best"):
        scan = Reading().scan(self.file.image_ZYX, self.file.spacing, PRESET)
        return Predictor(self.model, profile).answer(scan, request or self.request, Deadline(seconds))

    def with_clicks(self, *per_class, previous=None):
        clicks = tuple(tuple(ArrayClick(*click) for click in each) for each in per_class)
        return replace(self.request, clicks=clicks, previous_ZYX=previous)


def test_boxes_alone_find_each_class_and_nothing_else(tmp_path):
    labels = two_balls()
    answer = Challenge(tmp_path, labels).ask()
    assert answer.dtype == np.uint8
    for value in (1, 2):
        found, truth = answer == value, labels == value
        assert (found & truth).sum() / truth.sum() > 0.85
        assert (found & ~truth).sum() < 10


def test_clicks_alone_will_do(tmp_path):
    labels = two_balls()
    challenge = Challenge(tmp_path, labels, boxes=False, clicks=[{"fg": [[9, 8, 8]], "bg": []}, {"fg": [], "bg": []}])
    answer = challenge.ask()
    assert np.array_equal(answer == 1, labels == 1)
    assert not (answer == 2).any()  # nobody said where: no prompt is made up


def test_what_is_longer_than_a_window_is_found_to_its_ends(tmp_path):
    labels = np.zeros((10, 10, 60), np.uint8)
    labels[4:7, 4:7, 2:58] = 1
    challenge = Challenge(tmp_path, labels, boxes=False, clicks=[{"fg": [[5, 5, 8]], "bg": []}])
    assert np.array_equal(challenge.ask(), labels)
    assert not np.array_equal(challenge.ask(profile="bundle"), labels)  # does not grow


def test_the_previous_result_costs_nothing_where_no_click_contradicts_it(tmp_path):
    labels = two_balls()
    challenge = Challenge(tmp_path, labels, boxes=False, clicks=[{"fg": [[9, 8, 8]], "bg": [[0, 0, 0]]}] * 2)
    request = challenge.with_clicks([((9, 8, 8), True), ((0, 0, 0), False)], [], previous=labels)
    assert np.array_equal(challenge.ask(request), labels)
    assert challenge.model.bright.encoded == 0


def test_only_new_clicks_open_windows(tmp_path):
    labels = np.zeros((16, 16, 90), np.uint8)
    previous = np.zeros_like(labels)
    for first in (4, 40, 76):
        labels[5:11, 5:11, first : first + 6] = 1
    previous[..., :60] = labels[..., :60]
    challenge = Challenge(tmp_path, labels, boxes=False, clicks=[{"fg": [[8, 8, 79]], "bg": []}])
    old = [((8, 8, 7), True), ((8, 8, 43), True)]
    assert np.array_equal(challenge.ask(challenge.with_clicks([*old, ((8, 8, 79), True)], previous=previous)), labels)
    assert challenge.model.bright.encoded == 1
    challenge.model.bright.encoded = 0
    assert np.array_equal(challenge.ask(challenge.with_clicks([*old, ((8, 8, 79), True)])), labels)
    assert challenge.model.bright.encoded == 3


def test_a_negative_click_takes_away_from_the_previous_result(tmp_path):
    labels = two_balls()
    challenge = Challenge(tmp_path, labels)
    wrong = labels.copy()
    wrong[10, 15, 12:17] = 2  # a bridge where it is dark
    request = challenge.with_clicks([], [((10, 15, 13), False)], previous=wrong)
    answer = challenge.ask(request)
    assert answer[10, 15, 13] == 0
    assert np.array_equal(answer == 1, labels == 1)
    assert (answer == 2).sum() < (wrong == 2).sum()


def test_a_voxel_goes_to_the_surer_class_not_to_the_later_one(tmp_path):
    labels = two_balls()
    labels[labels == 2] = 1
    labels[0, 0, 0] = 2  # class 2 is to be found by a click on what class 1 has
    clicks = [{"fg": [[9, 8, 8]], "bg": []}, {"fg": [[10, 15, 20]], "bg": []}]
    challenge = Challenge(tmp_path, labels, boxes=False, clicks=clicks)
    previous = (labels == 1).astype(np.uint8)
    answer = challenge.ask(challenge.with_clicks([((9, 8, 8), True)], [((10, 15, 20), True)], previous=previous))
    assert answer[10, 15, 20] == 2
    assert answer[10, 15, 22] == 2  # a new answer is surer (4) than what was kept (2)
    assert answer[9, 8, 8] == 1
    again = challenge.ask(challenge.with_clicks([((9, 8, 8), True)], [((9, 8, 8), False)]))
    assert (again == 1).sum() == (two_balls() == 1).sum()


def test_the_box_bounds_the_result_along_the_slices(tmp_path):
    labels = np.zeros((40, 20, 20), np.uint8)
    labels[2:38, 5:15, 5:15] = 1
    case = Challenge(tmp_path, labels)
    box = replace(case.request.boxes[0], z=(10, 20), middle=15)
    found = np.flatnonzero(case.ask(replace(case.request, boxes=(box,))).any(axis=(1, 2)))
    assert found.min() >= 10
    assert found.max() <= 20
    request = replace(case.with_clicks([((24, 10, 10), True)]), boxes=(box,))  # a click says that it goes on
    assert np.flatnonzero(case.ask(request).any(axis=(1, 2))).max() == 24


def test_a_click_is_obeyed_even_where_the_network_is_not_convinced(tmp_path):
    labels = two_balls()
    challenge = Challenge(tmp_path, labels, boxes=False, clicks=[{"fg": [[0, 0, 0]], "bg": []}])
    assert challenge.ask()[0, 0, 0] == 1


def test_without_time_the_best_so_far_is_given(tmp_path):
    labels = np.zeros((10, 10, 60), np.uint8)
    labels[4:7, 4:7, 2:58] = 1
    challenge = Challenge(tmp_path, labels, boxes=False, clicks=[{"fg": [[5, 5, 8]], "bg": []}])
    previous = labels.copy()
    previous[..., 30:] = 0
    assert np.array_equal(challenge.ask(replace(challenge.request, previous_ZYX=previous), seconds=0), previous)
    kept = challenge.with_clicks([((5, 5, 40), True)], previous=previous)
    answer = challenge.ask(kept, seconds=0)
    assert answer[5, 5, 40] == 1  # the click itself
    assert answer.sum() == previous.sum() + 1
    assert challenge.model.bright.encoded == 0


def test_time_is_shared_out():
    assert run_seconds(3, 80.0) == pytest.approx(40.0)
    assert run_seconds(3, 80.0, spent=50.0) == 0
    assert run_seconds(3, 0.0, spent=50.0) is None
    assert Deadline(None).share(4).left == float("inf")
    assert 9 < Deadline(40.0).share(4).left <= 10


def test_the_middle_of_a_box_is_a_guess_until_somebody_clicks(tmp_path):
    labels = np.zeros((12, 24, 24), np.uint8)
    labels[3:9, 3:21, 3:21] = 1
    labels[3:9, 7:17, 7:17] = 0  # a ring: the middle of its box lies outside
    case = Challenge(tmp_path, labels)
    asked = case.model.bright.asked
    case.ask(profile="bundle")
    assert sum(token.label == ClickLabel.POSITIVE for token in asked[-1]) == 1
    asked.clear()
    answer = case.ask(case.with_clicks([((6, 5, 5), True)]), profile="bundle")
    assert [sum(token.label == ClickLabel.POSITIVE for token in tokens) for tokens in asked] == [1] * len(asked)
    assert not answer[6, 11, 11]
    assert answer[6, 5, 5]
