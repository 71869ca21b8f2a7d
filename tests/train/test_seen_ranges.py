"""Ranges of training cases: measured on what the run reads, and on a list for a model that is there."""

import json
import math
from dataclasses import replace

import pytest
from tiny_training import TINY, load, tiny_recipe

from openvista.errors import AnatomyError
from openvista.train.seen_ranges import MOST_MEASURED, listed_ranges, seen_ranges
from openvista.weights import ModelCard

CARD = ModelCard.from_preset(TINY, name="tiny", extra_classes={133: "bright ball", 134: "dim ball"})
BALL_ML = 4 / 3 * math.pi


def test_balls_are_measured_as_they_are(data):
    ranges = seen_ranges(data.training, TINY.hu_window)
    assert ranges.keys() == {133, 134}
    for class_id, level in ((133, 600), (134, 250)):
        one = ranges[class_id]
        assert one.volume_ml.mean == pytest.approx(BALL_ML, rel=0.15)
        assert one.mean_hu.mean == pytest.approx(level, abs=40)
        assert one.elongation.mean == pytest.approx(1, abs=0.05)
        assert (one.volume_ml.cases, one.height_mm, one.open_ended) == (len(data.training), None, False)


def test_what_another_network_marked_is_not_measured(data):
    guessed = [replace(case, pseudo=frozenset({134})) for case in data.training]
    assert seen_ranges(guessed, TINY.hu_window).keys() == {133}


def test_of_a_long_list_some_cases_are_measured(data):
    case = data.training[0]
    ranges = seen_ranges([case] * (2 * MOST_MEASURED + 1), TINY.hu_window)
    assert ranges[133].volume_ml.cases == MOST_MEASURED


def test_a_list_says_the_same_as_a_run_on_it_and_its_testing_cases_are_not_read(tiny_list):
    content = json.loads(tiny_list.read_text())
    path = tiny_list.with_name("with_testing.json")
    path.write_text(json.dumps(content | {"testing": [{"image": "missing.nii.gz", "label": "missing_too.nii.gz"}]}))
    everything = load(tiny_recipe(tiny_list, fold=None)).training
    assert listed_ranges(CARD, path) == seen_ranges(everything, TINY.hu_window)
    other = replace(CARD, extra_classes={135: "something else"})
    with pytest.raises(AnatomyError, match="bright ball"):
        listed_ranges(other, tiny_list)
