"""The parts of a session as a file keeps them, and back.

Kept are: who (hashes of scan and model), the objects with their prompts, all of the history, the log, the voxels that
edits decided, and the masks as logits, those before the last clicks too where they are at hand. So a session that comes
back shows the same masks bit by bit, and can be undone to its beginning. Features are not kept: the first new prompt on
an object looks at its windows again.

The names in a file are those of format 1, whatever the classes and fields are called here. Clicks of a box, scribble or
lasso are marked "drawn".
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista._version import __version__
from openvista.errors import SessionError
from openvista.geometry.box import Box, Crop
from openvista.geometry.grid import Axis3
from openvista.inference.profiles import Profile
from openvista.io.session_file import SessionContents
from openvista.prompts import Click
from openvista.scan import Scan
from openvista.session.brought import BroughtMask, PackedMask, packed_size
from openvista.session.decided import Decided
from openvista.session.history import Event, History, Step
from openvista.session.masks import ObjectMask
from openvista.session.open_scan import OpenScan, SessionModel
from openvista.session.state import (
    AUTOMATIC,
    AppliedEdit,
    ClickWindow,
    Correction,
    MaskInputs,
    ObjectState,
    SessionState,
)

FORMAT = 1
EDITED_FORMAT = 2
"""Of a session with edits: the same with more in it. A version that knew no edits would show masks without them."""

NEWEST_FORMAT = 3
"""Of a session with masks in parts, which earlier versions would not find, or with anchors, without which they would
answer clicks otherwise."""
_PLANES = 32
"""Of the scan to hash at once: where x is fastest in memory, one plane would take a byte or two of every line of it."""

Arrays = dict[str, NDArray[Any]]


def pack(history: History, open_scan: OpenScan) -> SessionContents:
    """All of a session."""
    items = list(dict.fromkeys(item for step in (*history.past, *history.future) for item in step.state.objects))
    number = {item: index for index, item in enumerate(items)}
    scan, model = open_scan.scan, open_scan.model
    manifest = {
        "format": _format(open_scan, items),
        "version": __version__,
        "scan": {"name": scan.name, "shape": list(scan.grid.shape), "sha256": _hash_once(open_scan)},
        "model": {"name": model.name, "sha256": model.fingerprint, "precision": model.precision},
        "profile": open_scan.profile.stored(),
        "items": [_pack_item(item) for item in items],
        "past": [[step.number, [number[item] for item in step.state.objects]] for step in history.past],
        "future": [[step.number, [number[item] for item in step.state.objects]] for step in history.future],
        "events": [asdict(event) for event in history.events],
    }
    return SessionContents(manifest, _pack_masks(open_scan, history.state, items))


def unpack(
    contents: SessionContents, model: SessionModel, scan: Scan, feature_budget: int | None = None
) -> tuple[History, OpenScan]:
    """What was packed.

    Raises:
        SessionError: it belongs to another scan or another model, or is not complete.
    """
    manifest = contents.manifest
    if manifest.get("format") not in (FORMAT, EDITED_FORMAT, NEWEST_FORMAT):
        known = f"{FORMAT} to {NEWEST_FORMAT}"
        raise SessionError(f"the session file has format {manifest.get('format')!r}: this version reads {known}")
    try:
        history, open_scan = History(), OpenScan(model, scan, Profile.from_stored(manifest["profile"]), feature_budget)
        _check(manifest, open_scan)
        items = [_unpack_item(item) for item in manifest["items"]]
        history.past = [_unpack_step(step, items) for step in manifest["past"]]
        history.future = [_unpack_step(step, items) for step in manifest["future"]]
        history.events = [Event(**event) for event in manifest["events"]]
        _unpack_masks(open_scan, contents.arrays, items)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SessionError(f"the session file is not complete ({error!r}); save the session again") from None
    return history, open_scan


def _format(open_scan: OpenScan, items: Sequence[ObjectState]) -> int:
    """The lowest that says it all, so that as many versions as possible can read it."""
    in_parts = any(len(open_scan.masks[base].parts) > 1 for base in _brought(open_scan, items))
    if in_parts or any(window.anchors for item in items for window in item.inputs.windows):
        return NEWEST_FORMAT
    return EDITED_FORMAT if any(item.inputs.edits for item in items) else FORMAT


def _brought(open_scan: OpenScan, items: Iterable[ObjectState]) -> set[str]:
    """The names of the masks that objects start from."""
    return {item.inputs.base for item in items if item.inputs.base is not None} & open_scan.masks.keys()


def scan_hash(scan: Scan) -> str:
    """SHA-256 of the values and the grid; the same however the array lies in memory, and for HU as integers or not."""
    digest = hashlib.sha256(str(scan.grid.shape).encode())
    digest.update(np.round(scan.grid.affine, 6).tobytes())
    for first in range(0, scan.grid.shape[0], _PLANES):
        digest.update(np.ascontiguousarray(scan.voxels[first : first + _PLANES], dtype=np.float32).data)
    return digest.hexdigest()


def _hash_once(open_scan: OpenScan) -> str:
    """The scan's hash; a session is saved often, and a large CT takes a second."""
    open_scan.scan_sha256 = open_scan.scan_sha256 or scan_hash(open_scan.scan)
    return open_scan.scan_sha256


