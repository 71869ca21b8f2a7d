"""Who segments: a model on this computer, or a server. Both give sessions with the same methods.

torch is loaded when a model of this computer is, not before. A session is for one thread at a time.
"""

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from openvista.anatomy.colours import Colour, from_hex
from openvista.client import Client, RemoteScan, RemoteSession
from openvista.errors import OpenVistaError
from openvista.inference.progress import Progress, Report
from openvista.io import write_scan, write_segmentation
from openvista.scan import Scan, Segmentation
from openvista.session.edits import Edit
from openvista.weights import available_models, find_model

if TYPE_CHECKING:
    from openvista.session.session import Session

PATIENCE_SECONDS = 3.0
"""That a server may be away before the user is told."""

Object = int | str
"""Id of an object of a session; or a class by name, which becomes an object."""
Voxel = Sequence[float]
Held = TypeVar("Held", "Session", RemoteSession)


class StoppedError(OpenVistaError):
    """The user has stopped it. Nothing has changed."""


@dataclass(frozen=True)
class Engine:
    """Who is asked.

    Attributes:
        model: its name; or of this computer's the path of its folder, too. "" for the server's first.
        server: its address; ``None`` for this computer.
        token: of the server, if it has one.
        device: of this computer, as for :func:`openvista.load_model`.
    """

    model: str = "starter"
    server: str | None = None
    token: str | None = None
    device: str = "auto"

    def models(self) -> list[str]:
        """The models there are."""
        if self.server is None:
            return [found.card.name for found in available_models()]
        with self._client() as client:
            return [str(model["name"]) for model in client.info()["models"]]

    def classes(self) -> list[str]:
        """Names of the classes that the model answers to; none if it answers clicks only."""
        if self.server is None:
            card = find_model(self.model).card
            return [item.name for item in card.vocabulary().classes()] if "automatic" in card.branches else []
        with self._client() as client:
            return [str(item["name"]) for item in client.classes(model=self.model or None)]

    def open(self, scan: Scan) -> "EngineSession":
        """Begin a session on a scan. A server is sent its voxels and where they lie, and nothing else of its file.

        Raises:
            ModelError, DeviceError: no such model or device.
            ServiceError: the server refuses.
        """
        if self.server is None:
            from openvista.model import load_model  # torch

            return LocalSession(load_model(self.model, self.device).open(scan))
        client = self._client()
        with tempfile.TemporaryDirectory() as folder:
            write_scan(scan, Path(folder) / "scan.nii.gz")
            sent = client.upload(Path(folder) / "scan.nii.gz", name=scan.name)
        return ServerSession(client, sent, client.open(sent, model=self.model or None))

    def _client(self) -> Client:
        return Client(self.server or "", self.token or None, patience=PATIENCE_SECONDS)


@dataclass(frozen=True)
class SessionItem:
    """An object of a session, as it is now.

    Attributes:
        id: its value in the label map.
        name: what it is called.
        colour: red, green, blue, 0..255.
        clicks: (voxel, positive), without those that stand for a box.
    """

    id: int
    name: str
    colour: Colour
    clicks: tuple[tuple[Voxel, bool], ...]


class EngineSession(Protocol):
    """What both kinds of sessions do. Methods that ask the network return what the user should know, a line each."""

    @property
    def revision(self) -> int:
        """Grows with every change."""

    @property
    def items(self) -> list[SessionItem]:
        """All objects, later ones on top."""

    def labels(self) -> NDArray[np.unsignedinteger]:
        """[X, Y, Z] ids of the objects on top; the caller may change it."""

    def segment(self, classes: Sequence[str] | None, progress: Report) -> list[str]:
        """Segment by name; ``None`` for everything that the model knows."""

    def click(self, voxel: Voxel, positive: bool, object: Object, progress: Report) -> list[str]:
        """A click, in voxels of the scan."""

    def box(self, box: Sequence[tuple[int, int]], positive: bool, object: Object) -> list[str]:
        """A box, (first, stop) along X, Y, Z."""

    def edit(self, edit: Edit, object: Object) -> None:
        """A change of a mask by hand."""

    def new_object(self, name: str) -> int:
        """A new object that no class describes; its id."""

    def start_from(self, segmentation: Segmentation) -> None:
        """Objects from a label map on the scan's grid."""

    def undo(self) -> bool:
        """Take back the last change; False if there is none."""

    def redo(self) -> bool:
        """Take back the last undo; False if there is none."""

    def cancel(self) -> None:
        """Stop what runs; from another thread."""

    def close(self) -> None:
        """Nobody needs it any more."""


