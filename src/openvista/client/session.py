"""A session on a server, with a label map here that follows it by the boxes that change."""

import base64
import gzip
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.client.transport import Transport
from openvista.errors import OutputError, ServiceError
from openvista.inference.progress import Progress, Report
from openvista.io.atomic import replacing
from openvista.session.edits import Edit, log_edit, make_edit

_POLL_SECONDS = 0.2
_ENDINGS = ("nii.gz", "nii", "seg.nrrd", "nrrd", "mha", "dcm", "stl", "stl.zip", "obj", "glb", "ovsession")


@dataclass(frozen=True)
class RemoteObject:
    """An object of a session, as it was when the server last told.

    Attributes:
        id: its value in the label map.
        name, class_id, colour, locked, visible: as the server has them.
        voxels: of its own mask, before others cover it.
        unlikely: what of an automatic result is unlike the cases of training.
        clicks: oldest first: ``voxel``, ``positive``, and ``drawn`` where it stands for a box or a stroke.
    """

    id: int
    name: str
    class_id: int | None
    colour: str
    locked: bool
    visible: bool
    voxels: int
    unlikely: Sequence[str] = ()
    clicks: Sequence[Mapping[str, Any]] = ()


ObjectRef = RemoteObject | int | str
"""An object, its id or name; or a class by id or name."""