def _check(manifest: Mapping[str, Any], open_scan: OpenScan) -> None:
    model, scan = open_scan.model, open_scan.scan
    kept = manifest["scan"]
    if kept["sha256"] != _hash_once(open_scan):
        raise SessionError(
            f"the session was made on scan {kept['name']!r} of shape {tuple(kept['shape'])}, which {scan.name!r} of "
            f"shape {scan.grid.shape} is not: open it with that scan"
        )
    kept = manifest["model"]
    if kept["sha256"] != model.fingerprint:
        raise SessionError(
            f"the session was made with model {kept['name']!r} (weights {kept['sha256'][:12]}...), not with "
            f"{model.name!r} ({model.fingerprint[:12]}...): open it with that model"
        )


# --- objects and steps ------------------------------------------------------------------------------------------


def _pack_item(item: ObjectState) -> dict[str, Any]:
    inputs = item.inputs
    description: dict[str, Any] = {
        "class_id": inputs.class_id,
        "zero_shot": inputs.zero_shot,
        "start": inputs.base,
        "clicks": [_pack_click(click) for click in inputs.clicks],
        "openings": _pack_windows(inputs.windows),
        "earlier": [{"clicks": each.clicks, "openings": _pack_windows(each.windows)} for each in inputs.corrections],
    }
    if inputs.edits:
        description["edits"] = [asdict(edit) for edit in inputs.edits]
    return {
        "id": item.id,
        "name": item.name,
        "colour": item.colour,
        "description": description,
        "locked": item.locked,
        "visible": item.visible,
    }


def _unpack_item(content: Mapping[str, Any]) -> ObjectState:
    described = content["description"]
    inputs = MaskInputs(
        class_id=described["class_id"],
        zero_shot=described["zero_shot"],
        base=described["start"],
        clicks=tuple(
            Click(tuple(click["voxel"]), click["positive"], click.get("drawn", False)) for click in described["clicks"]
        ),
        windows=_unpack_windows(described["openings"]),
        corrections=tuple(
            Correction(each["clicks"], _unpack_windows(each["openings"]))
            for each in described.get("earlier", ())  # files from before corrections have none
        ),
        edits=tuple(AppliedEdit(**edit) for edit in described.get("edits", ())),
    )
    colour = _axis3(content["colour"])
    return ObjectState(content["id"], content["name"], colour, inputs, content["locked"], content["visible"])


def _pack_click(click: Click) -> dict[str, Any]:
    content: dict[str, Any] = {"voxel": click.voxel, "positive": click.positive}
    return content | ({"drawn": True} if click.drawn else {})


def _pack_windows(windows: Iterable[ClickWindow]) -> list[dict[str, Any]]:
    return [
        {"start": window.start, "placed": window.placed} | ({"anchors": window.anchors} if window.anchors else {})
        for window in windows
    ]


def _unpack_windows(contents: Iterable[Any]) -> tuple[ClickWindow, ...]:
    return tuple(
        ClickWindow(
            _axis3(each["start"]),
            tuple(map(tuple, each["placed"])),
            tuple(map(tuple, each.get("anchors", ()))),  # files from before anchors have none
        )
        for each in contents
    )


def _unpack_step(content: Iterable[Any], items: Sequence[ObjectState]) -> Step:
    number, chosen = content
    return Step(int(number), SessionState(tuple(items[index] for index in chosen)))


# --- masks ------------------------------------------------------------------------------------------------------


