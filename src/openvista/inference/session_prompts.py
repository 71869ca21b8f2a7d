"""The prompts of a session: clicks, and what is turned into clicks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.inference.drawn import clicks_of_box, clicks_of_lasso, clicks_of_scribble, fill_contour
from openvista.inference.progress import Report, silent
from openvista.inference.session_answer import Answer
from openvista.inference.session_object import Which
from openvista.prompts import Click
from openvista.scan import Scan

Contour = tuple[Sequence[Sequence[float]], int, int]
"""Points along the two axes of a slice, the slice's axis, its index."""


class Prompts(ABC):
    """Turns every kind of prompt into clicks on one object.

    Attributes:
        scan: what is clicked on.
    """

    scan: Scan

    @abstractmethod
    def _prompt(
        self,
        clicks: Sequence[Click],
        which: Which | None,
        action: str,
        details: Mapping[str, Any],
        choices: Mapping[str, bool | None],
        progress: Report,
    ) -> Answer:
        """Answer clicks, and remember what was asked."""

    def click(
        self, voxel: Sequence[float], object: Which | None = None, positive: bool = True, **choices: Any
    ) -> Answer:
        """One click; see :meth:`clicks` for the choices.

        Args:
            voxel: x, y, z in voxels of the scan; 0 is the centre of the first voxel. In mm with ``world=True``.
            object: what it is on.
            positive: the object is there; False: it is not.
        """
        x, y, z = voxel
        return self.clicks([Click((x, y, z), positive)], object, **choices)

    def clicks(
        self,
        clicks: Sequence[Click],
        object: Which | None = None,
        *,
        world: bool = False,
        grow: bool | None = None,
        automatic: bool | None = None,
        progress: Report = silent,
    ) -> Answer:
        """Clicks on one object, answered together and undone together.

        Args:
            clicks: in voxels of the scan.
            object: handle, id or name of an object; or a class, which makes an object that starts from its automatic
                result; ``None`` for the unnamed object.
            world: they are in RAS+ mm.
            grow: whether the mask goes on into neighbouring windows; the profile's choice if ``None``.
            automatic: whether an object made for a class starts from its automatic result; ``None``: if the model has
                an automatic branch.
            progress: told about windows.

        Returns:
            What was done. Clicks outside the scan change nothing, and the answer says so.

        Raises:
            PromptError: the object is locked, or a group.
            AnatomyError: nothing is called so.
            ModelError: the model answers no clicks.
        """
        clicks = [self._in_voxels(click) for click in clicks] if world else list(clicks)
        choices = {"grow": grow, "automatic": automatic}
        return self._prompt(clicks, object, "clicks", _details(clicks), choices, progress)

    def box(
        self, box: Sequence[Sequence[float]], object: Which | None = None, positive: bool = True, **choices: Any
    ) -> Answer:
        """A box around an object, or on one slice: turned into clicks (:mod:`openvista.inference.drawn`).

        Args:
            box: (first, stop) along X, Y, Z in voxels of the scan, half-open.
            object, choices: as for :meth:`clicks`, without ``world``.
            positive: False: the object is not in there.
        """
        clicks = clicks_of_box(box, self.scan.grid.shape, positive)
        details = {"box": [list(side) for side in box], "positive": positive}
        return self._drawn(clicks, object, "box", details, **choices)

    def scribble(
        self,
        drawn: NDArray[np.bool_] | Sequence[Sequence[float]],
        object: Which | None = None,
        positive: bool = True,
        **choices: Any,
    ) -> Answer:
        """A stroke as a mask [X, Y, Z] or as the voxels it went through: turned into clicks, as :meth:`box`."""
        clicks = clicks_of_scribble(drawn, positive)
        if isinstance(drawn, np.ndarray):
            return self._drawn(clicks, object, "clicks", _details(clicks), **choices)
        details = {"points": [list(point) for point in drawn], "positive": positive}
        return self._drawn(clicks, object, "scribble", details, **choices)

    def lasso(
        self, drawn: NDArray[np.bool_] | Contour, object: Which | None = None, positive: bool = True, **choices: Any
    ) -> Answer:
        """A closed contour on a slice, as a filled mask [X, Y, Z] or as (points, axis, index): turned into clicks."""
        if isinstance(drawn, np.ndarray):
            clicks = clicks_of_lasso(drawn, positive)
            return self._drawn(clicks, object, "clicks", _details(clicks), **choices)
        points, axis, index = drawn
        clicks = clicks_of_lasso(fill_contour(points, axis, index, self.scan.grid.shape), positive)
        details = {"points": [list(p) for p in points], "axis": axis, "index": index, "positive": positive}
        return self._drawn(clicks, object, "lasso", details, **choices)

    def _in_voxels(self, click: Click) -> Click:
        x, y, z = self.scan.grid.to_voxel(np.array([click.voxel]))[0].tolist()
        return Click((x, y, z), click.positive)

    def _drawn(
        self, clicks: Sequence[Click], which: Which | None, action: str, details: Mapping[str, Any], **choices: Any
    ) -> Answer:
        progress = choices.pop("progress", silent)
        if unknown := set(choices) - {"grow", "automatic"}:
            raise TypeError(f"unexpected argument {sorted(unknown)[0]!r}")
        return self._prompt(clicks, which, action, details, choices, progress)


def _details(clicks: Sequence[Click]) -> dict[str, Any]:
    return {"clicks": [[*click.voxel, click.positive] for click in clicks]}
