"""Sessions as properties: time travel, independence, what clicks outside do, any orientation."""

import itertools
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_inference import FLOAT32, HALF_STORAGE, TINY, make_scan
from small_sessions import TWO_BRANCHES, BrightRegions, ball, bright_scan, bright_session

from openvista.errors import AnatomyError, GridError, InputError, ModelError, PromptError
from openvista.grid import Grid
from openvista.inference.model import Model
from openvista.inference.profiles import BEST
from openvista.inference.session import Session
from openvista.model import ClickLabel, build
from openvista.prompts import Click
from openvista.scan import Scan, Segmentation
from openvista.weights import ModelCard

CARD = ModelCard.from_preset(TWO_BRANCHES, classes=(1, 3, 24), name="tiny")
AFFINE = np.diag([-2.1, -1.7, 2.6, 1.0])
SHAPE = (30, 22, 16)


@pytest.fixture(scope="module")
def model() -> Model:
    network = build(TWO_BRANCHES, seed=4)
    with torch.no_grad():
        network.class_head.linear2.weight *= 5  # so that classes differ
    return Model(network, CARD, HALF_STORAGE)


@pytest.fixture
def session(model) -> Session:
    return model.open(make_scan(SHAPE, AFFINE))


def two_balls() -> Scan:
    return bright_scan(ball((40, 40, 30), (10, 12, 14), 5) | ball((40, 40, 30), (30, 28, 15), 6))


def picture(session: Session) -> dict[str, bytes]:
    """All that users can see of the masks."""
    return {item.name: item.mask.tobytes() for item in session.objects}


# --- time ---------------------------------------------------------------------------------------------------------


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


# --- objects ------------------------------------------------------------------------------------------------------


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


def test_random_networks_do_not_mix_objects_up_either(model):
    scan = make_scan(SHAPE, AFFINE)
    one, other = model.open(scan), model.open(scan)
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


# --- where clicks fall --------------------------------------------------------------------------------------------


def test_a_click_outside_changes_nothing_and_is_told():
    session = bright_session(two_balls())
    session.click((10, 12, 14))
    before, state = picture(session), session.state
    for voxel in [(40, 1, 1), (-1, 1, 1), (1, 1, 29.6)]:
        answer = session.click(voxel, positive=False)
        assert answer.outside == (Click(voxel, False),)
        assert "lies outside the scan of shape (40, 40, 30): it changed nothing" in answer.notes[0]
    assert session.click((99, 0, 0), "liver").object_id is None
    assert picture(session) == before
    assert session.state is state
    assert len(session.events) == 1
    mixed = session.clicks([Click((30, 28, 15)), Click((99, 0, 0))])
    assert (len(mixed.clicks), len(mixed.outside)) == (1, 1)


def test_a_click_in_air_is_told_but_not_in_the_gas_of_a_body():
    voxels = np.full((30, 30, 10), -1000, np.int16)
    voxels[8:22, 8:22] = 40
    voxels[13:17, 13:17] = -900
    scan = Scan(voxels, Grid(voxels.shape, np.diag([2.0, 2, 2, 1])))
    session = bright_session(scan)
    assert "lies in air outside the body" in session.click((2, 15, 5)).notes[0]
    assert session.click((15, 15, 5)).in_air == ()
    assert session.click((9, 9, 5)).in_air == ()


def test_an_empty_mask_and_a_lone_negative_click_are_told():
    session = bright_session(two_balls())
    answer = session.click((20, 20, 15), positive=False)
    assert answer.unseen == (Click((20, 20, 15), False),)
    assert "lies outside every window of 'object'" in answer.notes[0]
    assert "is empty" in session.click((20, 5, 15)).notes[-1]
    assert session.click((30, 28, 15)).notes == []


@pytest.mark.parametrize("signs", list(itertools.product((-1, 1), repeat=3)))
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_clicks_and_masks_fit_whatever_the_orientation(signs, axes):
    inside = ball((26, 22, 24), (9, 13, 10), 5)
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[list(axes)] * np.array(signs) * 2.0
    session = bright_session(bright_scan(inside, affine))
    session.click((9, 13, 10))
    assert np.array_equal(session.mask("object"), inside)


