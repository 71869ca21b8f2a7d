"""A scripted exchange with each of the server's three HTTP interfaces, and its answers without what changes by chance.

Needs a client of httpx and nothing of OpenVISTA. The test of the server plays the same exchange.
"""

import base64
import gzip
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
_IDS = ("id", "scan_id", "session_id", "image", "name")
_NUMBERS = ("seconds", "create_ts", "last_access_ts", "ts", "total_time", "saved_revision")
_SILENT_HEADERS = ("date", "content-length", "server", "last-modified")
_NUMBER_HEADERS = ("x-openvista-seconds", "x-request-id")
_DEFAULT = "secret-of-the-script-0"


class Player:
    """Asks, and writes down what came back.

    Args:
        http: a client of httpx whose base address is the server.
        places: folders of this machine, with what to call them.
    """

    def __init__(self, http: Any, places: Iterable[tuple[str, str]] = ()) -> None:
        self.http = http
        self.records: list[dict[str, Any]] = []
        self._places = [(str(http.base_url).rstrip("/"), "<server>"), *places]
        self._names: dict[str, str] = {}

    def ask(self, method: str, path: str, **content: Any) -> Any:
        """One request; gives the JSON of the answer, or the answer where it is something else."""
        headers = {"X-OpenVISTA-Owner": _DEFAULT} | content.pop("headers", {})
        answer = self.http.request(method, path, headers=headers, **content)
        is_json = bool(answer.content) and answer.headers.get("content-type", "").startswith("application/json")
        if is_json:
            self._learn(answer.json())
        asked = {"method": method, "path": self._text(path)}
        kept = {name: self._text(value) for name, value in answer.headers.items() if name not in _SILENT_HEADERS}
        kept |= {name: "<number>" for name in _NUMBER_HEADERS if name in kept}
        if path.startswith(("/datastore/", "/?")) or path == "/":
            kept |= {"etag": "<time and size of the file>"} if "etag" in kept else {}
        self.records.append(
            asked | {"status": answer.status_code, "headers": dict(sorted(kept.items())), "body": self._body(answer)}
        )
        return answer.json() if is_json else answer

    def _learn(self, content: Any) -> None:
        """Ids get names in the order in which they appear."""
        if isinstance(content, dict):
            for key, value in content.items():
                if key in _IDS and isinstance(value, str) and _ID.fullmatch(value):
                    self._names.setdefault(value, f"<id {len(self._names) + 1}>")
                self._learn(value)
        elif isinstance(content, list):
            for value in content:
                self._learn(value)

    def _text(self, text: str) -> str:
        for value, name in [*self._names.items(), *self._places]:
            text = text.replace(value, name)
        text = re.sub(r"openvista-[A-Za-z0-9_-]{22}", "openvista-<boundary>", text)
        text = re.sub(r"(openvista_(?:owner|token)=)[^;]+", r"\1<secret>", text)
        return _TIME.sub("<time>", text)

    def _values(self, content: Any, key: str = "") -> Any:
        if isinstance(content, dict):
            if {"box", "dtype", "data"} == set(content):
                content = content | {"data": _sha(gzip.decompress(base64.b64decode(content["data"])))}
            inside = "seconds" if key == "latencies" else None
            return {name: self._values(value, inside or name) for name, value in content.items()}
        if isinstance(content, list):
            return [self._values(value) for value in content]
        if key in _NUMBERS and isinstance(content, int | float):
            return "<number>"
        if isinstance(content, float):
            return repr(content)
        return self._text(content) if isinstance(content, str) else content

    def _body(self, answer: Any) -> Any:
        media, content = answer.headers.get("content-type", ""), answer.content
        if not content:
            return ""
        if media.startswith("application/json"):
            return self._values(answer.json())
        if media.startswith("multipart/"):
            return self._parts(content, media)
        if media.startswith("text/plain; version="):
            return sorted(line for line in content.decode().splitlines() if line.startswith("# TYPE openvista"))
        if media.startswith("text/plain"):
            return self._text(content.decode())
        if media.startswith("text/html"):
            return "a page"
        return binary(content)

    def _parts(self, content: bytes, media: str) -> dict[str, Any]:
        boundary = media.partition("boundary=")[2].encode()
        found: dict[str, Any] = {}
        for part in content.split(b"--" + boundary)[1:-1]:
            head, _, body = part.partition(b"\r\n\r\n")
            name = re.search(rb'name="(\w+)"', head)[1].decode()
            told = re.sub(r"label-[A-Za-z0-9-]{22}", "label-<id>", head.decode().strip())
            value = self._values(json.loads(body)) if name == "params" else binary(body.removesuffix(b"\r\n"))
            found[name] = {"head": told.splitlines(), "body": value}
        return found


