"""Undo without limit, and a log of what was done. Needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from openvista.session.state import SessionState


@dataclass(frozen=True)
class Event:
    """Something that somebody did.

    Attributes:
        time: ISO 8601, UTC, with milliseconds.
        action: ``"clicks"``, ``"segment"``, ``"undo"``, ... : the session's method of that name.
        details: its arguments, as JSON can hold them; objects by name.
        step: the change of state it stands for; 0 where there was none to undo (undo and redo themselves).
    """

    time: str
    action: str
    details: Mapping[str, Any]
    step: int


@dataclass(frozen=True)
class Step:
    """A state and the number of the change that led to it.

    Attributes:
        number: 0 for the beginning, then counting up; numbers are never used twice.
        state: the objects.
    """

    number: int
    state: SessionState


class History:
    """States in order, with a place in it, and the log. States share what did not change, so they cost little.

    Attributes:
        past: from the beginning to now; never empty.
        future: what redo goes to, next one last.
        events: everything that happened, undone or not.
    """

    def __init__(self) -> None:
        self.past: list[Step] = [Step(0, SessionState())]
        self.future: list[Step] = []
        self.events: list[Event] = []

    @property
    def state(self) -> SessionState:
        """The objects as they are now."""
        return self.past[-1].state

    @property
    def revision(self) -> int:
        """Grows with every change, undo and redo."""
        return len(self.events)

    def do(self, state: SessionState, action: str, details: Mapping[str, Any]) -> None:
        """Go to a new state; what was undone before is gone."""
        number = max((event.step for event in self.events), default=0) + 1
        self.past.append(Step(number, state))
        self.future.clear()
        self._log(action, details, number)

    def undo(self) -> bool:
        """Go back one change; False if there is none."""
        if len(self.past) == 1:
            return False
        self.future.append(self.past.pop())
        self._log("undo", {}, 0)
        return True

    def redo(self) -> bool:
        """Take back the last undo; False if there is none."""
        if not self.future:
            return False
        self.past.append(self.future.pop())
        self._log("redo", {}, 0)
        return True

    def is_undone(self, event: Event) -> bool:
        """Whether an event's change is not part of the present state."""
        return all(step.number != event.step for step in self.past)  # the beginning, 0, is always there

    def _log(self, action: str, details: Mapping[str, Any], step: int) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self.events.append(Event(now, action, dict(details), step))
