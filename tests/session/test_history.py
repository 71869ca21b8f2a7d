"""Undo and redo on plain states: nothing is lost but an undone future, and every change has a number of its own."""

from hypothesis import given, settings
from hypothesis import strategies as st

from openvista.session.history import History
from openvista.session.state import ObjectState, SessionState

WALKS = st.lists(st.sampled_from(["do", "undo", "redo"]), max_size=25)


def state(number):
    return SessionState((ObjectState(number, f"object {number}", (0, 0, 0)),))


@settings(max_examples=60)
@given(WALKS)
def test_any_walk_is_that_of_a_list_and_a_place_in_it(walk):
    history, place = History(), 0
    states = [history.state]
    assert states == [SessionState()]
    for count, move in enumerate(walk, start=1):
        revision = history.revision
        if move == "do":
            states, place = [*states[: place + 1], state(count)], place + 1
            history.do(states[-1], "clicks", {})
            moved = True
        elif move == "undo":
            moved = history.undo()
            assert moved == (place > 0)
            place -= moved
        else:
            moved = history.redo()
            assert moved == (place < len(states) - 1)
            place += moved
        assert history.state is states[place]
        assert history.revision == revision + moved
        assert [step.state for step in (*history.past, *reversed(history.future))] == states


@settings(max_examples=60)
@given(WALKS)
def test_an_event_is_undone_exactly_if_its_change_is_not_in_the_present_state(walk):
    history, event_of = History(), {}
    for count, move in enumerate(walk, start=1):
        if move == "do":
            history.do(state(count), "clicks", {"count": count})
            event_of[count] = history.events[-1]
        else:
            getattr(history, move)()
    present = {step.state.objects[0].id for step in history.past[1:]}
    assert {count for count, event in event_of.items() if not history.is_undone(event)} == present
    assert not any(history.is_undone(event) for event in history.events if event.action in ("undo", "redo"))


def test_the_number_of_an_undone_change_is_never_used_again():
    history = History()
    for count in range(3):
        history.do(state(count), "clicks", {})
        history.undo()
    assert [event.step for event in history.events] == [1, 0, 2, 0, 3, 0]
    assert [step.number for step in history.past] == [0]


def test_the_log_keeps_what_was_true_then():
    history, details = History(), {"name": "liver"}
    history.do(state(1), "rename", details)
    details["name"] = "spleen"
    assert history.events[0].details == {"name": "liver"}
    assert (history.events[0].action, history.events[0].time[-6:]) == ("rename", "+00:00")
    assert len(history.events[0].time) == len("2025-01-31T12:00:00.000+00:00")