class _Held(Generic[Held]):
    """What a session in this process and one on a server do in the same words."""

    def __init__(self, session: Held) -> None:
        self._session = session
        self.undo, self.redo = session.undo, session.redo

    @property
    def revision(self) -> int:
        return self._session.revision

    def edit(self, edit: Edit, object: Object) -> None:
        self._session.edit(edit, object)

    def new_object(self, name: str) -> int:
        return self._session.new_object(name).id


class LocalSession(_Held["Session"]):
    """A session in this process."""

    def __init__(self, session: "Session") -> None:
        super().__init__(session)
        self._stop = threading.Event()

    @property
    def items(self) -> list[SessionItem]:
        return [
            SessionItem(
                id=item.id,
                name=item.name,
                colour=item.colour,
                clicks=tuple((click.voxel, click.positive) for click in item.inputs.clicks if not click.drawn),
            )
            for item in self._session.state.objects
        ]

    def labels(self) -> NDArray[np.unsignedinteger]:
        return self._session.segmentation().labels

    def segment(self, classes: Sequence[str] | None, progress: Report) -> list[str]:
        self._session.segment(classes, self._stoppable(progress))
        return []

    def click(self, voxel: Voxel, positive: bool, object: Object, progress: Report) -> list[str]:
        return self._session.click(voxel, object, positive, progress=self._stoppable(progress)).notes

    def box(self, box: Sequence[tuple[int, int]], positive: bool, object: Object) -> list[str]:
        return self._session.box(box, object, positive).notes

    def start_from(self, segmentation: Segmentation) -> None:
        self._session.start_from(segmentation)

    def cancel(self) -> None:
        self._stop.set()

    def close(self) -> None:
        self._stop.set()

    def _stoppable(self, progress: Report) -> Report:
        """Progress that ends the work once somebody has asked to."""
        self._stop.clear()

        def report(step: Progress) -> None:
            if self._stop.is_set():
                raise StoppedError("stopped: nothing has changed")
            progress(step)

        return report


class ServerSession(_Held[RemoteSession]):
    """A session on a server. The scan is removed from there when it is closed."""

    def __init__(self, client: Client, scan: RemoteScan, session: RemoteSession) -> None:
        super().__init__(session)
        self._client, self._scan = client, scan

    @property
    def items(self) -> list[SessionItem]:
        return [
            SessionItem(
                id=item.id,
                name=item.name,
                colour=from_hex(item.colour),
                clicks=tuple((click["voxel"], click["positive"]) for click in item.clicks if not click.get("drawn")),
            )
            for item in self._session.objects
        ]

    def labels(self) -> NDArray[np.unsignedinteger]:
        return self._session.labels.copy()

    def segment(self, classes: Sequence[str] | None, progress: Report) -> list[str]:
        self._session.segment("all" if classes is None else classes, progress)
        return self._session.warnings

    def click(self, voxel: Voxel, positive: bool, object: Object, progress: Report) -> list[str]:
        self._session.click(voxel, object, positive, progress=progress)
        return self._session.warnings

    def box(self, box: Sequence[tuple[int, int]], positive: bool, object: Object) -> list[str]:
        self._session.box(box, object, positive)
        return self._session.warnings

    def start_from(self, segmentation: Segmentation) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self._session.start_from(write_segmentation(segmentation, Path(folder) / "labels.nii.gz"))

    def cancel(self) -> None:
        self._session.cancel()

    def close(self) -> None:
        self._client.remove(self._scan)
        self._client.close()
