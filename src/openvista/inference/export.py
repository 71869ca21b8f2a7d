"""Segmentations into a session, and out of it."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista._version import __version__
from openvista.errors import AnatomyError, GridError
from openvista.geometry.box import Part, cropped
from openvista.inference.history import Event
from openvista.inference.objects import Description, ObjectState, SessionState
from openvista.inference.overlap import Composer, layers
from openvista.inference.targets import of_class
from openvista.inference.workbench import Workbench
from openvista.scan import Segmentation
from openvista.structures import present_ids

logger = logging.getLogger(__name__)


def import_items(
    state: SessionState, bench: Workbench, segmentation: Segmentation, labels: Sequence[int | str] | None
) -> tuple[list[ObjectState], dict[str, Any]]:
    """Objects that start from the structures of a segmentation, and what to log. Their masks are left on the bench.

    Raises:
        GridError: it lies on another grid than the scan.
        AnatomyError: it has no such structure.
    """
    if not segmentation.grid.matches(bench.scan.grid):
        raise GridError(
            f"the segmentation has shape {segmentation.grid.shape} and does not lie on the grid of the scan, of shape "
            f"{bench.scan.grid.shape}; resample it to the scan first"
        )
    values = present_ids(segmentation.labels) if labels is None else [segmentation.id_of(each) for each in labels]
    items = []
    for value in values:
        inside_XYZ = segmentation.labels == value
        key = bench.add_mask(cropped(Part((0, 0, 0), inside_XYZ), inside_XYZ))
        item = _item(state, bench, segmentation, value, key)
        state = state.with_object(item)
        items.append(item)
    return items, {"labels": {str(value): item.name for value, item in zip(values, items, strict=True)}}


def make_segmentation(bench: Workbench, state: SessionState, events: Sequence[Event], overlap: str) -> Segmentation:
    """One label map of all objects; see :class:`Composer` for the policies.

    Raises:
        InputError: no such policy.
    """
    composer = Composer(state.objects, bench.show, bench.scan.grid.shape, overlap)
    labels_XYZ = composer.labels()
    contested = composer.contested()
    for lost in contested:
        logger.warning(
            "%d voxels of %r were given to %r: lock it, change the order, or keep layers",
            lost.voxels,
            lost.lost_by,
            lost.kept_by,
        )
    extra = {"overlap": overlap, "contested": [vars(lost) for lost in contested]}
    return _wrap(bench, state.objects, labels_XYZ, events, extra)


def make_layers(bench: Workbench, state: SessionState, events: Sequence[Event]) -> list[Segmentation]:
    """As few label maps as it takes for every object to keep all its voxels."""
    maps = layers(state.objects, bench.show, bench.scan.grid.shape)
    return [
        _wrap(bench, items, labels_XYZ, events, {"overlap": "layers", "layer": f"{number} of {len(maps)}"})
        for number, (items, labels_XYZ) in enumerate(maps, start=1)
    ]


def prompts_of(items: Sequence[ObjectState]) -> list[dict[str, Any]]:
    """What was asked of each object, as JSON can hold it: enough to ask it again."""
    return [
        {
            "object": item.name,
            "class": item.description.class_id,
            "zero_shot": item.description.zero_shot,
            "start": item.description.start,
            "clicks": [[*click.voxel, click.positive] for click in item.description.clicks],
        }
        for item in items
    ]


def _wrap(
    bench: Workbench,
    items: Sequence[ObjectState],
    labels_XYZ: NDArray[np.unsignedinteger],
    events: Sequence[Event],
    extra: Mapping[str, Any],
) -> Segmentation:
    provenance: dict[str, object] = {
        "model": bench.model.name,
        "weights_sha256": bench.model.fingerprint,
        "profile": bench.profile.name,
        "mode": bench.profile.mode,
        "precision": bench.model.precision,
        "version": __version__,
        "prompts": {"objects": prompts_of(items), "events": len(events)},
    }
    return Segmentation(
        labels=labels_XYZ,
        grid=bench.scan.grid,
        names={item.id: item.name for item in items},
        colours={item.id: item.colour for item in items},
        scan=bench.scan,
        provenance=provenance | dict(extra),
    )


def _item(state: SessionState, bench: Workbench, segmentation: Segmentation, value: int, key: str) -> ObjectState:
    """The object of one structure: of a class, if it is called like one that has no object yet."""
    vocabulary = bench.model.vocabulary
    name = segmentation.names[value]
    class_id: int | None
    try:
        class_id = vocabulary.resolve(name)
    except AnatomyError:
        class_id = None
    if class_id not in vocabulary.ids or of_class(state, class_id) is not None:
        class_id = None
    object_id = state.free_id(value if class_id is None else class_id, vocabulary.ids)
    colour = segmentation.colours[value]
    return ObjectState(object_id, state.free_name(name), colour, Description(class_id, start=key))