class RemoteSession:
    """A session. Made by :meth:`openvista.client.Client.open`. For one thread at a time.

    Attributes:
        id: what the server calls it.
        labels: [X, Y, Z] ids of the objects on top, 0 = none; in the order of the scan's file.
        warnings: what the last prompt's user should know.
    """

    def __init__(self, transport: Transport, shape: tuple[int, int, int], info: dict[str, Any]) -> None:
        self._transport = transport
        self._info = info
        self._revision = -1
        self.id = str(info["id"])
        self.labels: NDArray[np.uint16] = np.zeros(shape, dtype=np.uint16, order="F")
        self.warnings: list[str] = []
        self.refresh()

    # --- prompts ------------------------------------------------------------------------------------------------

    def segment(
        self,
        classes: Sequence[int | str] | str = "all",
        progress: Report | None = None,
        drop_unlikely: bool = False,
    ) -> None:
        """Segment by name or id; ``"all"`` for everything the model knows.

        With ``drop_unlikely`` what is unlike the cases of training is removed, and :attr:`warnings` name it.
        """
        asked = classes if classes == "all" else [classes] if isinstance(classes, str) else list(classes)
        more = {"drop_unlikely": True} if drop_unlikely else {}  # which older servers do not know
        self._ask("classes", {"classes": asked, **more}, progress)

    def click(self, voxel: Sequence[float], object: ObjectRef, positive: bool = True, **choices: Any) -> None:
        """One click, in voxels of the scan; see :meth:`clicks`."""
        self.clicks([(voxel, positive)], object, **choices)

    def clicks(
        self,
        clicks: Sequence[tuple[Sequence[float], bool]],
        object: ObjectRef,
        *,
        grow: bool | None = None,
        progress: Report | None = None,
    ) -> None:
        """Clicks on one object, answered and undone together.

        Args:
            clicks: (voxel, positive).
            object: what they are on.
            grow: whether the mask goes on into neighbouring windows; the server's choice if ``None``.
            progress: told about windows.
        """
        listed = [{"voxel": list(voxel), "positive": positive} for voxel, positive in clicks]
        self._ask("clicks", {"object": _ref(object), "clicks": listed, "grow": grow}, progress)

    def box(self, box: Sequence[Sequence[int]], object: ObjectRef, positive: bool = True) -> None:
        """A box, (first, stop) along X, Y, Z."""
        self._ask("boxes", {"object": _ref(object), "box": [list(side) for side in box], "positive": positive}, None)

    def lasso(
        self, points: Sequence[Sequence[float]], axis: int, slice: int, object: ObjectRef, positive: bool = True
    ) -> None:
        """A contour on a slice, in voxels of the two other axes, as a hint to the model; :meth:`polygon` fills it."""
        content = {"object": _ref(object), "axis": axis, "slice": slice, "positive": positive}
        self._ask("lassos", content | {"points": [list(point) for point in points]}, None)

    def start_from(self, path: str | Path) -> None:
        """Objects from a label map on the scan's grid (NIfTI, NRRD, MHA), a DICOM SEG or RTSTRUCT of it."""
        path = Path(path)
        with path.open("rb") as file:
            files = [("file", (path.name, file))]
            self._apply(self._transport.json("POST", f"{self._path}/segmentation", files=files))

    # --- edits --------------------------------------------------------------------------------------------------

    def edit(self, edit: Edit, object: ObjectRef) -> None:
        """Any change of a mask by hand, see :mod:`openvista.session.edits`; the methods below are short for some."""
        self._change("POST", "edits", {"object": _ref(object), "edit": log_edit(edit)})

    def paint(self, points: Sequence[Sequence[float]], radius_mm: float, object: ObjectRef, **choices: Any) -> None:
        """Paint along a stroke of voxels: ``axis`` for a disk on its slice, ``hu=(low, high)`` for a range of HU."""
        self.edit(make_edit("brush", points=points, radius_mm=radius_mm, **choices), object)

    def erase(self, points: Sequence[Sequence[float]], radius_mm: float, object: ObjectRef, **choices: Any) -> None:
        """The same, and what is under the brush does not belong to the object."""
        self.paint(points, radius_mm, object, add=False, **choices)

    def polygon(
        self, points: Sequence[Sequence[float]], axis: int, slice: int, object: ObjectRef, add: bool = True
    ) -> None:
        """Fill a closed contour on a slice, or clear it; in voxels of the two other axes."""
        self.edit(make_edit("polygon", points=points, axis=axis, slice=slice, add=add), object)

    def fill_holes(self, object: ObjectRef, axis: int | None = None) -> None:
        """Add what the object encloses, in space or slice by slice."""
        self.edit(make_edit("fill_holes", axis=axis), object)

    def keep_piece(self, object: ObjectRef, voxel: Sequence[float] | None = None) -> None:
        """Keep the piece at a voxel; by default those with positive clicks, or the largest."""
        self.edit(make_edit("keep_piece", voxel=voxel), object)

    def smooth(self, mm: float, object: ObjectRef) -> None:
        """Smooth the surface by a Gaussian with this standard deviation."""
        self.edit(make_edit("smooth", mm=mm), object)

    def margin(self, mm: float, object: ObjectRef) -> None:
        """Grow by so many mm, or shrink if negative."""
        self.edit(make_edit("margin", mm=mm), object)

    def interpolate(self, axis: int, object: ObjectRef, between: tuple[int, int] | None = None) -> None:
        """Fill the empty slices between drawn ones, or replace those between two."""
        self.edit(make_edit("interpolate", axis=axis, between=between), object)

    def copy_slice(self, axis: int, slice: int, object: ObjectRef, by: int = 1) -> None:
        """Put what is on a slice on the next one, or with -1 on the one before."""
        self.edit(make_edit("copy_slice", axis=axis, slice=slice, by=by), object)

    def combine(self, operation: str, other: ObjectRef, object: ObjectRef) -> None:
        """``"union"``, ``"subtract"`` or ``"intersect"`` with another object, which stays as it is."""
        self.edit(make_edit("combine", operation=operation, other=_ref(other)), object)

    # --- objects and time ---------------------------------------------------------------------------------------

    @property
    def objects(self) -> list[RemoteObject]:
        """All objects, later ones on top."""
        names = RemoteObject.__dataclass_fields__
        given = ({"unlikely": ()} | item for item in self._info["objects"])  # older servers do not judge
        return [RemoteObject(**{name: item[name] for name in names}) for item in given]

    @property
    def revision(self) -> int:
        """Grows with every change, undo and redo."""
        return self._revision

    def new_object(self, name: str, colour: str | None = None) -> RemoteObject:
        """An empty object that no class describes."""
        self._change("POST", "objects", {"name": name, "colour": colour})
        return self.objects[-1]

    def change(self, object: RemoteObject | int, **changes: Any) -> None:
        """Rename, recolour, lock, hide, move: ``name``, ``colour``, ``locked``, ``visible``, ``position``."""
        self._change("PATCH", f"objects/{_ref(object)}", changes)

    def remove(self, object: RemoteObject | int) -> None:
        """Take an object away; undo brings it back."""
        self._change("DELETE", f"objects/{_ref(object)}")

    def undo(self) -> bool:
        """Take back the last change; False if there is none."""
        return self._step("undo")

    def redo(self) -> bool:
        """Take back the last undo; False if there is none."""
        return self._step("redo")

    def cancel(self) -> int:
        """Stop what runs and waits in this session; how many jobs. From another thread."""
        return int(self._transport.json("POST", f"{self._path}/cancel")["cancelled"])

    # --- results ------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Catch up with what others, or an interrupted request, have done to the session."""
        self._apply(self._transport.json("GET", f"{self._path}/changes", params={"since": self._revision}))

    def table(self) -> list[dict[str, Any]]:
        """Volume and HU of every structure of the label map."""
        return list(self._transport.json("GET", f"{self._path}/table")["rows"])

    def compare(self, other: "str | Path | RemoteSession") -> list[dict[str, Any]]:
        """Dice, volumes (ml) and 95 % Hausdorff distance (mm) of every structure, here (first) and in another
        segmentation of the scan (second): a file as for :meth:`start_from`, or a session."""
        if isinstance(other, RemoteSession):
            answer = self._transport.json("POST", f"{self._path}/comparison", params={"session": other.id})
        else:
            with Path(other).open("rb") as file:
                files = [("file", (Path(other).name, file))]
                answer = self._transport.json("POST", f"{self._path}/comparison", files=files)
        return list(answer["rows"])

    def save(self, path: str | Path, format: str | None = None) -> Path:
        """Write the label map, DICOM, surfaces, or all of the session (``.ovsession``).

        Args:
            path: the file. ``.stl`` has all surfaces in one file, ``.stl.zip`` a file for each.
            format: ``nii.gz``, ``seg.nrrd``, ``glb``, ``dicom-seg``, ``dicom-rtstruct``, ``dicom-sr``, ...; by default
                what the ending says (``.dcm``: ``dicom-seg``).

        Raises:
            OutputError: another ending, or it cannot be written there.
            ServiceError: the server refuses, such as DICOM of a scan that did not come as DICOM.
        """
        path = Path(path)
        ending = next((each for each in _ENDINGS if path.name.lower().endswith(f".{each}")), None)
        if ending is None:
            raise OutputError(
                f"{path}: written are {', '.join(f'.{each}' for each in _ENDINGS)}; use one of these endings"
            )
        wanted = format or ("dicom-seg" if ending == "dcm" else ending)
        if ending != ("dcm" if wanted.startswith("dicom-") else wanted):
            raise OutputError(f"{path}: {wanted} has another ending; leave out one of the two")
        content = self._transport.request("GET", f"{self._path}/export", params={"format": wanted}).content
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        return path

    def close(self) -> None:
        """Delete the session from the server."""
        self._transport.request("DELETE", self._path)

    # --- inside -------------------------------------------------------------------------------------------------

    @property
    def _path(self) -> str:
        return f"/api/v1/sessions/{self.id}"

    def _ask(self, path: str, content: dict[str, Any], progress: Report | None) -> None:
        if progress is None:
            self._change("POST", path, content)
            return
        job = self._transport.json("POST", f"{self._path}/{path}", json=content, params={"wait": False})
        self._follow(job, progress)
        self.refresh()

    def _follow(self, job: dict[str, Any], progress: Report) -> None:
        """Until a job has ended.

        Raises:
            ServiceError: it failed, or was cancelled.
        """
        while job["state"] in ("queued", "running"):
            time.sleep(_POLL_SECONDS)
            job = self._transport.json("GET", f"{self._path}/jobs/{job['id']}")
            if job["progress"] is not None:
                progress(Progress(**job["progress"]))
        if job["problem"] is not None:
            raise ServiceError(job["problem"]["detail"], code=job["problem"]["code"])

    def _step(self, direction: str) -> bool:
        try:
            self._change("POST", direction)
        except ServiceError as error:
            if error.code == f"nothing-to-{direction}":
                return False
            raise
        return True

    def _change(self, method: str, path: str, content: dict[str, Any] | None = None) -> None:
        self._apply(self._transport.json(method, f"{self._path}/{path}", json=content))

    def _apply(self, change: dict[str, Any]) -> None:
        if change["since"] > self._revision >= 0:  # somebody else has changed it in between
            self.refresh()
            self.warnings = list(change["warnings"])
            return
        self._info, self.warnings = change["session"], list(change["warnings"])
        self._revision = int(self._info["revision"])
        if change["labels"] is not None:
            (x, u), (y, v), (z, w) = change["labels"]["box"]
            raw = gzip.decompress(base64.b64decode(change["labels"]["data"]))
            values = np.frombuffer(raw, np.dtype(change["labels"]["dtype"]).newbyteorder("<"))
            self.labels[x:u, y:v, z:w] = values.reshape((u - x, v - y, w - z), order="F")


def _ref(which: ObjectRef) -> int | str:
    return which.id if isinstance(which, RemoteObject) else which
