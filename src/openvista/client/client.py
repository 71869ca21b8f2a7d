"""Client: what users of a server hold in their hands."""

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from openvista.client.session import RemoteSession
from openvista.client.transport import Transport
from openvista.errors import ScanError

_API = "/api/v1"


@dataclass(frozen=True)
class RemoteScan:
    """A scan that a server keeps.

    Attributes:
        id: what the server calls it.
        name: what its owner does.
        shape: voxels along X, Y, Z, in the order of its file.
        spacing: mm.
        affine: 4x4, voxel to RAS+ mm.
        warnings: why it may not be a CT in HU.
    """

    id: str
    name: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    affine: tuple[tuple[float, ...], ...]
    warnings: tuple[str, ...]


class Client:
    """A server, from here.

    Args:
        url: its address.
        token: its token, if it has one.
        owner: a secret of at least 16 characters, by which scans and sessions of an earlier run are found again; a new
            one when ``None``. It is in :attr:`owner`.
        patience: seconds to go on asking a server that is busy, starting or restarting.

    Raises:
        MissingExtraError: httpx is not installed.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        token: str | None = None,
        owner: str | None = None,
        patience: float = 60,
    ) -> None:
        self.owner = owner or secrets.token_urlsafe(32)
        self._transport = Transport(url, token, self.owner, patience)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection. Scans and sessions stay on the server."""
        self._transport.close()

    def info(self) -> dict[str, Any]:
        """Version, models, limits, and what is switched on."""
        return dict(self._transport.json("GET", f"{_API}/info"))

    def classes(self, query: str = "", model: str | None = None) -> list[dict[str, Any]]:
        """The classes a model answers to, best match first."""
        asked = {"query": query} | ({"model": model} if model else {})
        return list(self._transport.json("GET", f"{_API}/classes", params=asked)["classes"])

    def upload(
        self,
        path: str | Path | Sequence[str | Path],
        name: str | None = None,
        *,
        series: str | None = None,
        fill_gaps: bool = False,
    ) -> RemoteScan:
        """Send a scan.

        Args:
            path: NIfTI, NRRD or MHA; or DICOM as a zip, a multi-frame file, a folder with all below it, or its slices.
            name: what to call it.
            series: which DICOM series, if there are several: UID or its beginning, number, description.
            fill_gaps: interpolate slices that are missing from a DICOM series.

        Raises:
            ScanError: there is no such file.
            ServiceError: the server refuses it; the message says why.
        """
        with contextlib.ExitStack() as opened:
            files = []
            for file in _files(path):
                try:
                    files.append(("file", (file.name, opened.enter_context(file.open("rb")))))
                except OSError as error:
                    raise ScanError(f"{file}: cannot be read: {error.strerror}; check the path") from None
            data = {"name": name, "series": series, "fill_gaps": "true" if fill_gaps else None}
            data = {key: value for key, value in data.items() if value}
            return _scan(self._transport.json("POST", f"{_API}/scans", files=files, data=data))

    def register(
        self, path: str, name: str | None = None, *, series: str | None = None, fill_gaps: bool = False
    ) -> RemoteScan:
        """Use a scan that lies on the server, under a folder it allows."""
        asked = {"path": path, "name": name, "series": series, "fill_gaps": fill_gaps}
        return _scan(self._transport.json("POST", f"{_API}/scans/from-path", json=asked))

    def fetch(
        self, url: str, name: str | None = None, *, series: str | None = None, fill_gaps: bool = False
    ) -> RemoteScan:
        """Have the server fetch a scan from a host it allows."""
        asked = {"url": url, "name": name, "series": series, "fill_gaps": fill_gaps}
        return _scan(self._transport.json("POST", f"{_API}/scans/from-url", json=asked))

    def scans(self) -> list[RemoteScan]:
        """This owner's scans, newest first."""
        return [_scan(item) for item in self._transport.json("GET", f"{_API}/scans")["scans"]]

    def remove(self, scan: RemoteScan) -> None:
        """Delete a scan and its sessions from the server."""
        self._transport.request("DELETE", f"{_API}/scans/{scan.id}")

    def open(self, scan: RemoteScan, file: str | Path | None = None, model: str | None = None) -> RemoteSession:
        """Begin a session; or with a session file, go on with it.

        Raises:
            ServiceError: no such model; or the file belongs to another scan or model.
        """
        if file is None:
            content = {"scan_id": scan.id, "model": model}
            info = self._transport.json("POST", f"{_API}/sessions", json=content)
        else:
            asked = {"scan_id": scan.id} | ({"model": model} if model else {})
            with Path(file).open("rb") as stream:
                files = [("file", (Path(file).name, stream))]
                info = self._transport.json("POST", f"{_API}/sessions/import", params=asked, files=files)
        return RemoteSession(self._transport, scan.shape, info)

    def sessions(self) -> list[RemoteSession]:
        """This owner's sessions, newest first."""
        shapes = {scan.id: scan.shape for scan in self.scans()}
        listed = self._transport.json("GET", f"{_API}/sessions")["sessions"]
        return [RemoteSession(self._transport, shapes[i["scan_id"]], i) for i in listed if i["scan_id"] in shapes]


def _files(path: str | Path | Sequence[str | Path]) -> list[Path]:
    if not isinstance(path, str | Path):
        return [Path(item) for item in path]
    path = Path(path)
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    if not found:
        raise ScanError(f"{path}: the folder is empty; give one with the slices of a series")
    return found


def _scan(content: dict[str, Any]) -> RemoteScan:
    x, y, z = content["shape"]
    a, b, c = content["spacing"]
    return RemoteScan(
        id=content["id"],
        name=content["name"],
        shape=(x, y, z),
        spacing=(a, b, c),
        affine=tuple(tuple(row) for row in content["affine"]),
        warnings=tuple(warning["message"] for warning in content["warnings"]),
    )
