"""A session in a notebook: the mouse on the planes and the buttons do what the session's methods do."""

import numpy as np
import pytest

from openvista.widgets.clicking import ADD, LOOK, TAKE_AWAY
from small_sessions import bright_session, two_balls

FIRST, EDGE, SECOND = np.array([10, 12, 14]), np.array([14, 12, 14]), np.array([30, 28, 15])


@pytest.fixture
def viewer(browser):
    made = bright_session(two_balls()).view(height=300)
    browser.load(made.picture.widget)
    return made


def point(browser, viewer, voxel: np.ndarray) -> None:
    browser.point(viewer.picture.widget, viewer.scan.grid.to_world(voxel[None])[0])


def shown(browser, viewer) -> np.ndarray:
    labels = browser.voxels[viewer.picture.labels.model_id]
    return labels.reshape(viewer.scan.grid.shape, order="F")


def test_the_mouse_clicks_and_the_picture_follows(browser, viewer):
    point(browser, viewer, FIRST)
    assert viewer.session.objects == ()  # it looks only
    viewer.mode.value, viewer.object.value = ADD, "ball"
    viewer.new_button.click()
    point(browser, viewer, FIRST)
    (ball,) = viewer.session.objects
    assert ball.mask.sum() > 400
    np.testing.assert_array_equal(shown(browser, viewer) == ball.id, ball.mask)
    assert viewer.structures[ball.id].description == f"ball · {ball.mask.sum() * 0.008:.1f} ml"
    assert viewer.notes.value.startswith("ball: ")
    assert viewer.place.value.endswith("300 HU · ball")

    whole = ball.mask
    viewer.mode.value = TAKE_AWAY
    point(browser, viewer, EDGE)
    assert 0 < ball.mask.sum() < whole.sum()
    np.testing.assert_array_equal(shown(browser, viewer) == ball.id, ball.mask)
    assert [click.positive for click in ball.clicks] == [True, False]
    viewer.undo_button.click()
    np.testing.assert_array_equal(shown(browser, viewer) == ball.id, whole)
    viewer.redo_button.click()
    assert shown(browser, viewer).sum() < whole.sum() * ball.id
    viewer.mode.value = LOOK
    point(browser, viewer, SECOND)
    assert len(ball.clicks) == 2


def test_the_object_is_the_unnamed_one_where_none_is_chosen(browser, viewer):
    viewer.mode.value = ADD
    point(browser, viewer, FIRST)
    point(browser, viewer, SECOND)
    (item,) = viewer.session.objects
    assert len(item.clicks) == 2
    assert viewer.object.value == item.name


def test_a_class_by_any_of_its_names(browser, viewer):
    viewer.mode.value, viewer.object.value = ADD, "Liver"
    point(browser, viewer, FIRST)
    assert [item.name for item in viewer.session.objects] == ["liver"]
    assert viewer.object.value == "liver"
    assert viewer.object.options[0] == "liver"
    assert "spleen" in viewer.object.options
    assert len(set(viewer.object.options)) == len(viewer.object.options)


def test_what_cannot_be_done_is_said_and_changes_nothing(browser, viewer):
    viewer.mode.value, viewer.object.value = ADD, "livr<"
    point(browser, viewer, FIRST)
    assert "livr&lt;" in viewer.notes.value
    assert "liver" in viewer.notes.value
    viewer.object.value = "liver"
    viewer.segment_button.click()
    assert "class prompts" in viewer.notes.value  # this model answers clicks only
    assert viewer.session.objects == ()


def test_notes_of_the_answer_are_shown(browser, viewer):
    viewer.mode.value = ADD
    point(browser, viewer, np.array([-5, 0, 0]))
    assert "lies outside the scan" in viewer.notes.value


def test_buttons_say_whether_they_do_something(browser, viewer):
    assert viewer.undo_button.disabled
    assert viewer.redo_button.disabled
    viewer.new_button.click()
    assert not viewer.undo_button.disabled
    viewer.undo_button.click()
    assert viewer.undo_button.disabled
    assert not viewer.redo_button.disabled


def test_changes_of_other_cells_are_shown_when_asked_for(browser, viewer):
    viewer.session.click(FIRST, object=viewer.session.new_object("ball"))
    assert viewer.structures == {}
    viewer.refresh()
    assert [box.description.split(" · ")[0] for box in viewer.structures.values()] == ["ball"]
    assert not viewer.undo_button.disabled


def test_segment_finds_the_class_that_is_named_or_all(browser, session):
    viewer = session.view()
    viewer.object.value = "spleen"
    viewer.segment_button.click()
    assert [item.name for item in session.objects] == ["spleen"]
    assert viewer.notes.value == "looked for spleen"
    viewer.object.value = ""
    viewer.segment_button.click()
    assert [item.name for item in session.objects] == ["spleen", "liver"]
