"""A session as something that can be kept, and back.

Kept are: who (hashes of scan and model), the objects with their prompts, all of the history, the log, and the masks as
logits, those before the last clicks too where they are at hand. So a session that comes back shows the same masks bit
by bit, and can be undone to its beginning. Features are not kept: the first new prompt on an object looks at its
windows again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openvista._version import __version__
from openvista.errors import SessionError
from openvista.geometry.box import Crop
from openvista.geometry.grid import Axis3
from openvista.inference.profiles import Profile
from openvista.io.session_file import SessionContents
from openvista.prompts import Click
from openvista.scan import Scan
from openvista.session.history import Event, Step
from openvista.session.masks import ObjectMask
from openvista.session.open_scan import OpenScan, SessionModel
from openvista.session.session import Session
from openvista.session.state import AUTOMATIC, ClickWindow, Correction, MaskInputs, ObjectState, SessionState

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = 1


def pack(session: Session) -> SessionContents:
    """All of a session."""
    bench, history = session.bench, session.history
    arrays: dict[str, NDArray[Any]] = {}
    steps = [*history.past, *history.future]
    items = list(dict.fromkeys(item for step in steps for item in step.state.objects))
    number = {item: index for index, item in enumerate(items)}
    current = {item.description for item in session.state.objects}
    steps_back = {description.before for description in current}
    first_with = {item.description: item for item in reversed(items) if item.description.openings}
    for description, item in first_with.items():
        if description in current or (description in steps_back and bench.has_layer(description)):
            _put_layer(arrays, f"layer{number[item]}", bench.layer(description))
    for class_id in {item.description.class_id for item in items if item.description.start == AUTOMATIC}:
        if class_id in bench.automatic:
            _put(arrays, f"automatic{class_id}", bench.automatic[class_id])
    for start in {item.description.start for item in items}:
        mask = bench.masks.get(start or "")
        if start is not None and mask is not None:
            _put(arrays, _key(start), Crop(mask.start, np.packbits(mask.values_XYZ)))
            arrays[f"{_key(start)}.shape"] = np.array(mask.values_XYZ.shape)
    manifest = {
        "format": FORMAT,
        "version": __version__,
        "scan": {"name": session.scan.name, "shape": list(session.scan.grid.shape), "sha256": scan_hash(session.scan)},
        "model": {"name": bench.model.name, "sha256": bench.model.fingerprint, "precision": bench.model.precision},
        "profile": session.profile.stored(),
        "items": [asdict(item) for item in items],
        "past": [[step.number, [number[item] for item in step.state.objects]] for step in history.past],
        "future": [[step.number, [number[item] for item in step.state.objects]] for step in history.future],
        "events": [asdict(event) for event in history.events],
    }
    return SessionContents(manifest, arrays)


def unpack(contents: SessionContents, model: SessionModel, scan: Scan, feature_budget: int | None = None) -> Session:
    """The session that was packed.

    Raises:
        SessionError: it belongs to another scan or another model, or is not complete.
    """
    manifest = contents.manifest
    if manifest.get("format") != FORMAT:
        raise SessionError(f"the session file has format {manifest.get('format')!r}: this version reads {FORMAT}")
    try:
        _check(manifest, model, scan)
        session = Session(model, scan, Profile.from_stored(manifest["profile"]), feature_budget)
        items = [_item(item) for item in manifest["items"]]
        session.history.past = [_step(step, items) for step in manifest["past"]]
        session.history.future = [_step(step, items) for step in manifest["future"]]
        session.history.events = [Event(**event) for event in manifest["events"]]
        _restore(session.bench, contents.arrays, items)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SessionError(f"the session file is not complete ({error!r}); save the session again") from None
    return session


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


def _item(content: Mapping[str, Any]) -> ObjectState:
    described = dict(content["description"])
    described["clicks"] = tuple(Click(tuple(c["voxel"]), c["positive"]) for c in described["clicks"])
    described["openings"] = _openings(described["openings"])
    described["earlier"] = tuple(
        Correction(t["clicks"], _openings(t["openings"])) for t in described.get("earlier", ())
    )
    return ObjectState(**{**content, "colour": _axis3(content["colour"]), "description": MaskInputs(**described)})


def _openings(contents: "Iterable[Any]") -> tuple[ClickWindow, ...]:
    return tuple(ClickWindow(_axis3(o["start"]), tuple(tuple(place) for place in o["placed"])) for o in contents)


def _step(content: "Iterable[Any]", items: list[ObjectState]) -> Step:
    number, chosen = content
    return Step(int(number), SessionState(tuple(items[index] for index in chosen)))


def _restore(bench: OpenScan, arrays: Mapping[str, NDArray[Any]], items: list[ObjectState]) -> None:
    """Masks, automatic results and layers back on the bench."""
    for index, item in enumerate(items):
        start, class_id = item.description.start, item.description.class_id
        if f"layer{index}" in arrays:
            touched = _get(arrays, f"layer{index}.touched") if f"layer{index}.touched" in arrays else None
            bench.restored[item.description] = ObjectMask(_get(arrays, f"layer{index}"), touched)
        if start == AUTOMATIC and class_id is not None and f"automatic{class_id}" in arrays:
            bench.automatic[class_id] = _get(arrays, f"automatic{class_id}")
        elif start is not None and start != AUTOMATIC:
            key = _key(start)
            packed, shape = _get(arrays, key), arrays[f"{key}.shape"]
            values_XYZ = np.unpackbits(packed.values_XYZ, count=int(np.prod(shape))).reshape(shape).astype(bool)
            bench.masks[start] = Crop(packed.start, values_XYZ)


def _key(start: str) -> str:
    """The name of a mask's array."""
    return start.replace(" ", "")


def _put_layer(arrays: dict[str, NDArray[Any]], name: str, layer: ObjectMask) -> None:
    _put(arrays, name, layer.logits)
    if layer.touched is not None:
        _put(arrays, f"{name}.touched", layer.touched)


def _put(arrays: dict[str, NDArray[Any]], name: str, part: Crop) -> None:
    arrays[name] = part.values_XYZ
    arrays[f"{name}.start"] = np.array(part.start)


def _get(arrays: Mapping[str, NDArray[Any]], name: str) -> Crop:
    return Crop(_axis3(arrays[f"{name}.start"].tolist()), arrays[name])


def _axis3(values: "Iterable[Any]") -> Axis3:
    x, y, z = (int(value) for value in values)
    return (x, y, z)
