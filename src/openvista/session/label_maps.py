"""Label maps, in which a voxel has one value, from objects that may overlap; and objects from label maps."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista._version import __version__
from openvista.errors import AnatomyError, GridError, InputError
from openvista.geometry.box import Crop
from openvista.geometry.grid import Axis3
from openvista.scan import Segmentation
from openvista.session.brought import BroughtMask, boxes_of_labels
from openvista.session.history import Event
from openvista.session.open_scan import OpenScan
from openvista.session.state import AUTOMATIC, MaskInputs, ObjectState, SessionState

logger = logging.getLogger(__name__)

POLICIES = ("order", "logit")

Labels = NDArray[np.unsignedinteger]
Show = Callable[[ObjectState], Iterable[Crop]]
"""An object's logits, positive inside it, on boxes of the scan that share no voxel."""


def make_segmentation(open_scan: OpenScan, state: SessionState, events: Sequence[Event], overlap: str) -> Segmentation:
    """One label map of all objects; see :class:`Composer` for the policies.

    Raises:
        InputError: no such policy.
    """
    composer = Composer(state.objects, lambda item: open_scan.show(item).crops, open_scan.scan.grid.shape, overlap)
    labels_XYZ = composer.labels()
    contested = composer.contested()
    for lost in contested:
        logger.warning(
            "%(voxels)d voxels of %(lost_by)r were given to %(kept_by)r: lock it, change the order, or keep layers",
            lost,
        )
    choices = {"overlap": overlap, "contested": contested}
    return _with_names(open_scan, state.objects, labels_XYZ, events, choices)


def make_layers(open_scan: OpenScan, state: SessionState, events: Sequence[Event]) -> list[Segmentation]:
    """As few label maps as it takes for every object to keep all its voxels: each object, in the session's order, lies
    on the first map where no other is in its way."""
    layers: list[tuple[list[ObjectState], Labels]] = []
    for item in state.objects:
        parts = [(shown.slices, shown.values_XYZ > 0) for shown in open_scan.show(item).crops]
        free = (layer for layer in layers if not any((layer[1][box][mask_XYZ] > 0).any() for box, mask_XYZ in parts))
        chosen = next(free, None)
        if chosen is None:
            chosen = ([], _empty_labels(state.objects, open_scan.scan.grid.shape))
            layers.append(chosen)
        chosen[0].append(item)
        for box, mask_XYZ in parts:
            chosen[1][box][mask_XYZ] = item.id
    return [
        _with_names(open_scan, items, labels_XYZ, events, {"overlap": "layers", "layer": f"{number} of {len(layers)}"})
        for number, (items, labels_XYZ) in enumerate(layers, start=1)
    ]


def import_items(
    state: SessionState, open_scan: OpenScan, segmentation: Segmentation, labels: Sequence[int | str] | None
) -> tuple[list[ObjectState], dict[str, Any]]:
    """Objects that start from the structures of a segmentation, and what to log. The open scan keeps their masks.

    Raises:
        GridError: it lies on another grid than the scan.
        AnatomyError: it has no such structure.
    """
    if not segmentation.grid.matches(open_scan.scan.grid):
        raise GridError(
            f"the segmentation has shape {segmentation.grid.shape} and does not lie on the grid of the scan, of shape "
            f"{open_scan.scan.grid.shape}; resample it to the scan first"
        )
    boxes = boxes_of_labels(segmentation.labels)
    values = sorted(boxes) if labels is None else [segmentation.id_of(each) for each in labels]
    items = []
    for value in values:
        base = open_scan.add_mask(BroughtMask.of_label(segmentation.labels, value, boxes.get(value, ())))
        item = _imported(state, open_scan, segmentation, value, base)
        state = state.with_objects([item])
        items.append(item)
    return items, {"labels": {str(value): item.name for value, item in zip(values, items, strict=True)}}


