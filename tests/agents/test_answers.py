"""What the tools tell of structures: the side of the patient, the border, what was judged."""

import numpy as np
import pytest

from openvista.agents.answers import measured, session_answer
from openvista.geometry.grid import Grid
from openvista.scan import Scan, Segmentation
from small_sessions import ball, bright_scan, bright_session

SHAPE = (40, 20, 20)
BODY = slice(0, 24)
"""Voxels along R-L: the patient lies off the middle of the scan."""


def off_centre(first: int, name: str = "left kidney") -> Segmentation:
    """A structure of one voxel across in a body whose middle is voxel 11.5; 3 mm a voxel, x towards the right."""
    voxels = np.full(SHAPE, -1000, np.int16)
    voxels[BODY, 5:15] = 40
    labels = np.zeros(SHAPE, np.uint8)
    labels[first, 8:12, 5:15] = 14
    grid = Grid(SHAPE, np.diag([3.0, 3.0, 3.0, 1.0]))
    return Segmentation(labels, grid, {14: name, 5: "right kidney"}, scan=Scan(voxels, grid))


@pytest.mark.parametrize(("first", "side"), [(4, "left"), (10, "middle"), (13, "middle"), (18, "right")])
def test_sides_are_seen_from_the_middle_of_the_body(first, side):
    told = measured(off_centre(first), ["first of all"])
    (found,) = told.structures
    assert found.side == side
    wrong = ["left kidney lies on the patient's right: the name or the orientation of the scan is wrong"]
    assert told.warnings == ["first of all", *(wrong if side == "right" else [])]
    assert (told.not_found, told.judged) == (["right kidney"], False)


def test_without_a_side_in_its_name_a_structure_may_lie_anywhere():
    assert measured(off_centre(18, "spleen")).warnings == []


def test_objects_of_a_session_say_whether_the_border_cuts_them():
    inside = ball((40, 40, 30), (10, 12, 14), 5)
    cut = ball((40, 40, 30), (37, 28, 15), 6)
    session = bright_session(bright_scan(inside | cut))
    for name, voxel in (("whole", (10, 12, 14)), ("cut", (37, 28, 15))):
        session.click(voxel, session.new_object(name))
    session.new_object("empty")
    told = session_answer("handle", session, ["a note"])
    assert {item.name: item.touches_border for item in told.objects} == {"whole": False, "cut": True, "empty": False}
    assert told.objects[0].volume_ml == pytest.approx(session.mask("whole").sum() * 0.008)
    assert (told.notes, told.can_undo) == (["a note"], True)
