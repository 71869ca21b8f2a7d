"""The embedded weights answer clicks on the real CT that lies in the repository (a case they were not trained on)."""

import numpy as np
import pytest

import openvista as ov
from openvista.io import read_labels
from openvista.metrics.masks import dice
from openvista.simulate.user import first_user_click

LABELS = {"brainstem": 1, "right parotid": 3, "larynx": 6}


@pytest.fixture(scope="module")
def scan(example_ct):
    return ov.read_scan(example_ct)


@pytest.fixture(scope="module")
def truth(example_labels):
    return read_labels(example_labels)[0]


@pytest.fixture(scope="module")
def session(scan):
    return ov.load_model("starter").open(scan)


@pytest.mark.parametrize("name", LABELS)
def test_one_click_without_a_name_finds_what_was_clicked_on(name, session, scan, truth):
    structure, others = truth == LABELS[name], set(np.unique(truth)) - {0, LABELS[name]}
    found = session.new_object(name + " by click")
    session.click(first_user_click(structure, scan.grid.spacing), found.id)
    assert dice(session.mask(found.id), structure) > 0.4
    assert max(dice(session.mask(found.id), truth == value) for value in others) < 0.2, (
        "the click decides what is found"
    )


def test_a_negative_click_takes_something_away(session, scan, truth):
    structure = truth == LABELS["brainstem"]
    place = first_user_click(structure, scan.grid.spacing)
    wrong = session.new_object("too much")
    session.click(place, wrong.id)
    before = session.mask(wrong.id)
    far = np.argwhere(before)[np.linalg.norm(np.argwhere(before) - place, axis=1).argmax()]
    session.click(tuple(int(v) for v in far), wrong.id, positive=False)
    assert session.mask(wrong.id).sum() < before.sum()
    session.undo()
    assert np.array_equal(session.mask(wrong.id), before)
