"""From all that an object's mask depends on (its description) to the mask, and from new clicks to a new description."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.box import Box, Crop
from openvista.geometry.components import components_at
from openvista.geometry.grid import Axis3, Float3
from openvista.inference.progress import Report, silent
from openvista.prompts import Click
from openvista.session.byte_cache import ByteCache
from openvista.session.click_engine import ClickEngine, GridClick, WindowMean
from openvista.session.grow import next_opening
from openvista.session.merge import (
    Merged,
    VoxelClick,
    correct_nearby,
    heed_clicks,
    heed_radius,
    keep_clicked,
    merge_clicks,
)
from openvista.session.state import ClickWindow, Correction, MaskInputs

OUTSIDE = -1.0
"""Logit around a layer: negative, and not so large that it would pull an interpolated edge."""
LAYER_BYTES = 1 << 30
"""Of layers to keep; others are made again when somebody goes back to them."""
_MARGIN = 2


@dataclass(frozen=True, eq=False)
class ObjectMask:
    """An object's mask, ready to be shown.

    Attributes:
        logits: positive inside the object, on the model grid; ``OUTSIDE`` around.
        touched: where clicks have changed what it started from, on its own box; ``None`` if it started from nothing.
    """

    logits: Crop
    touched: Crop | None = None

    @property
    def nbytes(self) -> int:
        """Memory of both."""
        return self.logits.nbytes + (self.touched.nbytes if self.touched else 0)

    @property
    def mask(self) -> Crop:
        """True inside the object, on the model grid."""
        return Crop(self.logits.start, self.logits.values_XYZ > 0)

    @property
    def clicked_box(self) -> Box | None:
        """The box of what clicks have made; ``None`` if that is nothing."""
        made = self.mask if self.touched is None else self.touched
        box = Box.around(made.values_XYZ)
        return None if box is None else box.shifted(made.start)


@dataclass(frozen=True)
class ExtendedInputs:
    """A description with new clicks in it.

    Attributes:
        description: the new one.
        grown: windows that growing opened.
        goes_on: growing met its limit, so the object may be larger.
        unseen: new clicks that no window holds: they count once one does.
    """

    description: MaskInputs
    grown: int = 0
    goes_on: bool = False
    unseen: tuple[Click, ...] = ()


class ObjectMasks:
    """Layers of descriptions about one scan.

    Args:
        engine: asks the network.
        to_model: voxel of the scan to voxel of the model grid.
        start_layer: what a start (see :class:`MaskInputs`) looks like on the model grid.
        spacing: mm of the model grid.
        local: later clicks change only what is near them (see :class:`openvista.inference.profiles.Profile`).
        heed: clicks are right whatever the network says (see there).
        restored: layers that need not be made, by description.

    Attributes:
        layers: by description.
    """

    def __init__(
        self,
        engine: ClickEngine,
        to_model: Callable[[Float3], Float3],
        start_layer: Callable[[MaskInputs], Crop | None],
        spacing: Float3,
        local: bool = True,
        heed: bool = True,
        restored: Mapping[MaskInputs, ObjectMask] | None = None,
        layer_bytes: int = LAYER_BYTES,
    ) -> None:
        self.engine, self.to_model, self.start_layer, self.spacing = engine, to_model, start_layer, spacing
        self.local, self.heed, self.restored = local, heed, {} if restored is None else restored
        self.layers: ByteCache[ObjectMask] = ByteCache(layer_bytes)
        self._last: tuple[MaskInputs, WindowMean, Merged] | None = None

    def layer(self, description: MaskInputs, progress: Report = silent) -> ObjectMask:
        """The mask of an object."""
        missing = [description]  # and what it corrects, as far back as needed; one by one, so that depth costs nothing
        while (before := missing[-1].before) is not None and before not in self.layers and before not in self.restored:
            missing.append(before)
        for item in reversed(missing):
            layer = self._known(item, progress)
        return layer

    def _known(self, description: MaskInputs, progress: Report) -> ObjectMask:
        if description in self.restored:
            return self.restored[description]
        return self.layers.get(description, lambda: self._layer(description, progress))

    def add_clicks(
        self, description: MaskInputs, clicks: Sequence[Click], grow_limit: int, progress: Report = silent
    ) -> ExtendedInputs:
        """A description with more clicks.

        Each positive click that does not lie well inside a window opens one. Negative clicks do so only where they
        correct something: on their own there is nothing to exclude from. Then the object grows.

        Args:
            description: so far.
            clicks: in the scan.
            grow_limit: windows to open at most when the mask reaches the end of what was seen; 0 not to grow.
            progress: told about windows.
        """
        answered = description.openings or (description.start is not None and description.clicks)
        if clicks and answered and self.local:
            turn = Correction(len(description.clicks), description.openings)
            description = replace(description, earlier=(*description.earlier, turn))
        openings, unseen = list(description.openings), []
        for click in clicks:
            place = self.to_model(click.voxel)
            if click.positive or description.start is not None:
                self._open(openings, place)
            elif not any(self.engine.lattice.holds(opening.start, place) for opening in openings):
                unseen.append(click)
        extended = replace(description, clicks=(*description.clicks, *clicks), openings=tuple(openings))
        extended, grown, goes_on = self._grown(self._supported(extended, progress), grow_limit, progress)
        return ExtendedInputs(extended, grown, goes_on, tuple(unseen))

    def _open(self, openings: list[ClickWindow], place: Float3) -> None:
        """Make sure that a window holds a click well."""
        lattice = self.engine.lattice
        start = lattice.start(place)
        known = any(opening.start == start or lattice.holds_well(opening.start, place) for opening in openings)
        if not known:
            openings.append(ClickWindow(start))

    def _supported(self, description: MaskInputs, progress: Report) -> MaskInputs:
        """Without clicks of growing that the object no longer holds, and without windows that have nothing left to ask.
        So what leaked and grew is gone once a click has closed the leak."""
        lattice, corrects = self.engine.lattice, description.start is not None
        clicks = self._clicks(description)
        while any(opening.placed for opening in description.openings):
            mean, merged = self._merged(description, progress)
            inside = Crop(mean.start, merged.taken_XYZ & (merged.logits_XYZ > 0))
            kept = []
            for opening in description.openings:
                placed = tuple(place for place in opening.placed if inside.at(self.engine.voxel(place), 0) > 0)
                own = any(lattice.holds(opening.start, c.place) and (c.positive or corrects) for c in clicks)
                if placed or own:
                    kept.append(ClickWindow(opening.start, placed))
            if tuple(kept) == description.openings:
                break
            description = replace(description, openings=tuple(kept))
        return description

    def _grown(self, description: MaskInputs, limit: int, progress: Report) -> tuple[MaskInputs, int, bool]:
        """The description with the windows that growing adds, how many, and whether there would be more."""
        for count in range(limit + 1):
            if limit == 0 or not description.openings:
                break
            mean, merged = self._merged(description, progress)
            inside_XYZ = merged.taken_XYZ & (merged.logits_XYZ > 0)
            opening = next_opening(inside_XYZ, mean.visited_XYZ, mean.start, self.engine.lattice, self.spacing)
            if opening is None or count == limit:
                return description, count, opening is not None
            description = replace(description, openings=(*description.openings, opening))
        return description, 0, False

    def _merged(self, description: MaskInputs, progress: Report) -> tuple[WindowMean, Merged]:
        """The windows' mean, and what the merge rules make of it, on the box around the windows."""
        if self._last is None or self._last[0] != description:
            self._last = (description, *self._merge(description, progress))
        return self._last[1:]

    def _merge(self, description: MaskInputs, progress: Report) -> tuple[WindowMean, Merged]:
        clicks = self._clicks(description)
        mean = self.engine.mean(description.openings, clicks, description.special, description.zero_shot, progress)
        places = self._places(description, mean.start)
        if self.heed:
            radius = heed_radius(self.engine.lattice.window, self.spacing)
            heeded_XYZ = heed_clicks(mean.logits_XYZ, places, self.spacing, mean.visited_XYZ, radius)
            mean = replace(mean, logits_XYZ=heeded_XYZ)
        if description.before is not None:
            return self._correct(self.layer(description.before, progress), description, mean)
        start = self.start_layer(description)
        if start is None:
            return mean, keep_clicked(mean.logits_XYZ, places, mean.visited_XYZ)
        previous_XYZ = start.on(mean.box, OUTSIDE).astype(np.float32)
        return mean, merge_clicks(previous_XYZ, mean.logits_XYZ, places, None, mean.visited_XYZ)

    def _correct(self, before: ObjectMask, description: MaskInputs, mean: WindowMean) -> tuple[WindowMean, Merged]:
        """The same for clicks that follow an answer; the box holds all that clicks have made.

        Without a start only what a positive click holds counts as taken: from other pieces nothing grows.
        """
        held = before.clicked_box
        mean = mean if held is None else mean.on(Box.hull([mean.box, held]))
        previous_XYZ = before.logits.on(mean.box, OUTSIDE).astype(np.float32)
        clicked_XYZ = None if before.touched is None else before.touched.on(mean.box, False)
        places, answer_XYZ = self._places(description, mean.start), mean.logits_XYZ
        if clicked_XYZ is None:
            answer_XYZ = keep_clicked(answer_XYZ, places, mean.visited_XYZ).logits_XYZ
        merged = correct_nearby(
            previous_XYZ,
            answer_XYZ,
            places,
            len(description.clicks) - description.earlier[-1].clicks,
            self.spacing,
            mean.visited_XYZ,
            seen_XYZ=self._seen(description.earlier[-1].openings, mean),
            forgettable_XYZ=previous_XYZ > 0 if clicked_XYZ is None else clicked_XYZ,
        )
        if clicked_XYZ is not None:
            return mean, replace(merged, taken_XYZ=clicked_XYZ | merged.taken_XYZ)
        held_XYZ = components_at(merged.logits_XYZ > 0, [place.voxel for place in places if place.positive])
        return mean, replace(merged, taken_XYZ=held_XYZ)

    def _seen(self, openings: Sequence[ClickWindow], box: WindowMean) -> NDArray[np.bool_]:
        """Where windows lie, on a box. An answer without any is a mask that somebody brought: it decides everywhere."""
        seen = Crop(box.start, np.full(box.visited_XYZ.shape, not openings))
        for opening in openings:
            shared = self.engine.lattice.inside(opening.start).intersect(seen.box)
            if shared is not None:
                seen.values_XYZ[shared.slices(seen.start)] = True
        return seen.values_XYZ

    def _places(self, description: MaskInputs, origin: Axis3) -> list[VoxelClick]:
        """An object's clicks as voxels of a box."""
        places = []
        for click in self._clicks(description):
            x, y, z = (v - o for v, o in zip(self.engine.voxel(click.place), origin, strict=True))
            places.append(VoxelClick((x, y, z), click.positive))
        return places

    def _layer(self, description: MaskInputs, progress: Report) -> ObjectMask:
        start, before = self.start_layer(description), description.before
        if not description.openings:
            if start is None:
                return ObjectMask(Crop.nothing(self.engine.dtype))
            return ObjectMask(start, Crop.nothing(bool))
        mean, merged = self._merged(description, progress)
        self._last = None  # as large as all windows together, and the layer is what will be asked for again
        below = start if before is None else self.layer(before, progress).logits
        logits = Crop(mean.start, np.where(merged.known_XYZ, merged.logits_XYZ, np.float32(OUTSIDE)))
        if below is not None and below.values_XYZ.size:
            whole = Box.hull([below.box, logits.box])
            whole_XYZ = below.on(whole, OUTSIDE).astype(np.float32)
            whole_XYZ[logits.box.slices(whole.start)] = logits.values_XYZ
            logits = Crop(whole.start, whole_XYZ)
        if start is None:
            return self._cropped(logits, None)
        touched_XYZ = Crop(mean.start, merged.taken_XYZ).on(logits.box, False)
        return self._cropped(logits, Crop(logits.start, touched_XYZ))

    def _cropped(self, logits: Crop, touched: Crop | None) -> ObjectMask:
        """Without the rows around it in which nothing is positive and nothing was touched."""
        stored = Crop(logits.start, logits.values_XYZ.astype(self.engine.dtype))
        needed_XYZ: NDArray[np.bool_] = stored.values_XYZ > 0
        if touched is not None:
            needed_XYZ = needed_XYZ | touched.values_XYZ
        kept = stored.cropped(needed_XYZ, _MARGIN)
        if touched is None:
            return ObjectMask(kept)
        return ObjectMask(kept, Crop(kept.start, touched.on(kept.box, False)))

    def _clicks(self, description: MaskInputs) -> list[GridClick]:
        return [GridClick(self.to_model(click.voxel), click.positive) for click in description.clicks]
