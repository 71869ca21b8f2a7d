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

Arrays = dict[str, NDArray[Any]]


def pack(history: History, open_scan: OpenScan) -> SessionContents:
    """All of a session."""
    items = list(dict.fromkeys(item for step in (*history.past, *history.future) for item in step.state.objects))
    number = {item: index for index, item in enumerate(items)}
    scan, model = open_scan.scan, open_scan.model
    manifest = {
        "format": EDITED_FORMAT if any(item.inputs.edits for item in items) else FORMAT,
        "version": __version__,
        "scan": {"name": scan.name, "shape": list(scan.grid.shape), "sha256": scan_hash(scan)},
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
    if manifest.get("format") not in (FORMAT, EDITED_FORMAT):
        known = f"{FORMAT} and {EDITED_FORMAT}"
        raise SessionError(f"the session file has format {manifest.get('format')!r}: this version reads {known}")
    try:
        _check(manifest, model, scan)
        history, open_scan = History(), OpenScan(model, scan, Profile.from_stored(manifest["profile"]), feature_budget)
        items = [_unpack_item(item) for item in manifest["items"]]
        history.past = [_unpack_step(step, items) for step in manifest["past"]]
        history.future = [_unpack_step(step, items) for step in manifest["future"]]
        history.events = [Event(**event) for event in manifest["events"]]
        _unpack_masks(open_scan, contents.arrays, items)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SessionError(f"the session file is not complete ({error!r}); save the session again") from None
    return history, open_scan


def scan_hash(scan: Scan) -> str:
    """SHA-256 of the values and the grid; the same however the array lies in memory, and for HU as integers or not."""
    digest = hashlib.sha256(str(scan.grid.shape).encode())
    digest.update(np.round(scan.grid.affine, 6).tobytes())
    for plane in scan.voxels:
        digest.update(np.ascontiguousarray(plane, dtype=np.float32).tobytes())
    return digest.hexdigest()


def _check(manifest: Mapping[str, Any], model: SessionModel, scan: Scan) -> None:
    kept = manifest["scan"]
    if kept["sha256"] != scan_hash(scan):
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
    for base in {item.inputs.base for item in items} & open_scan.masks.keys():
        assert base is not None
        mask = open_scan.masks[base]
        _put(arrays, _key(base), Crop(mask.start, np.packbits(mask.values_XYZ)))
        arrays[f"{_key(base)}.shape"] = np.array(mask.values_XYZ.shape)
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
        elif base is not None and base != AUTOMATIC:
            key = _key(base)
            packed, shape = _get(arrays, key), arrays[f"{key}.shape"]
            values_XYZ = np.unpackbits(packed.values_XYZ, count=int(np.prod(shape))).reshape(shape).astype(bool)
            open_scan.masks[base] = Crop(packed.start, values_XYZ)
        for edit in item.inputs.edits:
            if edit.decided not in open_scan.edits.decided:
                open_scan.edits.decided[edit.decided] = _get_decided(
                    arrays, _key(edit.decided), open_scan.scan.grid.shape
                )


def _get_decided(arrays: Mapping[str, NDArray[Any]], key: str, shape: Axis3) -> Decided:
    start, stop = arrays[f"{key}.box"].tolist()
    box = Box(_axis3(start), _axis3(stop))
    if not box.empty and box.intersect(Box.whole(shape)) != box:
        raise ValueError(f"the box of {key} lies outside the scan")
    return Decided(box, arrays[key])


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
