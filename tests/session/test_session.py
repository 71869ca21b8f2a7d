"""Sessions as properties: time travel, independence, what clicks outside do, any orientation."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openvista.errors import AnatomyError, ModelError, PromptError
from openvista.inference.profiles import BEST
from openvista.model import Model
from openvista.prompts import Click
from openvista.weights import ModelCard
from small_inference import FLOAT32, TINY, make_scan
from small_sessions import (
    AFFINE,
    SHAPE,
    BrightRegions,
    ball,
    bright_scan,
    bright_session,
    picture,
    two_balls,
)


def test_undo_equals_never_clicked_and_redo_equals_clicked(session):
    session.click((10, 10, 8), grow=False)
    once = picture(session)
    session.click((14, 12, 8), grow=False)
    session.click((20, 9, 8), positive=False, grow=False)
    thrice = picture(session)
    assert thrice != once
    assert session.undo()
    assert session.undo()
    assert picture(session) == once
    assert session.redo()
    assert session.redo()
    assert picture(session) == thrice
    assert not session.redo()
    while session.undo():
        pass
    assert session.objects == ()
    assert not session.can_undo


ACTIONS = st.lists(st.sampled_from(["a", "b", "away", "undo", "redo", "lock", "rename"]), max_size=8)


@settings(max_examples=30)
@given(ACTIONS)
def test_any_walk_through_time_comes_back(actions):
    session = bright_session(two_balls())
    seen = {session.state: picture(session)}
    for action in actions:
        if action == "a":
            session.click((10, 12, 14), "a") if session.state.find("a") else session.new_object("a")
        elif action == "b":
            session.click((30, 28, 15))
        elif action == "away" and session.state.find("object"):
            session.click((30, 25, 15), "object", positive=False)
        elif action == "lock" and session.objects:
            session.change(session.objects[0], locked=False, visible=False)
        elif action == "rename" and session.objects:
            session.change(session.objects[-1], colour=(1, 2, 3))
        elif action in ("undo", "redo"):
            getattr(session, action)()
        assert seen.setdefault(session.state, picture(session)) == picture(session)
    while session.undo():
        assert seen[session.state] == picture(session)


def test_a_new_change_ends_the_undone_future_and_the_log_keeps_everything():
    session = bright_session(two_balls())
    session.click((10, 12, 14))
    session.undo()
    session.click((30, 28, 15))
    assert not session.can_redo
    assert [event.action for event in session.events] == ["clicks", "undo", "clicks"]
    assert [session.is_undone(event) for event in session.events] == [True, False, False]
    assert all(event.time.endswith("+00:00") for event in session.events)
    assert session.events[0].details["clicks"] == [[10.0, 12.0, 14.0, True]]
    assert session.revision == 3


# a's negative click, number 2, follows its positive one, number 0: alone it would mean something else
ORDERS = [order for order in itertools.permutations(range(4)) if order.index(0) < order.index(2)]


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_independent_objects_does_not_matter(order):
    clicks = [
        ("a", (10, 12, 14), True),
        ("b", (30, 28, 15), True),
        ("a", (13, 12, 14), False),
        ("b", (30, 32, 15), True),
    ]
    session, straight = bright_session(two_balls()), bright_session(two_balls())
    for each in (session, straight):
        each.new_object("a")
        each.new_object("b")
    for number in order:
        name, voxel, positive = clicks[number]
        session.click(voxel, name, positive)
    for name, voxel, positive in clicks:
        straight.click(voxel, name, positive)
    assert picture(session) == picture(straight)


def test_random_networks_do_not_mix_objects_up_either(two_branches):
    scan = make_scan(SHAPE, AFFINE)
    one, other = two_branches.open(scan), two_branches.open(scan)
    for each in (one, other):
        each.new_object("a"), each.new_object("b")
    one.click((10, 10, 8), "a", grow=False)
    one.click((16, 10, 8), "b", grow=False)
    other.click((16, 10, 8), "b", grow=False)
    other.click((10, 10, 8), "a", grow=False)
    assert picture(one) == picture(other)


def test_names_and_ids_are_unique_and_new_ids_leave_classes_alone(session):
    lesion, again = session.new_object("lesion"), session.new_object("Lesion")
    assert (lesion.id, lesion.name, again.id, again.name) == (133, "lesion", 134, "Lesion 2")
    assert session.object("LESION") == lesion
    session.change(again, name="node", colour=(9, 8, 7))
    assert session.object(134).state.colour == (9, 8, 7)
    for name in ("lesion", "", " ", "7"):
        with pytest.raises(PromptError):
            session.change(again, name=name)
    session.remove(lesion)
    with pytest.raises(PromptError, match="no object 133"):
        _ = lesion.name
    assert session.segment("liver")[0].id == 1


def test_locked_objects_stay_as_they_are():
    session = bright_session(two_balls())
    session.click((10, 12, 14))
    before = picture(session)
    session.change("object", locked=True)
    for refused in (lambda: session.click((10, 12, 12)), lambda: session.remove("object")):
        with pytest.raises(PromptError, match="'object' is locked"):
            refused()
    assert picture(session) == before


def test_handles_of_objects_tell_the_present():
    session = bright_session(two_balls())
    item = session.new_object("a")
    session.click((10, 12, 14), item)
    assert item.clicks == (Click((10, 12, 14)),)
    assert item.mask.sum() == ball((40, 40, 30), (10, 12, 14), 5).sum()


def test_a_model_without_point_branch_says_so(tiny):
    session = Model(tiny, ModelCard.from_preset(TINY, classes=(1,), name="auto-only"), FLOAT32).open(
        make_scan(SHAPE, AFFINE)
    )
    with pytest.raises(ModelError, match="'auto-only' answers class prompts only, not clicks"):
        session.click((10, 10, 8))
    assert session.objects == ()
    assert session.segment("liver")[0].mask.shape == SHAPE


def test_a_model_without_automatic_branch_says_so():
    session = bright_session(two_balls())
    with pytest.raises(ModelError, match="answers clicks only"):
        session.segment("liver")
    assert session.objects == ()
    assert session.click((10, 12, 14), "liver").object_id == 1


def test_unknown_names_and_groups(session):
    with pytest.raises(AnatomyError, match="no object is called 'livr', and no class is called 'livr'"):
        session.click((1, 1, 1), "livr")
    full = bright_session(two_balls())
    with pytest.raises(PromptError, match="'lung' is a group"):
        full.click((1, 1, 1), "lung")
    with pytest.raises(PromptError, match="there is none yet"):
        full.object("liver")


def test_nothing_is_computed_before_it_is_asked_for():
    network = BrightRegions()
    session = bright_session(two_balls(), network)
    session.new_object("a")
    assert session.open_scan.nbytes == 0
    assert network.encoded == 0


def test_drawn_prompts_are_clicks():
    session, by_clicks = bright_session(two_balls()), bright_session(two_balls())
    session.box([(5, 16), (7, 18), (9, 20)])
    by_clicks.clicks(session.object("object").clicks)
    assert np.array_equal(session.mask("object"), by_clicks.mask("object"))
    session.scribble([(8, 12, 14), (12, 12, 14)])
    session.lasso(([(26, 24), (34, 24), (34, 32), (26, 32)], 2, 15))
    session.lasso(ball((40, 40, 30), (30, 28, 15), 3) & (np.indices((40, 40, 30))[2] == 15), positive=False)
    assert [event.action for event in session.events] == ["box", "scribble", "lasso", "clicks"]
    with pytest.raises(TypeError, match="world"):
        session.box([(5, 16), (7, 18), (9, 20)], world=True)


def test_the_bundle_profile_neither_grows_nor_smooths():
    inside = ball((40, 40, 30), (18, 20, 14), 12)
    session = bright_session(bright_scan(inside), profile=replace(BEST, grow=False, mode="exact"))
    assert session.click((18, 20, 14)).grown == 0
    assert session.click((18, 20, 14), grow=True).grown > 0
    assert np.array_equal(session.mask("object"), inside)
