"""From all that an object's mask depends on (its description) to the mask, and from new clicks to a new description."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openvista.grid import Float3
from openvista.inference.byte_cache import ByteCache
from openvista.inference.click_engine import ClickEngine, Mean, PlacedClick
from openvista.inference.grow import next_opening
from openvista.inference.merge import Merged, Place, keep_clicked, merge_clicks
from openvista.inference.objects import Description, Opening
from openvista.inference.parts import Part, around, box_slices, joint_box
from openvista.inference.progress import Report, silent
from openvista.prompts import Click

OUTSIDE = -1.0
"""Logit around a layer: negative, and not so large that it would pull an interpolated edge."""
LAYER_BYTES = 1 << 30
"""Of layers to keep; others are made again when somebody goes back to them."""
_MARGIN = 2


@dataclass(frozen=True, eq=False)
class Layer:
    """An object's mask, ready to be shown.

    Attributes:
        logits: positive inside the object, on the model grid; ``OUTSIDE`` around.
        touched: where clicks have changed what it started from, on the same box; ``None`` if it started from nothing.
    """

    logits: Part
    touched: Part | None = None

    @property
    def nbytes(self) -> int:
        """Memory of both."""
        return self.logits.nbytes + (self.touched.nbytes if self.touched else 0)

    @property
    def mask(self) -> Part:
        """True inside the object, on the model grid."""
        return Part(self.logits.start, self.logits.values_XYZ > 0)


@dataclass(frozen=True)
class Extended:
    """A description with new clicks in it.

    Attributes:
        description: the new one.
        grown: windows that growing opened.
        goes_on: growing met its limit, so the object may be larger.
        unseen: new clicks that no window holds: they count once one does.
    """

    description: Description
    grown: int = 0
    goes_on: bool = False
    unseen: tuple[Click, ...] = ()


class Answering:
    """Layers of descriptions about one scan.

    Args:
        engine: asks the network.
        to_model: voxel of the scan to voxel of the model grid.
        start_layer: what a start (see :class:`Description`) looks like on the model grid.
        spacing: mm of the model grid.

    Attributes:
        layers: by description.
    """

    def __init__(
        self,
        engine: ClickEngine,
        to_model: Callable[[Float3], Float3],
        start_layer: Callable[[Description], Part | None],
        spacing: Float3,
        layer_bytes: int = LAYER_BYTES,
    ) -> None:
        self.engine, self.to_model, self.start_layer, self.spacing = engine, to_model, start_layer, spacing
        self.layers: ByteCache[Layer] = ByteCache(layer_bytes)
        self._last: tuple[Description, Mean, Merged] | None = None

    def layer(self, description: Description, report: Report = silent) -> Layer:
        """The mask of an object."""
        return self.layers.get(description, lambda: self._layer(description, report))

    def add_clicks(
        self, description: Description, clicks: Sequence[Click], grow_limit: int, report: Report = silent
    ) -> Extended:
        """A description with more clicks.

        Each positive click that does not lie well inside a window opens one. Negative clicks do so only where they
        correct something: on their own there is nothing to exclude from. Then the object grows.

        Args:
            description: so far.
            clicks: in the scan.
            grow_limit: windows to open at most when the mask reaches the end of what was seen; 0 not to grow.
            report: told about windows.
        """
        openings, unseen = list(description.openings), []
        for click in clicks:
            place = self.to_model(click.voxel)
            if click.positive or description.start is not None:
                self._open(openings, place)
            elif not any(self.engine.lattice.holds(opening.start, place) for opening in openings):
                unseen.append(click)
        extended = replace(description, clicks=(*description.clicks, *clicks), openings=tuple(openings))
        extended, grown, goes_on = self._grown(self._supported(extended, report), grow_limit, report)
        return Extended(extended, grown, goes_on, tuple(unseen))

    def _open(self, openings: list[Opening], place: Float3) -> None:
        """Make sure that a window holds a click well."""
        lattice = self.engine.lattice
        start = lattice.start(place)
        known = any(opening.start == start or lattice.holds_well(opening.start, place) for opening in openings)
        if not known:
            openings.append(Opening(start))

    def _supported(self, description: Description, report: Report) -> Description:
        """Without clicks of growing that the object no longer holds, and without windows that have nothing left to ask.
        So what leaked and grew is gone once a click has closed the leak."""
        lattice, corrects = self.engine.lattice, description.start is not None
        clicks = self._clicks(description)
        while any(opening.placed for opening in description.openings):
            mean, merged = self._merged(description, report)
            inside = Part(mean.start, merged.taken_XYZ & (merged.logits_XYZ > 0))
            kept = []
            for opening in description.openings:
                placed = tuple(place for place in opening.placed if inside.at(self.engine.voxel(place), 0) > 0)
                own = any(lattice.holds(opening.start, c.place) and (c.positive or corrects) for c in clicks)
                if placed or own:
                    kept.append(Opening(opening.start, placed))
            if tuple(kept) == description.openings:
                break
            description = replace(description, openings=tuple(kept))
        return description

    def _grown(self, description: Description, limit: int, report: Report) -> tuple[Description, int, bool]:
        """The description with the windows that growing adds, how many, and whether there would be more."""
        for count in range(limit + 1):
            if limit == 0 or not description.openings:
                break
            mean, merged = self._merged(description, report)
            inside_XYZ = merged.taken_XYZ & (merged.logits_XYZ > 0)
            opening = next_opening(inside_XYZ, mean.visited_XYZ, mean.start, self.engine.lattice, self.spacing)
            if opening is None or count == limit:
                return description, count, opening is not None
            description = replace(description, openings=(*description.openings, opening))
        return description, 0, False

    def _merged(self, description: Description, report: Report) -> tuple[Mean, Merged]:
        """The windows' mean, and what the merge rules make of it, on the box around the windows."""
        if self._last is None or self._last[0] != description:
            self._last = (description, *self._merge(description, report))
        return self._last[1:]

    def _merge(self, description: Description, report: Report) -> tuple[Mean, Merged]:
        clicks = self._clicks(description)
        mean = self.engine.mean(description.openings, clicks, description.special, description.zero_shot, report)
        places = []
        for click in clicks:
            x, y, z = (v - o for v, o in zip(self.engine.voxel(click.place), mean.start, strict=True))
            places.append(Place((x, y, z), click.positive))
        start = self.start_layer(description)
        if start is None:
            return mean, keep_clicked(mean.logits_XYZ, places, mean.visited_XYZ)
        stop = Part(mean.start, mean.logits_XYZ).stop
        previous_XYZ = start.on(mean.start, stop, OUTSIDE).astype(np.float32)
        return mean, merge_clicks(previous_XYZ, mean.logits_XYZ, places, None, mean.visited_XYZ)

    def _layer(self, description: Description, report: Report) -> Layer:
        start = self.start_layer(description)
        if not description.openings:
            return Layer(start or Part((0, 0, 0), np.zeros((0, 0, 0), dtype=self.engine.dtype)))
        mean, merged = self._merged(description, report)
        if start is None:
            logits_XYZ = np.where(merged.known_XYZ, merged.logits_XYZ, np.float32(OUTSIDE))
            return self._cropped(Part(mean.start, logits_XYZ), None)
        answer = Part(mean.start, merged.logits_XYZ)
        first, stop = joint_box([(start.start, start.stop), (answer.start, answer.stop)])
        logits_XYZ = start.on(first, stop, OUTSIDE).astype(np.float32)
        logits_XYZ[box_slices(answer.start, answer.stop, origin=first)] = merged.logits_XYZ
        touched_XYZ = Part(mean.start, merged.taken_XYZ).on(first, stop, False)
        return self._cropped(Part(first, logits_XYZ), Part(first, touched_XYZ))

    def _cropped(self, logits: Part, touched: Part | None) -> Layer:
        """Without the rows around it in which nothing is positive and nothing was touched."""
        stored_XYZ = logits.values_XYZ.astype(self.engine.dtype)
        needed_XYZ: NDArray[np.bool_] = stored_XYZ > 0
        if touched is not None:
            needed_XYZ = needed_XYZ | touched.values_XYZ
        box = around(needed_XYZ, _MARGIN)
        if box is None:
            return Layer(Part((0, 0, 0), stored_XYZ[:0, :0, :0]))
        inside = box_slices(*box)
        x, y, z = (a + b for a, b in zip(logits.start, box[0], strict=True))
        cropped = Part((x, y, z), np.ascontiguousarray(stored_XYZ[inside]))
        if touched is None:
            return Layer(cropped)
        return Layer(cropped, Part((x, y, z), np.ascontiguousarray(touched.values_XYZ[inside])))

    def _clicks(self, description: Description) -> list[PlacedClick]:
        return [PlacedClick(self.to_model(click.voxel), click.positive) for click in description.clicks]
