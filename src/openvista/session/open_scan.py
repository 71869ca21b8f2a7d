"""An open scan: what a session computes with, and everything worth keeping of one scan and one model. All of it lazy.

Masks live on the model grid and on the scan's own; this is where they pass from one to the other.
"""

import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from openvista.anatomy.catalogue import ONE_PIECE_IDS
from openvista.anatomy.vocabulary import Vocabulary
from openvista.errors import ModelError
from openvista.geometry.box import EDGE_MARGIN, Box, Crop
from openvista.geometry.grid import Float3
from openvista.geometry.resample import AxisMap, axis_map, resample_crop
from openvista.inference.body import BODY_HU
from openvista.inference.feature_volume import FeatureVolume, compute_features
from openvista.inference.profiles import Profile
from openvista.inference.progress import Progress, Report, silent
from openvista.inference.strays import without_strays
from openvista.inference.window_network import WindowNetwork
from openvista.memory import free_memory
from openvista.network import Preset
from openvista.plausibility import Plausibility, Shape, shape_of
from openvista.prepare import Prepared, prepare
from openvista.scan import Scan
from openvista.session.brought import BroughtMask
from openvista.session.byte_cache import ByteCache
from openvista.session.click_engine import FEATURE_BYTES, ClickEngine, ClickNetwork
from openvista.session.decided import KeptEdits, next_name
from openvista.session.lattice import Lattice
from openvista.session.masks import OUTSIDE, ObjectMask, ObjectMasks
from openvista.session.shown import Shown
from openvista.session.state import AUTOMATIC, AppliedEdit, MaskInputs, ObjectState

MASK_LOGIT = 10.0
"""Logit inside a mask that an object started from, minus that outside; on its edge in between."""
JUST_POSITIVE = 0.5
"""Logit of the voxel nearest to what is too thin for the model grid."""
SHOWN_BYTES = 1 << 30
"""Of objects on the scan's grid to keep."""
CERTAIN_LOGIT = 100.0
"""Logit of voxels that an edit put inside an object, minus that of those outside: no network is so sure."""
_CACHES = 5
"""How many caches a session has that has answered a click: each gets an equal share."""


@dataclass(frozen=True, eq=False)
class SessionModel:
    """What a session needs of a model.

    Attributes:
        name: of the model.
        fingerprint: SHA-256 of its weights.
        preset: spacing, HU window, window.
        vocabulary: the classes it knows.
        storage_dtype: float16, or float32 where that precision was asked for.
        automatic: answers class prompts; ``None`` if it has no such branch.
        clicks: answers clicks; ``None`` if it has no such branch.
        precision: for the record.
        device: where features of windows are kept.
        one_piece_ids: classes that are one connected thing.
        plausibility: what is likely of its classes; ``None`` where nobody knows.
    """

    name: str
    fingerprint: str
    preset: Preset
    vocabulary: Vocabulary
    storage_dtype: torch.dtype
    automatic: WindowNetwork | None = None
    clicks: ClickNetwork | None = None
    precision: str = ""
    device: str = "cpu"
    one_piece_ids: frozenset[int] = frozenset(ONE_PIECE_IDS)
    plausibility: Plausibility | None = None


