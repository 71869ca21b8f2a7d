"""From all that an object's mask depends on to the mask, and from new clicks to what the next mask depends on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.box import Box, Crop
from openvista.geometry.components import components_at
from openvista.geometry.grid import Axis3, Float3
from openvista.inference.profiles import Profile
from openvista.inference.progress import Report, silent
from openvista.prompts import Click
from openvista.session.anchors import find_anchors, without_contradicted
from openvista.session.byte_cache import ByteCache
from openvista.session.click_engine import ClickEngine, GridClick, WindowMean
from openvista.session.grow import next_window
from openvista.session.merge import (
    Merged,
    VoxelClick,
    correct_nearby,
    enforce_clicks,
    enforcement_radius,
    keep_clicked,
    merge_clicks,
)
from openvista.session.state import ClickWindow, Correction, MaskInputs

OUTSIDE = -1.0
"""Logit around a mask: negative, and not so large that it would pull an interpolated edge."""
MASK_BYTES = 1 << 30
"""Of masks to keep; others are made again when somebody goes back to them."""
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

    @classmethod
    def not_clicked(cls, base: Crop | None) -> "ObjectMask":
        """The mask of an object for which no window has answered: its base, or nothing."""
        return cls(Crop.nothing(np.float16)) if base is None else cls(base, Crop.nothing(bool))

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
    """What a mask depends on once new clicks are in it.

    Attributes:
        inputs: the new ones.
        grown: windows that growing opened.
        goes_on: growing met its limit, so the object may be larger.
        unseen: new clicks that no window holds: they count once one does.
    """

    inputs: MaskInputs
    grown: int = 0
    goes_on: bool = False
    unseen: tuple[Click, ...] = ()


class ObjectMasks:
    """The masks of objects on one scan.

    Args:
        engine: asks the network.
        to_model: voxel of the scan to voxel of the model grid.
        base_logits: what clicks on an object correct, on the model grid; ``None`` for nothing.
        spacing: mm of the model grid.
        profile: whether later clicks change only what is near them, and whether clicks are right whatever the network
            says.
        restored: masks that need not be made, by what they depend on.
        most_bytes: of masks to keep.

    Attributes:
        made: the masks that are kept, by what they depend on.
    """

    def __init__(
        self,
        engine: ClickEngine,
        to_model: Callable[[Float3], Float3],
        base_logits: Callable[[MaskInputs], Crop | None],
        spacing: Float3,
        profile: Profile,
        restored: Mapping[MaskInputs, ObjectMask],
        most_bytes: int = MASK_BYTES,
    ) -> None:
        self.engine, self.to_model, self.base_logits, self.spacing = engine, to_model, base_logits, spacing
        self.profile, self.restored = profile, restored
        self.made: ByteCache[ObjectMask] = ByteCache(most_bytes)
        self._last: tuple[MaskInputs, WindowMean, Merged] | None = None

    @property
    def caches(self) -> tuple[ByteCache[Any], ...]:
        """What is only kept to save time."""
        return (self.made, *self.engine.caches)

    def object_mask(self, inputs: MaskInputs, progress: Report = silent) -> ObjectMask:
        """The mask of an object."""
        missing = [inputs]  # and what it corrects, as far back as needed; one by one, so that depth costs nothing
        while (previous := missing[-1].previous) is not None and not self.has(previous):
            missing.append(previous)
        for each in reversed(missing):
            mask = self._known_or_made(each, progress)
        return mask

    def has(self, inputs: MaskInputs) -> bool:
        """Whether a mask is at hand, so that nothing has to be asked for it."""
        return inputs in self.restored or inputs in self.made

    def add_clicks(
        self, inputs: MaskInputs, clicks: Sequence[Click], grow_limit: int, progress: Report = silent
    ) -> ExtendedInputs:
        """What the mask depends on with more clicks.

        Each positive click that does not lie well inside a window opens one. Negative clicks do so only where they
        correct something: on their own there is nothing to exclude from. Windows that open to correct an automatic
        result, or a mask that was brought, get anchors in it. Then the object grows.

        Args:
            inputs: so far.
            clicks: in the scan.
            grow_limit: windows to open at most when the mask reaches the end of what was seen; 0 not to grow.
            progress: told about windows.
        """
        grid_clicks = [self._grid_click(click) for click in clicks]
        windows, corrected = list(inputs.windows), None
        if clicks and self.profile.local_clicks and self._answered(inputs):
            corrections = (*inputs.corrections, Correction(len(inputs.clicks), inputs.windows))
            if corrections[0].clicks == 0:  # what is corrected began as a mask of which the network knows nothing
                corrected = self.object_mask(inputs, progress).mask
                windows = without_contradicted(windows, grid_clicks, self.spacing)
            inputs = replace(inputs, corrections=corrections)
        unseen = []
        for click, grid_click in zip(clicks, grid_clicks, strict=True):
            if click.positive or inputs.base is not None:
                self._open(windows, grid_click, corrected)
            elif not any(self.engine.lattice.holds(window.start, grid_click.place) for window in windows):
                unseen.append(click)
        extended = replace(inputs, clicks=(*inputs.clicks, *clicks), windows=tuple(windows))
        extended, grown, goes_on = self._grown(self._supported(extended, progress), grow_limit, progress)
        return ExtendedInputs(extended, grown, goes_on, tuple(unseen))

    # --- windows: which are needed ------------------------------------------------------------------------------

    def _answered(self, inputs: MaskInputs) -> bool:
        """Whether there is a mask that new clicks correct."""
        if inputs.windows or (inputs.base is not None and inputs.clicks):
            return True
        base = self.base_logits(inputs)
        return base is not None and bool((base.values_XYZ > 0).any())

    def _open(self, windows: list[ClickWindow], click: GridClick, corrected: Crop | None) -> None:
        """Make sure that a window holds a click well; a new one gets anchors in the mask that is corrected."""
        lattice = self.engine.lattice
        start = lattice.start(click.place)
        if any(window.start == start or lattice.holds_well(window.start, click.place) for window in windows):
            return
        anchors: tuple[Float3, ...] = ()
        if corrected is not None:
            anchors = find_anchors(corrected, click, self.engine.voxel(click.place), start, lattice, self.spacing)
        windows.append(ClickWindow(start, anchors=anchors))

    def _supported(self, inputs: MaskInputs, progress: Report) -> MaskInputs:
        """Without clicks of growing that the object no longer holds, and without windows that have nothing left to ask.
        So what leaked and grew is gone once a click has closed the leak."""
        lattice, corrects = self.engine.lattice, inputs.base is not None
        clicks = self._grid_clicks(inputs)
        while any(window.placed for window in inputs.windows):
            mean, merged = self._merged(inputs, progress)
            inside = Crop(mean.start, merged.taken_XYZ & (merged.logits_XYZ > 0))
            kept = []
            for window in inputs.windows:
                placed = tuple(place for place in window.placed if inside.at(self.engine.voxel(place), 0) > 0)
                own = any(lattice.holds(window.start, c.place) and (c.positive or corrects) for c in clicks)
                if placed or own:
                    kept.append(replace(window, placed=placed))
            if tuple(kept) == inputs.windows:
                break
            inputs = replace(inputs, windows=tuple(kept))
        return inputs

    def _grown(self, inputs: MaskInputs, limit: int, progress: Report) -> tuple[MaskInputs, int, bool]:
        """The inputs with the windows that growing adds, how many, and whether there would be more."""
        if limit == 0 or not inputs.windows:
            return inputs, 0, False
        for grown in range(limit + 1):
            mean, merged = self._merged(inputs, progress)
            inside_XYZ = merged.taken_XYZ & (merged.logits_XYZ > 0)
            window = next_window(inside_XYZ, mean.visited_XYZ, mean.start, self.engine.lattice, self.spacing)
            if window is None or grown == limit:
                break
            inputs = replace(inputs, windows=(*inputs.windows, window))
        return inputs, grown, window is not None

    # --- masks: from the windows' answers -----------------------------------------------------------------------

    def _known_or_made(self, inputs: MaskInputs, progress: Report) -> ObjectMask:
        if inputs in self.restored:
            return self.restored[inputs]
        return self.made.get(inputs, lambda: self._make(inputs, progress))

    def _make(self, inputs: MaskInputs, progress: Report) -> ObjectMask:
        base, previous = self.base_logits(inputs), inputs.previous
        if not inputs.windows:
            return ObjectMask.not_clicked(base)
        mean, merged = self._merged(inputs, progress)
        self._last = None  # as large as all windows together, and the mask is what will be asked for again
        below = base if previous is None else self.object_mask(previous, progress).logits
        logits = Crop(mean.start, np.where(merged.known_XYZ, merged.logits_XYZ, np.float32(OUTSIDE)))
        if below is not None and below.values_XYZ.size:
            whole = Box.hull([below.box, logits.box])
            whole_XYZ = below.on(whole, OUTSIDE).astype(np.float32)
            whole_XYZ[logits.box.slices(whole.start)] = logits.values_XYZ
            logits = Crop(whole.start, whole_XYZ)
        touched_XYZ = None if base is None else Crop(mean.start, merged.taken_XYZ).on(logits.box, False)
        return self._cropped(logits, touched_XYZ)

    def _cropped(self, logits: Crop, touched_XYZ: NDArray[np.bool_] | None) -> ObjectMask:
        """Without the rows around it in which nothing is positive and nothing was touched."""
        stored = Crop(logits.start, logits.values_XYZ.astype(self.engine.dtype))
        needed_XYZ: NDArray[np.bool_] = stored.values_XYZ > 0
        if touched_XYZ is None:
            return ObjectMask(stored.cropped(needed_XYZ, _MARGIN))
        kept = stored.cropped(needed_XYZ | touched_XYZ, _MARGIN)
        return ObjectMask(kept, Crop(kept.start, Crop(logits.start, touched_XYZ).on(kept.box, False)))

    def _merged(self, inputs: MaskInputs, progress: Report) -> tuple[WindowMean, Merged]:
        """The windows' mean, and what the merge rules make of it, on the box around the windows."""
        if self._last is None or self._last[0] != inputs:
            self._last = (inputs, *self._merge(inputs, progress))
        return self._last[1:]

    def _merge(self, inputs: MaskInputs, progress: Report) -> tuple[WindowMean, Merged]:
        grid_clicks = self._grid_clicks(inputs)
        mean = self.engine.mean(inputs.windows, grid_clicks, inputs.special, inputs.zero_shot, progress)
        clicks = self._voxel_clicks(inputs, mean.start)
        if self.profile.enforce_clicks:
            radius = enforcement_radius(self.engine.lattice.window, self.spacing)
            enforced_XYZ = enforce_clicks(mean.logits_XYZ, clicks, self.spacing, mean.visited_XYZ, radius)
            mean = replace(mean, logits_XYZ=enforced_XYZ)
        if inputs.previous is not None:
            return self._correct(self.object_mask(inputs.previous, progress), inputs, mean)
        base = self.base_logits(inputs)
        if base is None:
            return mean, keep_clicked(mean.logits_XYZ, clicks, mean.visited_XYZ)
        previous_XYZ = base.on(mean.box, OUTSIDE).astype(np.float32)
        return mean, merge_clicks(previous_XYZ, mean.logits_XYZ, clicks, mean.visited_XYZ)

    def _correct(self, previous: ObjectMask, inputs: MaskInputs, mean: WindowMean) -> tuple[WindowMean, Merged]:
        """The same for clicks that follow an answer; the box holds all that clicks have made.

        Without a base only what a positive click holds counts as taken: from other pieces nothing grows.
        """
        held = previous.clicked_box
        mean = mean if held is None else mean.on(Box.hull([mean.box, held]))
        previous_XYZ = previous.logits.on(mean.box, OUTSIDE).astype(np.float32)
        touched_XYZ = None if previous.touched is None else previous.touched.on(mean.box, False)
        clicks, answer_XYZ = self._voxel_clicks(inputs, mean.start), mean.logits_XYZ
        anchors = [GridClick(anchor, True) for window in inputs.windows for anchor in window.anchors]
        if touched_XYZ is None:
            answer_XYZ = keep_clicked(answer_XYZ, clicks, mean.visited_XYZ).logits_XYZ
        corrected = inputs.corrections[-1]
        merged = correct_nearby(
            previous_XYZ,
            answer_XYZ,
            [*self._on_voxels(anchors, mean.start), *clicks[: corrected.clicks]],
            clicks[corrected.clicks :],
            self.spacing,
            mean.visited_XYZ,
            seen_XYZ=self._seen(corrected.windows, mean.box),
            forgettable_XYZ=previous_XYZ > 0 if touched_XYZ is None else touched_XYZ,
        )
        if touched_XYZ is not None:
            return mean, replace(merged, taken_XYZ=touched_XYZ | merged.taken_XYZ)
        held_XYZ = components_at(merged.logits_XYZ > 0, [click.voxel for click in clicks if click.positive])
        return mean, replace(merged, taken_XYZ=held_XYZ)

    def _seen(self, windows: Sequence[ClickWindow], box: Box) -> NDArray[np.bool_]:
        """Where windows lie, on a box. An answer without any is a mask that somebody brought: it decides everywhere."""
        seen_XYZ = np.full(box.shape, not windows)
        for window in windows:
            shared = self.engine.lattice.inside(window.start).intersect(box)
            if shared is not None:
                seen_XYZ[shared.slices(box.start)] = True
        return seen_XYZ

    def _grid_clicks(self, inputs: MaskInputs) -> list[GridClick]:
        """An object's clicks on the model grid."""
        return [self._grid_click(click) for click in inputs.clicks]

    def _grid_click(self, click: Click) -> GridClick:
        return GridClick(self.to_model(click.voxel), click.positive)

    def _voxel_clicks(self, inputs: MaskInputs, origin: Axis3) -> list[VoxelClick]:
        """The same as voxels of a box."""
        return self._on_voxels(self._grid_clicks(inputs), origin)

    def _on_voxels(self, clicks: Sequence[GridClick], origin: Axis3) -> list[VoxelClick]:
        return [VoxelClick(self.engine.voxel(click.place), click.positive).from_voxel(origin) for click in clicks]