def _pack_masks(open_scan: OpenScan, state: SessionState, items: Sequence[ObjectState]) -> Arrays:
    arrays: Arrays = {}
    current = {item.inputs.unedited for item in state.objects}
    one_back = {inputs.previous for inputs in current}
    clicked = [(index, item.inputs.unedited) for index, item in enumerate(items) if item.inputs.windows]
    first_with = {inputs: index for index, inputs in reversed(clicked)}
    for inputs, index in first_with.items():
        if inputs in current or (inputs in one_back and open_scan.has_object_mask(inputs)):
            made = open_scan.object_mask(inputs)
            _put(arrays, f"layer{index}", made.logits)
            if made.touched is not None:
                _put(arrays, f"layer{index}.touched", made.touched)
    for class_id in {item.inputs.class_id for item in items if item.inputs.base == AUTOMATIC}:
        if class_id in open_scan.automatic:
            _put(arrays, f"automatic{class_id}", open_scan.automatic[class_id])
    for base in _brought(open_scan, items):
        _put_brought(arrays, _key(base), open_scan.masks[base])
    for name in {edit.decided for item in items for edit in item.inputs.edits}:
        decided = open_scan.edits.decided[name]
        arrays[_key(name)], arrays[f"{_key(name)}.box"] = decided.bits, np.array(decided.box)
    return arrays


def _unpack_masks(open_scan: OpenScan, arrays: Mapping[str, NDArray[Any]], items: Sequence[ObjectState]) -> None:
    for index, item in enumerate(items):
        base, class_id = item.inputs.base, item.inputs.class_id
        if f"layer{index}" in arrays:
            touched = _get(arrays, f"layer{index}.touched") if f"layer{index}.touched" in arrays else None
            open_scan.restored[item.inputs.unedited] = ObjectMask(_get(arrays, f"layer{index}"), touched)
        if base == AUTOMATIC and class_id is not None and f"automatic{class_id}" in arrays:
            open_scan.automatic[class_id] = _get(arrays, f"automatic{class_id}")
        elif base is not None and base != AUTOMATIC and base not in open_scan.masks:
            open_scan.masks[base] = _get_brought(arrays, _key(base), open_scan.scan.grid.shape)
        for edit in item.inputs.edits:
            if edit.decided not in open_scan.edits.decided:
                open_scan.edits.decided[edit.decided] = _get_decided(
                    arrays, _key(edit.decided), open_scan.scan.grid.shape
                )


def _put_brought(arrays: Arrays, key: str, mask: BroughtMask) -> None:
    if len(mask.parts) > 1:
        arrays[key] = np.concatenate([part.bits for part in mask.parts])
        arrays[f"{key}.boxes"] = np.array([part.box for part in mask.parts])
        return
    (only,) = mask.parts or [PackedMask.of(Crop.nothing(bool))]
    _put(arrays, key, Crop(only.box.start, only.bits))
    arrays[f"{key}.shape"] = np.array(only.box.shape)


def _get_brought(arrays: Mapping[str, NDArray[Any]], key: str, shape: Axis3) -> BroughtMask:
    if f"{key}.boxes" not in arrays:
        box = Box.sized(_axis3(arrays[f"{key}.start"].tolist()), _axis3(arrays[f"{key}.shape"].tolist()))
        return BroughtMask.of(PackedMask(_within(box, key, shape), arrays[key]).crop)
    boxes = [_within(Box(_axis3(start), _axis3(stop)), key, shape) for start, stop in arrays[f"{key}.boxes"].tolist()]
    ends = np.cumsum([packed_size(box) for box in boxes])
    *bits, rest = np.split(arrays[key], ends)
    if rest.size:
        raise ValueError(f"{key} has more bytes than its boxes have voxels")
    return BroughtMask(tuple(PackedMask(box, part) for box, part in zip(boxes, bits, strict=True)))


def _get_decided(arrays: Mapping[str, NDArray[Any]], key: str, shape: Axis3) -> Decided:
    start, stop = arrays[f"{key}.box"].tolist()
    return Decided(_within(Box(_axis3(start), _axis3(stop)), key, shape), arrays[key])


def _within(box: Box, key: str, shape: Axis3) -> Box:
    """The box, which lies in a scan of this shape."""
    if not box.empty and box.intersect(Box.whole(shape)) != box:
        raise ValueError(f"a box of {key} lies outside the scan")
    return box


def _key(base: str) -> str:
    """The name of a mask's array."""
    return base.replace(" ", "")


def _put(arrays: Arrays, name: str, crop: Crop) -> None:
    arrays[name] = crop.values_XYZ
    arrays[f"{name}.start"] = np.array(crop.start)


def _get(arrays: Mapping[str, NDArray[Any]], name: str) -> Crop:
    return Crop(_axis3(arrays[f"{name}.start"].tolist()), arrays[name])


def _axis3(values: Iterable[Any]) -> Axis3:
    x, y, z = (int(value) for value in values)
    return (x, y, z)
