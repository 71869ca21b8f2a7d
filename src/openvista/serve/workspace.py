"""A session in memory: the engine's session, its label map, and the words of the API for both.

Methods run in some thread, one at a time; :mod:`openvista.serve.sessions` sees to that.
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from isal import igzip
from numpy.typing import NDArray

from openvista.anatomy.colours import from_hex, to_hex
from openvista.errors import ServiceError
from openvista.geometry.box import Box
from openvista.inference.progress import Report
from openvista.model import Model
from openvista.plausibility import in_words
from openvista.prompts import Click
from openvista.scan import Scan, Segmentation
from openvista.serve import schemas
from openvista.serve.label_map import LabelMap
from openvista.session.answer import Answer
from openvista.session.session import Session
from openvista.session.state import ObjectState
from openvista.structures import StructureRow

ObjectRef = int | str
_GZIP_LEVEL = 1  # of what goes over the wire at once: labels shrink a hundredfold even so


class Workspace:
    """A session that is open.

    Args:
        model: what answers.
        scan: on what.
        profile: name of the inference choices of a new session.
        most_bytes: memory that all sessions together may take.
        file: a session file to go on with.

    Raises:
        SessionError: the file is damaged, or belongs to another scan or model.
    """

    def __init__(self, model: Model, scan: Scan, profile: str, most_bytes: int, file: Path | None = None) -> None:
        self._model = model
        self.session: Session = model.open(scan, file, profile=profile, feature_budget=most_bytes // 4)
        self.labels = LabelMap(self.session)
        self._most_bytes = most_bytes
        if file is not None:
            self.labels.update()

    # --- prompts ------------------------------------------------------------------------------------------------

    def segment(self, asked: schemas.AskClasses, progress: Report) -> list[str]:
        """Objects from the automatic branch; what the user should know."""
        classes = None if asked.classes == "all" else asked.classes
        found = self.session.segment(classes, progress)
        self._changed()
        items = [one.state for one in found]
        unlikely = self.session.open_scan.unlikely(items) or {}
        rows = [self._row(item, unlikely.get(item.id, ())) for item in items if item.inputs.class_id is not None]
        none_shown = self._model.region_warning([row.id for row in rows], rows)
        notes = [] if none_shown is None else [none_shown]
        for item in items if asked.drop_unlikely else ():
            if item.id in unlikely and not item.locked:
                self.session.remove(item.id)
                notes.append(f"{item.name} was left out ({in_words(unlikely[item.id])}); undo brings it back")
        self._changed()
        return notes

    def _row(self, item: ObjectState, unlikely: tuple[str, ...]) -> StructureRow:
        """An object as a structure of its class, measured by its own mask."""
        voxels = self.labels.voxels.get(item.id, 0)
        volume_ml = voxels * self.session.scan.grid.voxel_ml
        return StructureRow(item.inputs.class_id or 0, item.name, voxels, volume_ml, None, None, False, unlikely)

    def clicks(self, asked: schemas.AskClicks, progress: Report) -> list[str]:
        """Clicks on one object."""
        clicks = [Click(click.voxel, click.positive) for click in asked.clicks]
        answer = self.session.clicks(
            clicks, asked.object, grow=asked.grow, automatic=asked.automatic, progress=progress
        )
        return self._answered(answer)

    def click_on(self, which: int | None, clicks: Sequence[Click], grow: bool | None, progress: Report) -> list[str]:
        """Clicks, and what drawings became, on an object by its id, or on the unnamed one."""
        return self._answered(self.session.clicks(clicks, which, grow=grow, automatic=False, progress=progress))

    def box(self, asked: schemas.AskBox, progress: Report) -> list[str]:
        """A box, turned into clicks."""
        answer = self.session.box(asked.box, asked.object, asked.positive, grow=asked.grow, progress=progress)
        return self._answered(answer)

    def lasso(self, asked: schemas.AskLasso, progress: Report) -> list[str]:
        """A contour on a slice, turned into clicks."""
        contour = (asked.points, asked.axis, asked.slice)
        answer = self.session.lasso(contour, asked.object, asked.positive, grow=asked.grow, progress=progress)
        return self._answered(answer)

    def scribble(self, asked: schemas.AskScribble, progress: Report) -> list[str]:
        """A stroke, turned into clicks."""
        answer = self.session.scribble(asked.points, asked.object, asked.positive, grow=asked.grow, progress=progress)
        return self._answered(answer)

    def edit(self, asked: schemas.AskEdit) -> list[str]:
        """A change of a mask by hand."""
        edited = self.session.edit(asked.edit, asked.object)
        self._changed()
        return edited.notes

    def start_from(self, segmentation: Segmentation) -> list[str]:
        """Objects from a label map that somebody made."""
        self.session.start_from(segmentation)
        return self._changed()

    # --- objects and time ---------------------------------------------------------------------------------------

    def new_object(self, asked: schemas.NewObject) -> list[str]:
        """An empty object."""
        self.session.new_object(asked.name, None if asked.colour is None else from_hex(asked.colour))
        return self._changed()

    def change(self, which: ObjectRef, asked: schemas.ChangeObject) -> list[str]:
        """Rename, recolour, lock, hide, move."""
        self.session.change(
            which,
            name=asked.name,
            colour=None if asked.colour is None else from_hex(asked.colour),
            locked=asked.locked,
            visible=asked.visible,
        )
        if asked.position is not None:
            self.session.move(which, min(asked.position, len(self.session.objects) - 1))
        return self._changed()

    def remove(self, which: ObjectRef) -> list[str]:
        """Take an object away."""
        self.session.remove(which)
        return self._changed()

    def undo(self) -> list[str]:
        """Take back the last change."""
        if not self.session.undo():
            raise ServiceError("there is nothing to undo", status=409, code="nothing-to-undo")
        return self._changed()

    def redo(self) -> list[str]:
        """Take back the last undo."""
        if not self.session.redo():
            raise ServiceError("there is nothing to redo", status=409, code="nothing-to-redo")
        return self._changed()

    def _answered(self, answer: Answer) -> list[str]:
        self._changed()
        if not answer.clicks:
            detail = answer.notes[0] if answer.notes else "no click is usable"
            raise ServiceError(detail, status=422, code="prompt")
        return answer.notes

    def _changed(self) -> list[str]:
        self.labels.update()
        self.session.open_scan.limit_caches(self._most_bytes)
        return []

    # --- answers ------------------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """Grows with every change."""
        return self.session.revision

    def objects(self) -> list[schemas.ObjectInfo]:
        """All objects as the API shows them."""
        items = self.session.state.objects
        unlikely = self.session.open_scan.unlikely(items) or {}
        return [self._object(item, unlikely.get(item.id, ())) for item in items]

    def _object(self, item: ObjectState, unlikely: tuple[str, ...]) -> schemas.ObjectInfo:
        clicks = item.inputs.clicks
        return schemas.ObjectInfo(
            id=item.id,
            name=item.name,
            class_id=item.inputs.class_id,
            colour=to_hex(item.colour),
            locked=item.locked,
            visible=item.visible,
            voxels=self.labels.voxels.get(item.id, 0),
            clicks=[schemas.ClickInfo(**vars(click)) for click in clicks],
            edits=[edit.kind for edit in item.inputs.edits],
            unlikely=list(unlikely),
        )

    def label_box(self, since: int) -> schemas.LabelBox | None:
        """What may have changed after a revision, as it is now."""
        box = self.labels.since(since)
        return None if box is None else pack_box(self.labels.labels_XYZ, box)

    def object_mask(self, which: ObjectRef) -> Segmentation:
        """One object's own mask as 0 and 1, whatever lies over it."""
        item = self.session.object(which).state
        labels = self.session.mask(which).astype(np.uint8)
        return Segmentation(
            labels, self.session.scan.grid, {1: item.name}, {1: item.colour}, self.session.scan, {"object": item.name}
        )

    def table(self) -> list[schemas.Row]:
        """Volumes and HU of what the label map shows."""
        return [schemas.Row(**vars(row)) for row in self.session.segmentation().table()]

    def history(self) -> list[schemas.HistoryEvent]:
        """Everything that was asked, undone or not."""
        log = self.session.history
        return [
            schemas.HistoryEvent(
                revision=number,
                time=datetime.fromisoformat(event.time),
                kind=event.action,
                object=None if event.details.get("object") is None else str(event.details["object"]),
                prompt=dict(event.details),
                undone=log.is_undone(event),
            )
            for number, event in enumerate(log.events, start=1)
        ]

    # --- memory -------------------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.labels.nbytes + self.session.open_scan.nbytes

    def forget(self) -> None:
        """Give back memory that is only there to save time."""
        self.session.open_scan.forget()


def pack_box(labels_XYZ: NDArray[np.unsignedinteger], box: Box) -> schemas.LabelBox:
    """A box of a label map as the API sends it."""
    values = labels_XYZ[box.slices()]
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    data = igzip.compress(little.tobytes(order="F"), _GZIP_LEVEL, mtime=0)
    (x, y, z), (u, v, w) = box.start, box.stop
    return schemas.LabelBox(
        box=((x, u), (y, v), (z, w)),
        dtype="uint8" if values.itemsize == 1 else "uint16",
        data=base64.b64encode(data).decode("ascii"),
    )