def test_masks_follow_other_spacings_closely():
    inside = ball((40, 40, 20), (18, 20, 9), 8)
    affine = np.diag([-1.3, 1.1, 2.9, 1.0])
    session = bright_session(bright_scan(inside, affine))
    session.click((18, 20, 9))
    mask = session.mask("object")
    assert 2 * (mask & inside).sum() / (mask.sum() + inside.sum()) > 0.93


def test_clicks_in_millimetres():
    scan = two_balls()
    session = bright_session(scan)
    x, y, z = scan.grid.to_world(np.array([[10, 12, 14]]))[0]
    answer = session.click((x, y, z), world=True)
    assert answer.clicks[0].voxel == pytest.approx((10, 12, 14))


# --- windows ------------------------------------------------------------------------------------------------------


def test_a_second_click_in_a_window_asks_the_point_head_only():
    network = BrightRegions()
    session = bright_session(two_balls(), network)
    first = session.click((10, 12, 14))
    assert (first.encoded, network.encoded) == (1, 1)
    second = session.click((12, 12, 14), positive=False)
    assert (second.encoded, network.encoded) == (0, 1)
    far = session.click((30, 28, 15), grow=False)
    assert far.encoded == 1
    assert network.encoded == 2
    session.undo()
    session.redo()
    session.click((30, 28, 15), session.new_object("other"), grow=False)
    assert network.encoded == 2
    assert len(network.asked) == 4


def test_special_classes_and_new_objects_are_asked_their_own_way(model):
    asked = []

    class Listening(BrightRegions):
        def answer(self, features, tokens, zero_shot):
            asked.append(({token.label for token in tokens}, zero_shot))
            return super().answer(features, tokens, zero_shot)

    session = bright_session(two_balls(), Listening())
    clicks = [Click((10, 12, 14)), Click((10, 16, 14), False)]
    session.clicks(clicks)
    session.clicks(clicks, "pancreatic tumor")
    session.clicks(clicks, "liver")
    session.clicks(clicks, session.new_object("new"))
    plain = {ClickLabel.NEGATIVE, ClickLabel.POSITIVE}
    special = {ClickLabel.SPECIAL_NEGATIVE, ClickLabel.SPECIAL_POSITIVE}
    # the liver is asked as the unnamed object was, so its answer is known
    assert asked == [(plain, False), (special, False), (plain, True)]


# --- classes and masks --------------------------------------------------------------------------------------------


def test_automatic_results_are_those_of_the_model_and_later_classes_cost_no_window(model):
    scan = make_scan(SHAPE, AFFINE)
    session, exact = model.open(scan), model.segment(scan, ["liver"])
    windows = []
    session.segment("liver", windows.append)
    assert any(step.stage == "encode" for step in windows)
    later = []
    session.segment(["spleen"], later.append)
    assert not any(step.stage == "encode" for step in later)
    agree = session.mask("liver") == exact.mask("liver")
    assert agree.mean() > 0.999  # stitched in another order: rounding
    together = session.segmentation()
    both = model.segment(scan, ["liver", "spleen"])
    assert (together.labels == both.labels).mean() > 0.995


def test_clicks_correct_the_automatic_result_and_only_where_they_took_something(model):
    session = model.open(make_scan(SHAPE, AFFINE))
    automatic = session.segment("liver")[0].mask
    answer = session.click((15, 11, 8), "liver", grow=False)
    assert session.object("liver").state.description.start == "automatic"
    corrected = session.mask("liver")
    layer = session.bench.layer(session.object("liver").state.description)
    assert layer.touched is not None
    assert answer.changed is None or not np.array_equal(automatic, corrected)
    session.undo()
    assert np.array_equal(session.mask("liver"), automatic)
    fresh = model.open(make_scan(SHAPE, AFFINE))
    fresh.click((15, 11, 8), "liver", grow=False)  # the class without asking for it first
    assert np.array_equal(fresh.mask("liver"), corrected)
    alone = model.open(make_scan(SHAPE, AFFINE))
    alone.click((15, 11, 8), "liver", grow=False, automatic=False)
    assert alone.object("liver").state.description.start is None


