"""The handle of an object in a session."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openvista.inference.objects import ObjectState
from openvista.inference.targets import find_object
from openvista.prompts import Click

if TYPE_CHECKING:
    from openvista.inference.session import Session


@dataclass(frozen=True)
class SessionObject:
    """An object of a session: what it tells is always the present.

    Every property raises ``PromptError`` once the object is gone.

    Attributes:
        session: where it lives.
        id: its value in label maps.
    """

    session: "Session" = field(repr=False)
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
        return self.state.description.clicks

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[X, Y, Z] where it is, on the scan's own voxels, whatever lies over it."""
        return self.session.mask(self)


Which = SessionObject | int | str
"""An object by handle, id or name; for prompts also a class by any of its names, which makes an object for it."""