class OpenScan:
    """One scan, open for one model.

    Args:
        model: what answers.
        scan: HU on its own grid.
        profile: the choices.
        feature_budget: bytes of whole-scan features that may be kept in memory; see :func:`compute_features`.

    Attributes:
        masks: masks that objects start from, by name.
        edits: what edits have decided.
        automatic: logits of classes, on a box of the model grid, by id.
        restored: masks of objects that came out of a session file.
        scan_sha256: of the scan; see :mod:`openvista.session.store`.
    """

    def __init__(self, model: SessionModel, scan: Scan, profile: Profile, feature_budget: int | None = None) -> None:
        self.model, self.scan, self.profile = model, scan, profile
        self.feature_budget = feature_budget
        self.masks: dict[str, BroughtMask] = {}
        self.edits = KeptEdits()
        self.automatic: dict[int, Crop] = {}
        self.restored: dict[MaskInputs, ObjectMask] = {}
        self.scan_sha256 = ""
        self._mask_logits: dict[str, Crop] = {}
        self._shapes: dict[MaskInputs, Shape | None] = {}
        self._shown: ByteCache[Shown] = ByteCache(SHOWN_BYTES)
        self._prepared: Prepared | None = None
        self._features: FeatureVolume | None = None
        self._object_masks: ObjectMasks | None = None

    @property
    def prepared(self) -> Prepared:
        """The scan on the model grid.

        Raises:
            GridError: that is too large for this machine.
        """
        return self.prepare()

    def prepare(self, progress: Report = silent) -> Prepared:
        """Make sure that it is there; ``progress`` is told between the steps, and may stop them by raising."""
        if self._prepared is None:
            preset = self.model.preset
            self._prepared = prepare(
                self.scan,
                preset.spacing,
                preset.scaling,
                between=lambda: progress(Progress("prepare", 0, 1)),
                orient_first=self.profile.orient_first,
            )
        return self._prepared

    @property
    def object_masks(self) -> ObjectMasks:
        """What answers clicks.

        Raises:
            ModelError: the model has no point branch.
        """
        if self._object_masks is None:
            self._object_masks = self._ready_for_clicks()
        return self._object_masks

    def _ready_for_clicks(self) -> ObjectMasks:
        if self.model.clicks is None:
            raise ModelError(
                f"model {self.model.name!r} answers class prompts only, not clicks; choose a model with a point branch"
            )
        dtype = torch.empty(0, dtype=self.model.storage_dtype).numpy().dtype
        lattice = Lattice(self.prepared.grid.shape, self.model.clicks.window)
        choices = (self.profile.padding, self.profile.click_weighting, dtype)
        free = free_memory(torch.device(self.model.device))
        room = FEATURE_BYTES if free is None else min(FEATURE_BYTES, free // 4)
        engine = ClickEngine(self.model.clicks, self.prepared.image_XYZ, lattice, *choices, feature_bytes=room)
        this: OpenScan = weakref.proxy(self)  # a cycle would keep all of it until a garbage collection
        return ObjectMasks(
            engine,
            lambda voxel: this.to_model(voxel),
            lambda inputs: this.base_logits(inputs),
            self.prepared.grid.spacing,
            self.profile,
            self.restored,
        )

    # --- memory -------------------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Memory of masks, logits, features and the prepared scan; not of the scan itself."""
        crops = [*self.automatic.values(), *self._mask_logits.values()]
        total = sum(crop.nbytes for crop in crops) + sum(mask.nbytes for mask in self.restored.values())
        total += sum(mask.nbytes for mask in self.masks.values()) + self.edits.nbytes
        total += sum(cache.nbytes for cache in self._caches)
        if self._features is not None:
            total += self._features.nbytes
        if self._prepared is not None:
            total += int(self._prepared.image_XYZ.nbytes)
        return total

    def limit_caches(self, most_bytes: int) -> None:
        """Let the caches together grow to so many bytes at most; a smaller limit of theirs stays."""
        for cache in self._caches:
            cache.limit = min(cache.limit, most_bytes // _CACHES)

    def forget(self) -> None:
        """Empty the caches: time is lost, and nothing else."""
        for cache in self._caches:
            cache.clear()

    @property
    def _caches(self) -> list[ByteCache[Any]]:
        return [
            self._shown,
            self.edits.together,
            *(self._object_masks.caches if self._object_masks is not None else ()),
        ]

    # --- masks on the model grid --------------------------------------------------------------------------------

    def ensure_automatic(self, class_ids: Sequence[int], progress: Report = silent) -> None:
        """Make sure that the automatic results of these classes are there.

        Raises:
            ModelError: the model has no automatic branch.
        """
        missing = [class_id for class_id in class_ids if class_id not in self.automatic]
        if not missing:
            return
        network = self.model.automatic
        if network is None:
            raise ModelError(f"model {self.model.name!r} answers clicks only, not class prompts; choose another model")
        self.prepare(progress)
        if self._features is None:
            self._features = compute_features(network, self.prepared, self.profile, self.feature_budget, progress)
        found = self._features.logits_of(network.embeddings(missing), progress)
        for class_id, logits in zip(missing, found, strict=True):
            one_piece = self.profile.drop_strays and class_id in self.model.one_piece_ids
            self.automatic[class_id] = without_strays(logits, self.prepared.grid.spacing) if one_piece else logits

    def add_mask(self, mask: BroughtMask) -> str:
        """Keep a mask for objects to start from; returns its name."""
        name = next_name("mask", self.masks)
        self.masks[name] = mask
        return name

    def base_logits(self, inputs: MaskInputs) -> Crop | None:
        """Logits of what an object's clicks correct, on the model grid; ``None`` for nothing."""
        if inputs.base is None:
            return None
        if inputs.base == AUTOMATIC:
            assert inputs.class_id is not None
            self.ensure_automatic([inputs.class_id])
            return self.automatic[inputs.class_id]
        if inputs.base not in self._mask_logits:
            self._mask_logits[inputs.base] = self._on_model_grid(self.masks[inputs.base].whole())
        return self._mask_logits[inputs.base]

    def object_mask(self, inputs: MaskInputs, progress: Report = silent) -> ObjectMask:
        """An object's mask on the model grid, as clicks make it, without edits."""
        inputs = inputs.unedited
        if inputs in self.restored:
            return self.restored[inputs]
        if not inputs.windows:
            return ObjectMask.not_clicked(self.base_logits(inputs))
        return self.object_masks.object_mask(inputs, progress)

    def has_object_mask(self, inputs: MaskInputs) -> bool:
        """Whether an object's mask is at hand, so that nothing has to be asked for it."""
        inputs = inputs.unedited
        return inputs in self.restored or (self._object_masks is not None and self._object_masks.has(inputs))

    # --- on the scan's grid -------------------------------------------------------------------------------------

    def show(self, item: ObjectState) -> Shown:
        """An object's logits on the scan, positive inside it.

        What started from a mask is that mask, to the voxel, wherever clicks have not changed it. What edits decided is
        so, whatever clicks say.
        """
        return self._show(item.inputs)

    def shown_mask(self, item: ObjectState) -> Crop:
        """An object's own mask on the scan's voxels, bool, on the box around it."""
        return self.show(item).mask()

    def _show(self, inputs: MaskInputs) -> Shown:
        if inputs.edits:
            return self._shown.get(inputs, lambda: self._with_edits(self._show(inputs.unedited), inputs.edits))
        brought = self.masks.get(inputs.base or "")
        if brought is not None and not inputs.windows:  # so quick that it is not kept
            return Shown(tuple(map(_certain, brought.crops())))
        return self._shown.get(inputs, lambda: self._show_clicked(inputs, brought))

    def _with_edits(self, clicked: Shown, edits: tuple[AppliedEdit, ...]) -> Shown:
        edited = self.edits.decided_by(edits)
        logits_XYZ = clicked.on(edited.box)
        logits_XYZ[edited.values_XYZ > 0] = CERTAIN_LOGIT
        logits_XYZ[edited.values_XYZ < 0] = -CERTAIN_LOGIT
        return clicked.under(Crop(edited.start, logits_XYZ))

    def _show_clicked(self, inputs: MaskInputs, brought: BroughtMask | None) -> Shown:
        made = self.object_mask(inputs)
        if brought is None:
            return Shown((self._on_scan(made.logits, OUTSIDE),))
        original = Shown(tuple(map(_certain, brought.crops())))
        if made.touched is None:
            return original
        touched = made.touched.cropped(made.touched.values_XYZ)
        near = touched.box.widened(EDGE_MARGIN, self.prepared.grid.shape)
        logits = self._on_scan(Crop(near.start, made.logits.on(near, OUTSIDE)), OUTSIDE)
        changed = self._on_scan(touched, 0.0)
        unchanged_XYZ = original.on(changed.box)
        changed_XYZ = np.where(changed.values_XYZ > 0, logits.on(changed.box, OUTSIDE), unchanged_XYZ)
        return original.under(Crop(changed.start, changed_XYZ))

    def unlikely(self, items: Iterable[ObjectState]) -> dict[int, tuple[str, ...]] | None:
        """What is unlikely of automatic results, by object id; nothing of what people clicked on, edited or brought.

        ``None`` where nobody knows what is likely; see :mod:`openvista.plausibility`.
        """
        if self.model.plausibility is None:
            return None
        judged = [
            item for item in items if item.inputs.base == AUTOMATIC and not (item.inputs.clicks or item.inputs.edits)
        ]
        shapes = {item.inputs.class_id: self._shape(item) for item in judged}
        found = self.model.plausibility.judge({id: one for id, one in shapes.items() if id is not None and one})
        ids = {item.inputs.class_id: item.id for item in judged}
        return {ids[class_id]: measures for class_id, measures in found.items()}

    def _shape(self, item: ObjectState) -> Shape | None:
        """Measures of an object's own mask, whatever lies over it; ``None`` without a voxel."""
        if item.inputs not in self._shapes:
            found = self.shown_mask(item)
            hu_XYZ = self.scan.voxels[found.slices]
            window = self.model.preset.hu_window
            some = found.values_XYZ.size
            self._shapes[item.inputs] = (
                shape_of(found.values_XYZ, found.start, self.scan.grid, hu_XYZ, window) if some else None
            )
        return self._shapes[item.inputs]

    def changed_box(self, before: MaskInputs, after: MaskInputs) -> Box | None:
        """The scan's voxels that may differ between what clicks make of an object before and after; ``None`` if none
        does. What edits decided does not differ."""
        one, other = self.object_mask(before).mask, self.object_mask(after).mask
        box = Box.hull([one.box, other.box])
        differ_XYZ = one.on(box, False) != other.on(box, False)
        if not differ_XYZ.any():
            return None
        changed = self._on_scan(Crop(box.start, differ_XYZ).cropped(differ_XYZ), 0.0)
        if after.edits:
            free_XYZ = self.edits.decided_by(after.edits).on(changed.box, 0) == 0
            changed = changed.cropped((changed.values_XYZ > 0) & free_XYZ)
        return changed.box if changed.values_XYZ.size else None

    def in_air(self, voxel: Float3) -> bool:
        """Whether a place lies in air outside the body: below -300 HU without tissue on both sides of it along R-L."""
        image_XYZ = self.prepared.image_XYZ
        low, high = self.model.preset.hu_window
        threshold = (BODY_HU - low) / (high - low)
        x, y, z = (int(where + 0.5) for where in self.to_model(voxel))
        tissue = (image_XYZ[:, y, z] > max(threshold, 0.0)).numpy()
        return not (tissue[x] or (tissue[:x].any() and tissue[x:].any()))

    # --- from one grid to the other -----------------------------------------------------------------------------

    def to_model(self, voxel: Float3) -> Float3:
        """A place in voxels of the scan, in voxels of the model grid; within the outermost voxel centres."""
        grid, mapping = self.prepared.grid, self._to_model
        place = [0.0, 0.0, 0.0]
        for axis, model_axis in enumerate(mapping.axes):
            where = mapping.scale[axis] * voxel[axis] + mapping.offset[axis]
            place[model_axis] = min(max(where, 0.0), grid.shape[model_axis] - 1.0)
        return (place[0], place[1], place[2])

    @cached_property
    def _to_model(self) -> AxisMap:
        return axis_map(self.prepared.grid, self.scan.grid)

    def _on_model_grid(self, mask: Crop) -> Crop:
        """A mask of the scan as logits on the model grid. Whatever of it falls between the model grid's voxels makes
        the nearest of them just positive, so that clicks can take away what is thin as well."""
        inside = Crop(mask.start, mask.values_XYZ.astype(np.float32))
        logits = _as_logits(resample_crop(inside, self.scan.grid, self.prepared.grid, 0.0))
        voxels_N3 = np.argwhere(mask.values_XYZ) + mask.start
        nearest_N3 = np.empty_like(voxels_N3)
        for axis, model_axis in enumerate(self._to_model.axes):
            positions = self._to_model.positions(axis, self.scan.grid.shape[axis])
            places_N = np.rint(positions[voxels_N3[:, axis]]).astype(int)
            last = logits.values_XYZ.shape[model_axis] - 1
            nearest_N3[:, model_axis] = (places_N - logits.start[model_axis]).clip(0, last)
        held = tuple(nearest_N3.T)
        logits.values_XYZ[held] = np.maximum(logits.values_XYZ[held], JUST_POSITIVE)
        return logits

    def _on_scan(self, crop: Crop, fill: float) -> Crop:
        """The way back. Half precision is made single first, which the nearest voxel does not need."""
        single = replace(crop, values_XYZ=crop.values_XYZ.astype(np.float32))
        return resample_crop(single, self.prepared.grid, self.scan.grid, fill, self.profile.mode)


def _as_logits(mask: Crop) -> Crop:
    """A mask, or what interpolation made of one (0..1), as logits."""
    return Crop(mask.start, (mask.values_XYZ.astype(np.float32) - 0.5) * MASK_LOGIT)


def _certain(mask: Crop) -> Crop:
    """A mask that somebody brought as logits, in few bytes."""
    return Crop(mask.start, np.where(mask.values_XYZ, np.int8(MASK_LOGIT / 2), np.int8(-MASK_LOGIT / 2)))