def test_an_existing_mask_stays_to_the_voxel_where_clicks_change_nothing():
    scan = two_balls()
    affine = np.diag([1.3, -1.1, 2.3, 1.0])
    scan = Scan(scan.voxels, Grid(scan.voxels.shape, affine))
    labels = np.zeros(scan.voxels.shape, np.uint8)
    labels[28:33, 27:30, 14:17] = 7  # too small a piece of the second ball
    labels[3, 3, 3] = 7  # a lone voxel far away
    labels[20:24, 2:5, 4:8] = 9
    session = bright_session(scan)
    seven, nine = session.start_from(Segmentation(labels, scan.grid, {7: "node", 9: "liver"}))
    assert (seven.id, nine.id) == (7, 1)
    assert nine.state.description.class_id == 1
    assert np.array_equal(session.segmentation().labels == 7, labels == 7)
    session.click((30, 28, 15), seven)
    mask = session.mask(seven)
    assert mask[3, 3, 3]
    assert mask.sum() > 300
    assert not mask[:20, 5:].any()
    assert np.array_equal(session.mask(nine), labels == 9)
    session.click((3, 3, 3), seven, positive=False, grow=False)
    assert not session.mask(seven)[3, 3, 3]


def test_a_mask_on_another_grid_is_refused():
    scan = two_balls()
    labels = np.zeros((5, 5, 5), np.uint8)
    with pytest.raises(GridError, match=r"does not lie on the grid of the scan"):
        bright_session(scan).start_from(Segmentation(labels, Grid((5, 5, 5), np.eye(4)), {}))


# --- export -------------------------------------------------------------------------------------------------------


def overlapping() -> Session:
    """A large object and a small one inside it, by hand."""
    inside = ball((30, 30, 20), (14, 14, 10), 7)
    scan = bright_scan(inside)
    labels = np.where(ball((30, 30, 20), (14, 14, 10), 3), 5, 0).astype(np.uint8)
    session = bright_session(scan)
    session.click((14, 14, 10), session.new_object("large"))
    session.start_from(Segmentation(labels, scan.grid, {5: "small"}))
    return session


def test_later_objects_lie_on_top_and_losses_are_told(caplog):
    session = overlapping()
    with caplog.at_level(logging.WARNING):
        made = session.segmentation()
    assert np.array_equal(made.mask("small"), session.mask("small"))
    lost = int(session.mask("small").sum())
    assert made.provenance["contested"] == [{"kept_by": "small", "lost_by": "large", "voxels": lost}]
    assert f"{lost} voxels of 'large' were given to 'small'" in caplog.text
    session.move("large", 1)
    assert not session.segmentation().mask("small").any()
    session.change("small", locked=True)
    assert np.array_equal(session.segmentation().mask("small"), session.mask("small"))
    assert np.array_equal(session.segmentation("logit").mask("small"), session.mask("small"))


def test_layers_keep_every_voxel():
    session = overlapping()
    layers = session.layers()
    assert [list(layer.names.values()) for layer in layers] == [["large"], ["small"]]
    for layer, name in zip(layers, ("large", "small"), strict=True):
        assert np.array_equal(layer.mask(name), session.mask(name))
    with pytest.raises(InputError, match="no overlap policy 'best'"):
        session.segmentation("best")


def test_a_segmentation_tells_what_it_takes_to_make_it_again(session):
    session.click((10, 10, 8), session.new_object("node"), grow=False)
    made = session.segmentation()
    assert made.grid is session.scan.grid
    assert made.names == {133: "node"}
    assert made.provenance["weights_sha256"] == session.bench.model.fingerprint
    (asked,) = made.provenance["prompts"]["objects"]
    assert asked["clicks"] == [[10.0, 10.0, 8.0, True]]
    assert asked["zero_shot"]


# --- what cannot be done ------------------------------------------------------------------------------------------


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
    assert "prepared" not in vars(session.bench)
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
