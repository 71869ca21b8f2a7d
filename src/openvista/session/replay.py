"""A log of what was done, done again: on the same scan it gives the same masks, on another one it is a script.

Every event is a JSON object with an ``action``, the name of a method of the session, and its arguments::

    {"action": "segment", "classes": ["spinal cord"]}
    {"action": "new_object", "name": "lesion"}
    {"action": "clicks", "object": "lesion", "clicks": [[120, 88, 40, true], [125, 90, 40, false]]}
    {"action": "box", "object": "lesion", "box": [[100, 130], [70, 95], [40, 41]], "positive": true}
    {"action": "edit", "object": "lesion", "edit": {"kind": "brush", "points": [[118, 84, 40]], "radius_mm": 3}}
    {"action": "undo"}
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from openvista.errors import SessionError
from openvista.inference.progress import Report, silent
from openvista.prompts import Click
from openvista.session.answer import Answer
from openvista.session.editing import Edited
from openvista.session.edits import parse_edit
from openvista.session.session import Session

_CHOICES = ("grow", "automatic")
_CHANGES = ("name", "colour", "locked", "visible")


def log_of(session: Session) -> dict[str, Any]:
    """The log of a session, as JSON can hold it."""
    return {
        "openvista_log": 1,
        "scan": session.scan.name,
        "model": session.open_scan.model.name,
        "events": [{"time": event.time, "action": event.action, **event.details} for event in session.events],
    }


def replay(session: Session, events: Sequence[Mapping[str, Any]], progress: Report = silent) -> list[Answer]:
    """Do again what a log says.

    Args:
        session: to do it in. A log that starts from masks needs their objects in here already.
        events: from a log; see above.
        progress: told about windows.

    Returns:
        The answers of its prompts.

    Raises:
        SessionError: an action that does not exist, or with arguments that are missing or wrong.
        InputError: whatever the action itself refuses.
    """
    answers = []
    for number, event in enumerate(events, start=1):
        action = str(event.get("action"))
        content = event.get("details", event)
        if action not in _ACTIONS:
            raise SessionError(f"event {number} of the log: no action {action!r}; there is {', '.join(_ACTIONS)}")
        try:
            answer = _ACTIONS[action](session, content, progress)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SessionError(f"event {number} of the log, {action!r}: missing or wrong argument ({error})") from None
        if isinstance(answer, Answer):
            answers.append(answer)
    return answers


def _clicks(session: Session, event: Mapping[str, Any], progress: Report) -> Answer:
    clicks = []
    for x, y, z, *sign in event["clicks"]:
        clicks.append(Click((float(x), float(y), float(z)), bool(sign[0]) if sign else True))
    return session.clicks(clicks, _target(session, event), progress=progress, **_choices(event))


def _box(session: Session, event: Mapping[str, Any], progress: Report) -> Answer:
    return session.box(event["box"], _target(session, event), _sign(event), progress=progress, **_choices(event))


def _scribble(session: Session, event: Mapping[str, Any], progress: Report) -> Answer:
    points = event["points"]
    return session.scribble(points, _target(session, event), _sign(event), progress=progress, **_choices(event))


def _lasso(session: Session, event: Mapping[str, Any], progress: Report) -> Answer:
    contour = (event["points"], int(event["axis"]), int(event["index"]))
    return session.lasso(contour, _target(session, event), _sign(event), progress=progress, **_choices(event))


def _edit(session: Session, event: Mapping[str, Any], _: Report) -> Edited:
    return session.edit(parse_edit(event["edit"]), _target(session, event))


def _new_object(session: Session, event: Mapping[str, Any], _: Report) -> None:
    colour = event.get("colour")
    session.new_object(event["name"], None if colour is None else tuple(colour))


def _start_from(session: Session, event: Mapping[str, Any], _: Report) -> None:
    missing = [name for name in event["labels"].values() if session.state.find(name) is None]
    if missing:
        raise SessionError(f"the log starts from a mask of {missing[0]!r}: give that segmentation too")


def _change(session: Session, event: Mapping[str, Any], _: Report) -> None:
    given = {key: event[key] for key in _CHANGES if key in event}
    if "colour" in given:
        given["colour"] = tuple(given["colour"])
    session.change(event["object"], **given)


def _target(session: Session, event: Mapping[str, Any]) -> int | str | None:
    """The object by name; one of a class that is not there yet by its class."""
    name = event.get("object")
    there = name is not None and session.state.find(name) is not None
    class_id: int | str | None = event.get("class")
    return name if there or class_id is None else class_id


def _sign(event: Mapping[str, Any]) -> bool:
    return bool(event.get("positive", True))


def _choices(event: Mapping[str, Any]) -> dict[str, Any]:
    return {key: bool(event[key]) for key in _CHOICES if key in event}


_ACTIONS: Mapping[str, Callable[[Session, Mapping[str, Any], Report], object]] = {
    "clicks": _clicks,
    "box": _box,
    "scribble": _scribble,
    "lasso": _lasso,
    "edit": _edit,
    "segment": lambda session, event, progress: session.segment(event.get("classes"), progress),
    "new_object": _new_object,
    "start_from": _start_from,
    "change": _change,
    "remove": lambda session, event, _: session.remove(event["object"]),
    "move": lambda session, event, _: session.move(event["object"], int(event["position"])),
    "undo": lambda session, *_: session.undo(),
    "redo": lambda session, *_: session.redo(),
}
