"""Edits in a session as properties: time travel, certainty against clicks, logs, files."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openvista.errors import PromptError, SessionError
from openvista.geometry.box import Box, Crop
from openvista.io.session_file import read_session
from openvista.serve.label_map import LabelMap
from openvista.session.edits import (
    Brush,
    Combine,
    CopySlice,
    FillHoles,
    Interpolate,
    KeepPiece,
    Margin,
    Polygon,
    Smooth,
    Voxels,
    log_edit,
    parse_edit,
)
from openvista.session.label_maps import by_hand
from openvista.session.replay import log_of, replay
from openvista.session.session import Session
from small_sessions import BRIGHT, DARK, bright_session, picture, two_balls

SCAN = two_balls()
PLACES = st.tuples(st.integers(0, 39), st.integers(0, 39), st.integers(0, 29))
SQUARE = ((8.0, 8.0), (8.0, 16.0), (16.0, 16.0), (16.0, 8.0))
EDITS = st.one_of(
    st.builds(
        Brush,
        points=st.lists(PLACES, min_size=1, max_size=2).map(tuple),
        radius_mm=st.floats(0, 12),
        add=st.booleans(),
        hu=st.sampled_from([None, (DARK, BRIGHT), (200, 400)]),
    ),
    st.builds(Polygon, axis=st.integers(0, 2), slice=st.integers(10, 18), points=st.just(SQUARE), add=st.booleans()),
    st.sampled_from(
        [
            Voxels.of(Crop((9, 11, 13), np.arange(60).reshape(4, 5, 3) % 7 < 3)),
            Voxels.of(Crop((28, 24, 10), np.arange(64).reshape(4, 4, 4) % 5 > 1), add=False),
            FillHoles(),
            FillHoles(axis=1),
            KeepPiece(),
            KeepPiece(voxel=(10, 12, 14)),
            Smooth(mm=2.0),
            Margin(mm=3.0),
            Margin(mm=-2.5),
            Interpolate(axis=2),
            CopySlice(axis=2, slice=14),
            Combine(operation="union", other="b"),
            Combine(operation="subtract", other="b"),
            Combine(operation="intersect", other="b"),
        ]
    ),
)
CLICKS = st.tuples(st.sampled_from([(10, 12, 14), (12, 14, 15), (30, 28, 15), (20, 20, 15)]), st.booleans())


def begun() -> Session:
    session = bright_session(SCAN)
    session.new_object("a")
    session.new_object("b")
    session.click((10, 12, 14), "a", grow=False)
    session.edit(Brush(points=((14, 12, 14),), radius_mm=7), "b")
    return session


def do(session, steps):
    """Edits and clicks on object a; refusals change nothing."""
    for step in steps:
        before = session.state
        try:
            if isinstance(step, tuple):
                session.click(step[0], "a", step[1], grow=False)
            else:
                session.edit(step, "a")
        except PromptError:
            assert session.state is before


@settings(max_examples=25)
@given(st.lists(st.one_of(EDITS, CLICKS), min_size=1, max_size=5))
def test_undo_equals_never_and_redo_equals_done(steps):
    session = begun()
    pictures = [picture(session)]
    states = [session.state]
    for step in steps:
        do(session, [step])
        if session.state != states[-1]:
            states.append(session.state)
            pictures.append(picture(session))
    for before in reversed(pictures[:-1]):
        assert session.undo()
        session.open_scan.forget()
        assert picture(session) == before
    for after in pictures[1:]:
        assert session.redo()
        assert picture(session) == after


@settings(max_examples=25)
@given(st.lists(EDITS, min_size=1, max_size=3), st.lists(CLICKS, min_size=1, max_size=3))
def test_clicks_never_change_edited_voxels(edits, clicks):
    session = begun()
    do(session, edits)
    inputs = session.object("a").state.inputs
    edited = session.open_scan.edits.decided_by(inputs.edits)
    before = session.mask("a")[edited.slices]
    assert np.array_equal(before[edited.values_XYZ != 0], edited.values_XYZ[edited.values_XYZ != 0] > 0)
    do(session, clicks)
    after = session.mask("a")[edited.slices]
    assert np.array_equal(before[edited.values_XYZ != 0], after[edited.values_XYZ != 0])
    elsewhere = begun()
    do(elsewhere, clicks)  # and elsewhere they do what they do without edits
    free = edited.on(type(edited.box).whole(SCAN.grid.shape), 0) == 0
    assert np.array_equal(session.mask("a")[free], elsewhere.mask("a")[free])


@settings(max_examples=15)
@given(st.lists(st.one_of(EDITS, CLICKS), min_size=1, max_size=4))
def test_a_log_and_a_file_give_the_same_masks(tmp_path_factory, steps):
    session = begun()
    do(session, steps)
    again = bright_session(SCAN)
    replay(again, json.loads(json.dumps(log_of(session)))["events"])
    assert picture(again) == picture(session)
    path = session.save(tmp_path_factory.mktemp("kept") / "case.ovsession")
    restored = Session.restored(read_session(path), session.open_scan.model, SCAN)
    assert restored.state == session.state
    assert picture(restored) == picture(session)
    while session.undo():
        assert restored.undo()
        assert restored.state == session.state
    assert picture(restored) == picture(session)


@settings(max_examples=15)
@given(st.lists(st.one_of(EDITS, CLICKS), min_size=1, max_size=4))
def test_the_changed_boxes_of_label_maps_hold_every_change(steps):
    session = begun()
    kept = LabelMap(session)
    kept.update()
    for step in steps:
        before = kept.labels_XYZ.copy()
        do(session, [step])
        changed = kept.update()
        assert np.array_equal(kept.labels_XYZ, session.segmentation().labels)
        if changed is not None:
            before[changed.slices()] = kept.labels_XYZ[changed.slices()]
        assert np.array_equal(before, kept.labels_XYZ)


def test_only_files_with_edits_have_the_new_format_and_damage_is_told(tmp_path):
    session = bright_session(SCAN)
    session.click((10, 12, 14), grow=False)
    model = session.open_scan.model
    assert session.contents().manifest["format"] == 1
    session.edit(Brush(points=((10, 12, 14),), radius_mm=4))
    contents = session.contents()
    assert contents.manifest["format"] == 2
    session.undo()
    assert session.contents().manifest["format"] == 2  # redo must show it
    for damage in (
        {"edit1.box": np.array([[0, 0, 0], [99, 5, 5]])},
        {"edit1": np.zeros((2, 1), np.uint8)},
    ):
        with pytest.raises(SessionError, match="not complete"):
            Session.restored(replace(contents, arrays={**contents.arrays, **damage}), model, SCAN)


def test_an_edit_tells_what_it_changed_and_asks_no_network():
    session = bright_session(SCAN)
    session.new_object("a")
    edited = session.edit(Brush(points=((20, 20, 15),), radius_mm=2.0), "a")
    assert (edited.added, edited.removed) == (7, 0)  # of 2 mm voxels: one, and its six neighbours
    assert edited.changed == ((19, 19, 14), (22, 22, 17))
    assert edited.notes == []
    again = session.edit(Brush(points=((20, 20, 15),), radius_mm=2.0), "a")
    assert again.notes == ["nothing changed in 'a': it is like that already"]
    assert len(session.events) == 3  # certain anew, so there is something to undo
    assert session.edit(FillHoles(), "a").notes == again.notes
    assert len(session.events) == 3
    assert session.open_scan.model.clicks.encoded == 0


def test_what_was_edited_counts_as_done_by_hand():
    session = bright_session(SCAN)
    session.new_object("a")
    assert not by_hand(session.object("a").state)
    session.edit(Brush(points=((20, 20, 15),), radius_mm=2.0), "a")
    assert by_hand(session.object("a").state)


def test_a_brush_with_a_range_of_hu_paints_only_there():
    session = bright_session(SCAN)
    session.edit(Brush(points=((10, 12, 14),), radius_mm=14, hu=(200, 400)))
    assert np.array_equal(session.mask("object"), two_balls_of(10, 12))
    with pytest.raises(PromptError, match="no voxel of 900 to 1000 HU"):
        session.edit(Brush(points=((10, 12, 14),), radius_mm=14, hu=(900, 1000)))


def two_balls_of(x, y):
    bright = SCAN.voxels > 0
    bright[20:] = False
    assert bright[x, y, 14]
    return bright


def test_a_click_that_contradicts_an_edit_is_told():
    session = begun()
    session.edit(Brush(points=((10, 12, 14),), radius_mm=3, add=False), "a")
    answer = session.click((10, 12, 14), "a", grow=False)
    assert answer.notes == [
        "click (10, 12, 14) lies where 'a' was edited by hand, which clicks do not change: paint or erase there"
    ]
    assert not session.mask("a")[10, 12, 14]


@settings(max_examples=20)
@given(st.lists(PLACES, min_size=1, max_size=30), st.booleans())
def test_voxels_of_a_mask_are_decided_and_no_other(drawn, add):
    mask_XYZ = np.zeros((40, 40, 30), dtype=bool)
    mask_XYZ[tuple(np.transpose(drawn))] = True
    session = bright_session(SCAN)
    session.new_object("a")
    session.edit(Polygon(axis=2, slice=14, points=SQUARE), "a")
    before = session.mask("a")
    box = Box.around(mask_XYZ)
    assert box is not None
    session.edit(Voxels.of(Crop(box.start, mask_XYZ[box.slices()]), add), "a")
    assert np.array_equal(session.mask("a"), before | mask_XYZ if add else before & ~mask_XYZ)


def test_a_mask_of_no_voxel_or_too_many_pieces_is_no_edit():
    with pytest.raises(PromptError, match="0 voxels"):
        Voxels.of(Crop((0, 0, 0), np.zeros((2, 2, 2), dtype=bool)))
    with pytest.raises(PromptError, match="many in parts"):
        Voxels.of(Crop((0, 0, 0), np.indices((60, 60, 60)).sum(axis=0) % 2 == 0))


def test_a_class_may_be_painted_from_nothing_and_locks_hold():
    session = bright_session(SCAN)
    session.edit(Polygon(axis=2, slice=14, points=SQUARE), "liver")
    assert session.object("liver").state.inputs.class_id == 1
    assert session.mask("liver").sum() == 64
    session.change("liver", locked=True)
    with pytest.raises(PromptError, match="locked"):
        session.edit(FillHoles(), "liver")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Brush(points=((99, 0, 0),), radius_mm=2), "touches no voxel of the scan"),
        (Polygon(axis=2, slice=99, points=SQUARE), "no slice 99"),
        (Polygon(axis=2, slice=9, points=((1.1, 1.1), (1.2, 1.1), (1.2, 1.2))), "no centre of a voxel"),
        (Voxels(box=((39, 41), (0, 1), (0, 1)), runs=(0, 2)), "not all in the scan"),
        (Voxels(box=((3, 1), (0, 1), (0, 1)), runs=(0, 2)), "not all in the scan"),
        (Voxels(box=((0, 2), (0, 1), (0, 1)), runs=(0, 3)), "runs of 3 voxels, 3 drawn, do not fit a box of 2"),
        (Voxels(box=((0, 2), (0, 1), (0, 1)), runs=(2, 0)), "0 drawn"),
        (Smooth(mm=1), "object 'empty' has no voxel yet"),
        (Combine(operation="union", other="nobody"), "no object 'nobody'"),
        (Combine(operation="union", other="empty"), "with itself"),
    ],
)
def test_impossible_edits_change_nothing_and_say_why(edit, message):
    session = bright_session(SCAN)
    session.new_object("empty")
    with pytest.raises(PromptError, match=message) as refused:
        session.edit(edit, "empty")
    assert "\n" not in str(refused.value)
    assert len(session.events) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "brush", "points": [[1, 2, 3]]}, "brush.radius_mm: Field required"),
        ({"kind": "fly"}, "'fly' found using 'kind' does not match"),
        ({"kind": "smooth", "mm": 0}, "smooth.mm: Input should be greater than 0"),
        (3, "Input should be"),
    ],
)
def test_what_is_no_edit_says_so_in_one_line(content, message):
    with pytest.raises(PromptError, match="the edit is not understood") as refused:
        parse_edit(content)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises((PromptError, SessionError), match="not understood"):
        replay(bright_session(SCAN), [{"action": "edit", "edit": content}])


@given(EDITS)
def test_edits_come_back_from_json(edit):
    assert parse_edit(json.loads(json.dumps(log_edit(edit)))) == edit
