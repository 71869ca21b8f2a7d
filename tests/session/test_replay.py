import json

import numpy as np
import pytest

from openvista.errors import PromptError, SessionError
from openvista.scan import Segmentation
from openvista.session.replay import log_of, replay
from openvista.session.session import Session
from small_sessions import bright_session, two_balls

SCAN = two_balls()


def worked_on() -> Session:
    session = bright_session(SCAN)
    session.click((10, 12, 14))
    session.new_object("node", (1, 2, 3))
    session.box([(24, 37), (22, 35), (10, 21)], "node", grow=False)
    session.click((30, 25, 15), "node", positive=False)
    session.undo()
    session.scribble([(8, 12, 14), (12, 12, 14)], "liver")
    session.lasso(([(26, 24), (34, 24), (34, 32), (26, 32)], 2, 15), "liver")
    session.change("liver", name="my liver", locked=True)
    session.move("my liver", 0)
    session.new_object("gone")
    session.remove("gone")
    session.undo()
    session.redo()
    return session


def test_a_log_does_the_same_again():
    session, again = worked_on(), bright_session(SCAN)
    text = json.dumps(log_of(session))
    answers = replay(again, json.loads(text)["events"])
    assert again.state == session.state
    assert len(answers) == 5
    assert [(e.action, e.details) for e in again.events] == [(e.action, dict(e.details)) for e in session.events]
    assert np.array_equal(again.segmentation().labels, session.segmentation().labels)


def test_a_script_written_by_hand():
    session = bright_session(SCAN)
    replay(
        session,
        [
            {"action": "new_object", "name": "node"},
            {"action": "clicks", "object": "node", "clicks": [[30, 28, 15], [34, 28, 15, False]]},
            {"action": "clicks", "object": "liver", "clicks": [[10, 12, 14, True]], "grow": False},
        ],
    )
    assert [item.name for item in session.objects] == ["node", "liver"]
    assert not session.mask("node")[34, 28, 15]


def test_a_log_that_starts_from_a_mask_needs_it():
    labels = np.zeros(SCAN.voxels.shape, np.uint8)
    labels[28:33, 27:30, 14:17] = 7
    segmentation = Segmentation(labels, SCAN.grid, {7: "node"})
    session = bright_session(SCAN)
    session.start_from(segmentation)
    session.click((30, 28, 15), "node")
    events = log_of(session)["events"]
    with pytest.raises(SessionError, match="starts from a mask of 'node'"):
        replay(bright_session(SCAN), events)
    again = bright_session(SCAN)
    again.start_from(segmentation)
    replay(again, events)
    assert np.array_equal(again.mask("node"), session.mask("node"))


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"action": "fly"}, "event 1 of the log: no action 'fly'; there is clicks, box"),
        ({"action": "clicks"}, "event 1 of the log, 'clicks': missing or wrong argument"),
        ({"action": "clicks", "clicks": [[1, 2]]}, "missing or wrong argument"),
        ({"action": "box", "box": 3}, "missing or wrong argument"),
    ],
)
def test_broken_events_say_which(event, message):
    with pytest.raises(SessionError, match=message):
        replay(bright_session(SCAN), [event])


def test_what_an_action_refuses_is_passed_on():
    with pytest.raises(PromptError, match="no object 'liver'"):
        replay(bright_session(SCAN), [{"action": "remove", "object": "liver"}])
