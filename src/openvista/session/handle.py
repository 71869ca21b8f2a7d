"""A handle on an object of a session. Needs no torch."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from openvista.prompts import Click
from openvista.session.state import ObjectState, SessionState, find_object


class ObjectHolder(Protocol):
    """What a handle needs of its session."""

    @property
    def state(self) -> SessionState:
        """All objects."""

    def mask(self, which: int) -> NDArray[np.bool_]:
        """[X, Y, Z] where an object is."""


@dataclass(frozen=True)
class SessionObject:
    """A handle on an object of a session: its properties tell what the object is now.

    Every property raises ``PromptError`` once the object is gone.

    Attributes:
        session: that has it.
        id: its value in label maps.
    """

    session: ObjectHolder = field(repr=False)
    id: int

    @property
    def state(self) -> ObjectState:
        """Name, class, colour, clicks, lock."""
        return find_object(self.session.state, self.id)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.state.name

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The user's clicks on it, oldest first."""
        return self.state.inputs.clicks

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[X, Y, Z] where it is, on the scan's own voxels, whatever lies over it."""
        return self.session.mask(self.id)
