"""The objects of a session as plain values."""

from openvista.prompts import Click
from openvista.session.state import ClickWindow, Correction, MaskInputs, ObjectState, SessionState


def test_the_inputs_before_a_correction_are_those_of_the_answer_it_corrected():
    first, second = ClickWindow((0, 0, 0)), ClickWindow((4, 0, 0))
    clicks = (Click((1, 1, 1)), Click((5, 1, 1)), Click((6, 1, 1), False))
    once = MaskInputs(clicks=clicks[:1], windows=(first,))
    twice = MaskInputs(clicks=clicks[:2], windows=(first, second), corrections=(Correction(1, (first,)),))
    corrections = (*twice.corrections, Correction(2, twice.windows))
    thrice = MaskInputs(clicks=clicks, windows=twice.windows, corrections=corrections)
    assert thrice.previous == twice
    assert twice.previous == once
    assert once.previous is None


def test_changed_objects_keep_their_place_and_new_ones_lie_on_top():
    low, high, new = (ObjectState(number, name, (0, 0, 0)) for number, name in ((7, "low"), (3, "high"), (5, "new")))
    changed = ObjectState(7, "changed", (1, 1, 1))
    state = SessionState((low, high)).with_objects([new, changed])
    assert state.objects == (changed, high, new)