def binary(content: bytes) -> dict[str, Any]:
    """The kind of a file and the checksum of what is in it; times of packing do not count."""
    if content[:2] == b"\x1f\x8b":
        return {"gzip": _sha(gzip.decompress(content))}
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = sorted(archive.namelist())
            # a session file's manifest has times in it
            return {"zip": {name: _member(archive.read(name)) for name in names if name != "manifest.json"}}
    head, blank, data = content.partition(b"\n\n")
    if content.startswith(b"NRRD") and blank and b"encoding: gzip" in head:
        return {"nrrd": _sha(head), "voxels": _sha(gzip.decompress(data))}
    return {"bytes": _sha(content)}


def _member(content: bytes) -> str:
    return _sha(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- the exchange -------------------------------------------------------------------------------------------------


def place(shape: Iterable[int], *parts: float) -> list[int]:
    """A voxel, by its place between the first and the last one along each axis."""
    return [round(part * (size - 1)) for part, size in zip(parts, shape, strict=True)]


def upload(path: Path, field: str = "file", name: str = "case.nii.gz") -> dict[str, Any]:
    """A file as a form sends it."""
    return {field: (name, path.read_bytes(), "application/octet-stream")}


def native(player: Player, ct: Path) -> None:
    """Our own interface: scan, session, prompts of every kind, undo, results, errors."""
    ask = player.ask
    ask("GET", "/v1/health/live")
    ask("GET", "/api/v1/info")
    ask("GET", "/api/v1/classes?query=spinal")
    ask("GET", "/api/v1/classes?model=nothing")
    scan = ask("POST", "/api/v1/scans", files=upload(ct))
    ask("GET", "/api/v1/scans")
    ask("GET", f"/api/v1/scans/{scan['id']}")
    ask("GET", f"/api/v1/scans/{scan['id']}", headers={"X-OpenVISTA-Owner": "somebody else entirely"})
    tag = ask("GET", f"/api/v1/scans/{scan['id']}/image").headers["etag"]
    ask("GET", f"/api/v1/scans/{scan['id']}/image", headers={"If-None-Match": tag})
    session = ask("POST", "/api/v1/sessions", json={"scan_id": scan["id"]})
    here, shape = f"/api/v1/sessions/{session['id']}", scan["shape"]
    _prompts(player, here, shape)
    _wrong(player, here, scan["id"])
    _results(player, here, scan["id"])
    ask("DELETE", f"/api/v1/scans/{scan['id']}")
    ask("GET", here)


def _prompts(player: Player, here: str, shape: list[int]) -> None:
    ask, middle, beside = player.ask, place(shape, 0.5, 0.5, 0.5), place(shape, 0.3, 0.6, 0.4)
    low, high = place(shape, 0.3, 0.3, 0.3), place(shape, 0.6, 0.6, 0.6)
    ask("POST", f"{here}/classes", json={"classes": ["spinal cord", "brainstem"]})
    ask("POST", f"{here}/clicks", json={"object": "spinal cord", "clicks": [{"voxel": middle}]})
    ask("POST", f"{here}/objects", json={"name": "lesion", "colour": "#ff0080"})
    both = [{"voxel": middle}, {"voxel": beside, "positive": False}]
    ask("POST", f"{here}/clicks?labels=false", json={"object": "lesion", "clicks": both, "grow": False})
    ask("POST", f"{here}/boxes", json={"object": "lesion", "box": [*zip(low, high, strict=True)]})
    contour = [low[:2], [high[0], low[1]], high[:2]]
    ask("POST", f"{here}/lassos", json={"object": "lesion", "axis": 2, "slice": middle[2], "points": contour})
    stroke = {"object": "brainstem", "points": [low, middle], "positive": False}
    ask("POST", f"{here}/scribbles", json=stroke)
    ask("POST", f"{here}/undo")
    ask("POST", f"{here}/undo?labels=false")
    ask("POST", f"{here}/redo")
    ask("PATCH", f"{here}/objects/121", json={"locked": True, "colour": "#010203", "position": 2})
    ask("POST", f"{here}/clicks", json={"object": 121, "clicks": [{"voxel": middle}]})
    ask("PATCH", f"{here}/objects/121", json={"locked": False, "name": "cord"})
    ask("DELETE", f"{here}/objects/133")
    ask("POST", f"{here}/cancel")


def _wrong(player: Player, here: str, scan_id: str) -> None:
    ask = player.ask
    ask("POST", f"{here}/classes", json={"classes": ["spinal crd"]})
    ask("POST", f"{here}/clicks", json={"object": "lesion", "clicks": []})
    ask("POST", f"{here}/clicks", json={"object": "lesion", "clicks": [{"voxel": [1, 2]}]})
    ask("POST", f"{here}/clicks", json={"object": "lesion", "clicks": [{"voxel": [900, 900, 900]}]})
    ask("POST", f"{here}/clicks", json={"object": "lesion", "click": [1, 2, 3]})
    ask("POST", f"{here}/clicks", content=b"{", headers={"Content-Type": "application/json"})
    ask("POST", f"{here}/boxes", json={"object": "lesion", "box": [[5, 2], [3, 8], [1, 4]]})
    ask("POST", f"{here}/objects", json={"name": " "})
    ask("GET", f"{here}/objects/999/mask")
    ask("GET", f"{here}/export?format=exe")
    ask("GET", f"{here}/jobs/none")
    ask("POST", "/api/v1/sessions", json={"scan_id": "none"})
    ask("POST", "/api/v1/sessions", json={"scan_id": scan_id, "model": "nothing"})
    ask("GET", "/api/v1/sessions/none")
    ask("GET", "/api/v1/nowhere")
    ask("PUT", "/api/v1/scans")
    ask("POST", "/api/v1/scans", files={"file": ("case.nii.gz", b"no image", "application/octet-stream")})
    ask("POST", "/api/v1/scans", files={"other": ("case.nii.gz", b"no image", "application/octet-stream")})
    ask("POST", "/api/v1/scans/from-path", json={"path": "/etc/hostname"})
    ask("POST", "/api/v1/scans/from-url", json={"url": "http://127.0.0.1:1/ct.nii.gz"})
    ask("GET", "/api/v1/info", headers={"Host": "somewhere.example"})
    ask("POST", "/api/v1/sessions", json={"scan_id": scan_id}, headers={"Origin": "http://somewhere.example"})


def _results(player: Player, here: str, scan_id: str) -> None:
    ask = player.ask
    ask("GET", here)
    ask("GET", f"{here}/changes?since=-1")
    ask("GET", f"{here}/table")
    ask("GET", f"{here}/history")
    labels = ask("GET", f"{here}/segmentation")
    ask("GET", f"{here}/segmentation", headers={"If-None-Match": labels.headers["etag"]})
    ask("GET", f"{here}/objects/121/mask")
    for kind in ("nii.gz", "nii", "nrrd", "mha", "seg.nrrd"):
        ask("GET", f"{here}/export?format={kind}")
    kept = ask("GET", f"{here}/export?format=ovsession").content
    files = {"file": ("case.ovsession", kept, "application/octet-stream")}
    again = ask("POST", f"/api/v1/sessions/import?scan_id={scan_id}", files=files)
    there = f"/api/v1/sessions/{again['id']}"
    ask("POST", f"{there}/undo")
    drawn = {"file": ("labels.nii.gz", labels.content, "application/octet-stream")}
    ask("POST", f"{there}/segmentation", files=drawn)
    ask("DELETE", there)


def nim(player: Player, ct: Path) -> None:
    """NVIDIA's interface."""
    ask = player.ask
    ask("GET", "/v1/health/ready")
    ask("GET", "/v1/vista3d/info")
    ask("GET", "/v1/license")
    ask("GET", "/v1/metadata")
    image = ask("POST", "/v1/files", files=upload(ct))["image"]
    shape = player.http.get(f"/api/v1/scans/{image}", headers={"X-OpenVISTA-Owner": _DEFAULT}).json()["shape"]
    middle, beside = place(shape, 0.5, 0.5, 0.5), place(shape, 0.3, 0.6, 0.4)
    signed = {"spinal cord": {"positive": [middle], "negative": [beside]}}
    asked: list[dict[str, Any]] = [
        {"prompts": {"classes": ["spinal cord", 133]}},
        {"prompts": {"labels": ["brainstem"]}, "output": {"raw": True}, "local_working_dir": "/tmp"},
        {"prompts": {"points": {"121": [middle]}}, "output": {"extension": ".nrrd", "dtype": "uint8"}},
        {"prompts": {"points": signed}, "output": {"extension": ".nii"}},
        {"prompts": {"points": {"121": [middle, beside]}, "point_labels": {"121": [1, 0]}}},
        {"prompts": {"classes": ["spinal crd"]}},
        {"prompts": {"class": ["spinal cord"]}},
        {"prompts": {"points": {"121": [middle]}, "point_labels": {"121": [1, 0]}}},
        {"prompts": {"points": {"121": []}}},
        {"output": {"extension": ".exe"}},
    ]
    for content in asked:
        ask("POST", "/v1/vista3d/inference", json={"image": image} | content)
    ask("POST", "/v1/vista3d/inference", json={"image": "/etc/hostname"})
    ask("POST", "/v1/vista3d/inference", json={"image": "http://127.0.0.1:1/ct.nii.gz"})
    ask("POST", "/v1/vista3d/inference", json={"prompts": {}})


def monai_label(player: Player, ct: Path) -> None:
    """MONAI Label's interface; the server has a datastore with the same scan as ``case 1``."""
    ask = player.ask
    ask("GET", "/info/")
    ask("GET", "/datastore/")
    ask("GET", "/datastore/?output=all")
    ask("GET", "/datastore/image?image=case+1")
    ask("HEAD", "/datastore/image?image=missing")
    ask("GET", "/datastore/image/info?image=case+1")
    ask("POST", "/activelearning/first", json={})
    ask("POST", "/activelearning/unknown", json={})
    session = ask("PUT", "/session/", files=upload(ct, "files"))["session_id"]
    shape = ask("GET", f"/session/{session}")["meta"]["shape"]
    middle, beside = place(shape, 0.5, 0.5, 0.5), place(shape, 0.3, 0.6, 0.4)
    clicks = {"label": "spinal cord", "foreground": [middle], "background": [beside]}
    label = _infer(player, f"vista3d_click?session_id={session}&output=image", clicks).content
    _infer(player, f"vista3d_click?session_id={session}", clicks | {"label": "my lesion"})
    _infer(player, "vista3d_auto?image=case+1", {"classes": "spinal cord, brainstem", "result_extension": ".nii.gz"})
    raw = {"result_extension": ".nrrd", "result_compress": False, "label_prompt": [121]}
    _infer(player, "vista3d?image=case+1&output=image", raw)
    points = {"points": [middle, beside], "point_labels": [1, 0], "label_prompt": [121]}
    _infer(player, "vista3d?image=case+1&output=json", points)
    for path, params in (
        ("unknown?image=case+1", {}),
        ("vista3d", {}),
        ("vista3d?image=missing", {}),
        ("vista3d?image=case+1", {"label_prompt": ["spinal crd"]}),
        ("vista3d?image=case+1", {"points": [[1, 2]]}),
        ("vista3d_click?image=case+1", {"label": "spinal cord"}),
        ("vista3d?image=case+1&output=dicom_seg", {}),
    ):
        _infer(player, path, params)
    drawn = {"label": ("label.nii.gz", label, "application/octet-stream")}
    noted = {"params": json.dumps({"label_info": [{"name": "spinal cord", "idx": 1}]})}
    ask("PUT", "/datastore/label?image=case+1&tag=final", files=drawn, data=noted)
    ask("GET", "/datastore/label?label=case+1")
    ask("GET", "/datastore/label/info?label=case+1")
    ask("GET", "/datastore/?output=train")
    ask("POST", "/activelearning/first", json={})
    ask("DELETE", "/datastore/label?id=case+1")
    ask("DELETE", "/datastore/label?id=case+1")
    ask("GET", "/train/")
    ask("POST", "/train/vista3d", json={})
    ask("GET", "/auth/")
    ask("DELETE", f"/session/{session}")


def _infer(player: Player, path: str, params: dict[str, Any]) -> Any:
    return player.ask("POST", f"/infer/{path}", files={"params": (None, json.dumps(params))})


def strangers(player: Player, token: str) -> None:
    """A server with a token, asked with and without it."""
    ask = player.ask
    for path in ("/v1/health/ready", "/api/v1/info", "/v1/vista3d/info", "/info/", "/auth/", "/", "/openapi.json"):
        ask("GET", path)
    ask("GET", "/api/v1/info", headers={"Authorization": "Bearer wrong"})
    ask("GET", "/?token=wrong")
    ask("POST", "/auth/token", data={"username": "u", "password": "wrong"})
    ask("GET", "/api/v1/info", headers={"Authorization": f"Bearer {token}"})
    ask("GET", "/auth/token/valid", headers={"Authorization": f"Bearer {token}"})


def outline(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each answer only what no machine changes: status, kind, keys and the types of their values."""
    return [
        {key: record[key] for key in ("method", "path", "status")}
        | {"content-type": record["headers"].get("content-type", ""), "body": types(record["body"])}
        for record in records
    ]


_TABLES = ("label_names", "labels", "counts", "zip")
"""Objects whose keys are data."""


def types(content: Any, key: str = "") -> Any:
    """Keys and types of a body."""
    if isinstance(content, dict):
        if key in _TABLES and not {"box", "data"} & set(content):
            return "table"
        return {name: types(value, name) for name, value in content.items()}
    if isinstance(content, list):
        found = [types(value) for value in content]
        return [one for index, one in enumerate(found) if one not in found[:index]]
    if content == "<number>" or (isinstance(content, str) and re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", content)):
        return "number"
    return {str: "text", bool: "yes or no", int: "number", type(None): "nothing"}[type(content)]