class Composer:
    """Puts objects into one label map, one at a time: only one of them is in memory.

    Policy ``"order"``: later objects lie on top of earlier ones, and what was done by hand on top of automatic results,
    which share contested voxels out by the larger logit (that is what automatic segmentation does). Policy ``"logit"``:
    the larger logit wins everywhere. Either way nothing is taken from locked objects; of two of these the earlier wins.

    Args:
        items: in the session's order.
        show: what they look like.
        shape: of the scan.
        policy: see above.

    Raises:
        InputError: no such policy.
    """

    def __init__(self, items: Sequence[ObjectState], show: Show, shape: Axis3, policy: str) -> None:
        if policy not in POLICIES:
            raise InputError(f"no overlap policy {policy!r}: there is {', '.join(POLICIES)}, or layers")
        self.items, self.show, self.shape, self.policy = items, show, shape, policy
        self.lost: Counter[tuple[int, int]] = Counter()

    def labels(self) -> Labels:
        """The label map [X, Y, Z]: uint8 if ids fit, else uint16."""
        labels_XYZ = _empty_labels(self.items, self.shape)
        free = [item for item in self.items if not item.locked]
        by_logit = free if self.policy == "logit" else [item for item in free if not by_hand(item)]
        self._largest_logit(labels_XYZ, by_logit)
        painted = [item for item in free if item not in by_logit]
        # from the lowest to the highest: the first of the locked ones comes last
        for item in [*painted, *(item for item in reversed(self.items) if item.locked)]:
            for shown in self.show(item):
                view_XYZ, mask_XYZ = labels_XYZ[shown.slices], shown.values_XYZ > 0
                self._count(item.id, view_XYZ[mask_XYZ])
                view_XYZ[mask_XYZ] = item.id
        return labels_XYZ

    def contested(self) -> list[dict[str, str | int]]:
        """Who lost voxels to whom, by name, most first: nothing done by hand is overwritten silently."""
        names = {item.id: item.name for item in self.items}
        hand = {item.id for item in self.items if by_hand(item)}
        return [
            {"kept_by": names[kept], "lost_by": names[lost], "voxels": voxels}
            for (kept, lost), voxels in self.lost.most_common()
            if kept in hand or lost in hand
        ]

    def _largest_logit(self, labels_XYZ: Labels, items: Sequence[ObjectState]) -> None:
        """Give each voxel to the object with the largest logit there; on equal logits to the earlier one."""
        best_XYZ = np.zeros(self.shape if items else (0, 0, 0), dtype=np.float16)
        for item in items:
            for shown in self.show(item):
                self._take_larger(item.id, shown, labels_XYZ, best_XYZ)

    def _take_larger(self, id: int, shown: Crop, labels_XYZ: Labels, best_XYZ: NDArray[np.float16]) -> None:
        """Give an object the voxels where its logits are larger than the best so far."""
        logits_XYZ = shown.values_XYZ.astype(np.float16)
        view_XYZ, best = labels_XYZ[shown.slices], best_XYZ[shown.slices]
        wins_XYZ = logits_XYZ > best
        self._count(id, view_XYZ[wins_XYZ])
        for winner, voxels in _counts(view_XYZ[(logits_XYZ > 0) & ~wins_XYZ]):
            self.lost[winner, id] += voxels
        view_XYZ[wins_XYZ] = id
        best[wins_XYZ] = logits_XYZ[wins_XYZ]

    def _count(self, winner: int, under: Labels) -> None:
        for loser, voxels in _counts(under):
            self.lost[winner, loser] += voxels


def by_hand(item: ObjectState) -> bool:
    """Whether somebody clicked on an object, edited it or brought it along: it is not merely an automatic result."""
    return bool(item.inputs.clicks or item.inputs.edits) or item.inputs.base not in (AUTOMATIC, None)


def _empty_labels(items: Sequence[ObjectState], shape: Axis3) -> Labels:
    """Zeros of a type that holds all ids; x fastest in memory, as in most scans and files."""
    highest = max((item.id for item in items), default=0)
    labels_XYZ: Labels = np.zeros(shape, dtype=np.uint8 if highest < 256 else np.uint16, order="F")
    return labels_XYZ


def _counts(ids: Labels) -> list[tuple[int, int]]:
    """How often each id above 0 occurs."""
    counts = np.bincount(ids) if ids.size else np.zeros(1, dtype=int)
    return [(key, int(counts[key])) for key in np.flatnonzero(counts).tolist() if key]


def _with_names(
    open_scan: OpenScan,
    items: Sequence[ObjectState],
    labels_XYZ: Labels,
    events: Sequence[Event],
    choices: Mapping[str, object],
) -> Segmentation:
    """A label map with what it takes to read it, and to make it again."""
    judged = open_scan.unlikely(items)
    prompts = [
        {
            "id": item.id,
            "object": item.name,
            "class": item.inputs.class_id,
            "zero_shot": item.inputs.zero_shot,
            "start": item.inputs.base,
            "clicks": [[*click.voxel, click.positive] for click in item.inputs.clicks],
            "edits": [edit.kind for edit in item.inputs.edits],
        }
        for item in items
    ]
    provenance: dict[str, object] = {
        "model": open_scan.model.name,
        "weights_sha256": open_scan.model.fingerprint,
        "profile": open_scan.profile.name,
        "mode": open_scan.profile.mode,
        "precision": open_scan.model.precision,
        "version": __version__,
        "prompts": {"objects": prompts, "events": len(events)},
    }
    return Segmentation(
        labels=labels_XYZ,
        grid=open_scan.scan.grid,
        names={item.id: item.name for item in items},
        colours={item.id: item.colour for item in items},
        scan=open_scan.scan,
        provenance={**provenance, **choices},
        unlikely=judged,
    )


def _imported(
    state: SessionState, open_scan: OpenScan, segmentation: Segmentation, value: int, base: str
) -> ObjectState:
    """The object of one structure: of a class, if it is called like one that has no object yet."""
    vocabulary = open_scan.model.vocabulary
    name = segmentation.names[value]
    class_id: int | None
    try:
        class_id = vocabulary.resolve(name)
    except AnatomyError:
        class_id = None
    if class_id not in vocabulary.ids or state.of_class(class_id) is not None:
        class_id = None
    object_id = state.free_id(value if class_id is None else class_id, vocabulary.ids)
    return ObjectState(object_id, state.free_name(name), segmentation.colours[value], MaskInputs(class_id, base=base))
