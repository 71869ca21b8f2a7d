"""Prompts of the native interface, without the HTTP around them."""

from dataclasses import replace

import pytest

from openvista.inference.progress import silent
from openvista.model import Model
from openvista.serve.schemas import AskClasses, AskClicks, ClickIn
from openvista.serve.workspace import Workspace
from small_inference import DENSER_THAN_ANYTHING, HALF_STORAGE, make_scan
from small_sessions import AFFINE, CARD, SHAPE, two_branches_model


def judging_model(*class_ids: int) -> Model:
    """A model for which whatever it finds of some classes is unlikely."""
    card = replace(CARD, ranges=dict.fromkeys(class_ids, DENSER_THAN_ANYTHING))
    return Model(two_branches_model().network.network, card, HALF_STORAGE)


@pytest.fixture(scope="module")
def judging() -> Model:
    return judging_model(1)


def flags(workspace: Workspace) -> dict[int, list[str]]:
    return {item.id: item.unlikely for item in workspace.objects()}


def test_unlikely_objects_are_flagged_until_somebody_clicks(judging):
    workspace = Workspace(judging, make_scan(SHAPE, AFFINE), "best", 1 << 30)
    assert workspace.segment(AskClasses(classes=[1, 3]), silent) == []
    assert flags(workspace) == {1: ["HU"], 3: []}
    assert {row.id: row.unlikely for row in workspace.table()} == {1: ["HU"], 3: []}
    workspace.clicks(AskClicks(object=1, clicks=[ClickIn(voxel=(14, 12, 10))]), silent)
    assert flags(workspace) == {1: [], 3: []}


def test_unlikely_objects_are_left_out_where_that_is_asked_for_and_come_back(judging):
    workspace = Workspace(judging, make_scan(SHAPE, AFFINE), "best", 1 << 30)
    (note,) = workspace.segment(AskClasses(classes=[1, 3], drop_unlikely=True), silent)
    assert "liver was left out (unlikely: HU)" in note
    assert flags(workspace) == {3: []}
    workspace.undo()
    assert flags(workspace) == {1: ["HU"], 3: []}


def test_a_scan_without_anything_known_is_said():
    workspace = Workspace(judging_model(*CARD.class_ids), make_scan(SHAPE, AFFINE), "best", 1 << 30)
    (warning,) = workspace.segment(AskClasses(classes="all"), silent)
    assert "does the scan show the part of the body" in warning
