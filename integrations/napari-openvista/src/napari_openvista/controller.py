"""Between the layers of a viewer and a session: what users draw becomes prompts, what the session says is shown.

Needs no Qt: with :func:`run_here` it works on a ``ViewerModel`` in a script.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes
from napari.layers.base import ActionType
from numpy.typing import NDArray
from psygnal import Signal

from napari_openvista.drawn import apply_edits, drawn_edits, stroke_of
from napari_openvista.engine import Engine, EngineSession, Object, SessionItem
from napari_openvista.layers import names_and_colours, scan_of, segmentation_of
from napari_openvista.placing import KEY, Placing
from napari_openvista.planes import set_upright
from openvista.errors import OpenVistaError, PromptError
from openvista.inference.progress import Report

T = TypeVar("T")

Work = Callable[[Report], T]
Run = Callable[[Work[Any], Callable[[Any], None], Callable[[OpenVistaError], None], Report], None]
"""Does work, one at a time and in order; then tells the result or the error, in the thread of the viewer."""

POSITIVE, NEGATIVE = "#2bd158", "#ff3b30"
"""Colours of clicks: it is there, it is not."""
POINT_MM = 9.0


def run_here(
    work: Work[T], done: Callable[[T], None], failed: Callable[[OpenVistaError], None], progress: Report
) -> None:
    """Do it now; errors are the caller's, too."""
    try:
        answer = work(progress)
    except OpenVistaError as error:
        failed(error)
        raise
    done(answer)


@dataclass(frozen=True)
class Answered:
    """A session after a change.

    Attributes:
        labels_XYZ: its label map.
        items: its objects.
        notes: what the user should know.
        steps: changes that were made: so many have to be undone together.
        object: the one that the change was for.
    """

    labels_XYZ: NDArray[np.unsignedinteger]
    items: list[SessionItem]
    notes: tuple[str, ...] = ()
    steps: int = 0
    object: int | None = None


class Controller:
    """One session on one image layer of a viewer.

    Args:
        viewer: its layers.
        run: who does what takes time.

    Attributes:
        engine: who is asked from now on; a running session keeps its own.
        object: what clicks and boxes are on: id of an object, or a class.
        positive: whether they say that it is there.
        items: the objects of the session.
        changed: something is to be shown anew.
        noted: lines that the user should read.
        progressed: how far the work is.
    """

    changed = Signal()
    noted = Signal(str)
    progressed = Signal(object)

    def __init__(self, viewer: ViewerModel, run: Run = run_here) -> None:
        self.viewer, self.run = viewer, run
        self.engine = Engine()
        self.object: Object | None = None
        self.positive = True
        self.items: list[SessionItem] = []
        self.waiting = 0
        self.labels: Labels | None = None
        self.clicks: Points | None = None
        self.boxes: Shapes | None = None
        self._image: Image | None = None
        self._placing: Placing | None = None
        self._session: EngineSession | None = None
        viewer.dims.events.order.connect(lambda event: set_upright(viewer))
        self._shown_ZYX: NDArray[Any] | None = None
        self._done: list[int] = []
        self._undone: list[int] = []
        self._showing = False

    # --- the session --------------------------------------------------------------------------------------------

    def open(self, image: Image) -> None:
        """Begin a session on an image layer, with layers for labels, clicks and boxes. An earlier one is closed; its
        labels stay.

        Raises:
            ScanError, GridError: the layer is no scan.
        """
        scan, placing = scan_of(image), Placing.of_layer(image)
        self.close()
        self._image, self._placing = image, placing

        def work(progress: Report) -> Answered:
            self._session = self.engine.open(scan)
            return self._answered()

        self._submit(work)

    def close(self) -> None:
        """End the session. The labels layer stays, as an ordinary layer."""
        session, self._session = self._session, None
        for layer in (self.clicks, self.boxes):
            if layer is not None and layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        if self.labels is not None:
            self.labels.events.paint.disconnect(self._painted)
        self._image = self._placing = self.labels = self.clicks = self.boxes = None
        self.items, self._done, self._undone = [], [], []
        if session is not None:
            session.cancel()
            self._submit(lambda progress: session.close(), show=False)

    @property
    def image(self) -> Image | None:
        """The layer that the session is on, or will be in a moment."""
        return self._image

    def segment(self, classes: Sequence[str] | None) -> None:
        """Segment by name; ``None`` for everything that the model knows."""
        self._change(lambda session, progress: session.segment(classes, progress))

    def new_object(self, name: str) -> None:
        """A new object that no class describes; it is the one that is clicked on next."""

        def work(session: EngineSession, progress: Report) -> int:
            return session.new_object(name)

        self._change(work)

    def start_from(self, layer: Labels) -> None:
        """Objects from a labels layer, to be corrected.

        Raises:
            PromptError: it lies elsewhere than the scan.
        """
        segmentation = segmentation_of(layer)
        if self._placing is None or not segmentation.grid.matches(self._placing.grid):
            raise PromptError(f"layer {layer.name!r} does not lie on the voxels of the scan: choose another")
        self._change(lambda session, progress: session.start_from(segmentation))

    def click(self, voxel: Sequence[float], positive: bool | None = None) -> None:
        """A click on the chosen object, in voxels of the scan."""
        wanted, sign = self._wanted(), self.positive if positive is None else positive
        self._change(lambda session, progress: session.click(voxel, sign, wanted, progress), wanted)

    def box(self, box: Sequence[tuple[int, int]]) -> None:
        """A box around the chosen object, (first, stop) along X, Y, Z in voxels of the scan."""
        wanted, sign = self._wanted(), self.positive
        self._change(lambda session, progress: session.box(box, sign, wanted), wanted)

    def undo(self) -> None:
        """Take back the last prompt, or the last stroke of a brush."""
        if self._done:
            steps = self._done.pop()
            self._undone.append(steps)
            self._travel(lambda session: session.undo(), steps)

    def redo(self) -> None:
        """Take back the last undo."""
        if self._undone:
            steps = self._undone.pop()
            self._done.append(steps)
            self._travel(lambda session: session.redo(), steps)

    def cancel(self) -> None:
        """Stop what runs."""
        if self._session is not None:
            self._session.cancel()

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is something to redo."""
        return bool(self._undone)

    def choose(self, object: Object | None, positive: bool | None = None) -> None:
        """What the next clicks, boxes and strokes are on, and what they say."""
        self.object = object
        if positive is not None:
            self.positive = positive
        if self.clicks is not None:
            self.clicks.current_face_color = POSITIVE if self.positive else NEGATIVE
        if self.labels is not None and isinstance(object, int):
            self.labels.selected_label = object
        self.changed.emit()

    # --- work ---------------------------------------------------------------------------------------------------

    def _wanted(self) -> Object:
        if self.object is None:
            raise PromptError("nothing is chosen: choose an object or a class first")
        return self.object

    def _change(self, do: Callable[[EngineSession, Report], Any], wanted: Object | None = None) -> None:
        if self._placing is None:
            raise PromptError("there is no session: choose a scan first")

        def work(progress: Report) -> Answered | None:
            if self._session is None:  # it could not be begun, and the user knows why
                return None
            before = self._session.revision
            said = do(self._session, progress)
            steps = int(self._session.revision != before)
            notes, made = (said, None) if isinstance(said, list) else ([], said)
            return self._answered(notes, steps, made if made is not None else wanted)

        self._submit(work)

    def _travel(self, step: Callable[[EngineSession], bool], steps: int) -> None:
        def work(progress: Report) -> Answered:
            assert self._session is not None  # there is something to undo
            for _ in range(steps):
                step(self._session)
            return self._answered()

        self._submit(work)

    def _answered(self, notes: Sequence[str] = (), steps: int = 0, wanted: Object | None = None) -> Answered:
        assert self._session is not None
        items = self._session.items
        found = [item.id for item in items if wanted in (item.id, item.name)]
        return Answered(self._session.labels(), items, tuple(notes), steps, found[0] if found else None)

    def _submit(self, work: Work[Any], show: bool = True) -> None:
        def done(answer: Any) -> None:
            self.waiting -= 1
            if show and answer is not None and self._placing is not None:
                self._show(answer)
            self.changed.emit()

        def failed(error: OpenVistaError) -> None:
            self.waiting -= 1
            self.noted.emit(str(error))
            if self._session is None:
                self._image = self._placing = None
            elif self.clicks is not None:
                self._show_clicks()
            self.changed.emit()

        self.waiting += 1
        self.changed.emit()
        self.run(work, done, failed, self.progressed.emit)

    # --- what is shown ------------------------------------------------------------------------------------------

    def _show(self, answer: Answered) -> None:
        self.items = answer.items
        if answer.steps:
            self._done.append(answer.steps)
            self._undone.clear()
        if answer.object is not None:
            self.object = answer.object
        elif isinstance(self.object, int) and self.object not in {item.id for item in self.items}:
            self.object = None
        self._add_missing_layers(answer)
        if not self.waiting:  # else strokes that the session does not know yet would go
            self._show_labels(answer)
        self._show_clicks()
        self.choose(self.object)
        for note in answer.notes:
            self.noted.emit(note)

    def _add_missing_layers(self, answer: Answered) -> None:
        """Layers that are new, or that somebody has removed."""
        image, placing = self._image, self._placing
        assert image is not None
        assert placing is not None
        choices = {name: getattr(image, name) for name in ("scale", "translate", "rotate", "shear", "affine", "units")}
        choices["metadata"] = {KEY: dict(image.metadata.get(KEY, {}))}
        if self.labels is None or self.labels not in self.viewer.layers:
            data = placing.to_layer(answer.labels_XYZ).astype(np.uint16)  # any id may be painted
            self.labels = self.viewer.add_labels(data, name=f"{image.name} labels", **choices)
            self._shown_ZYX = data.copy()
            self.labels.events.paint.connect(self._painted)
            # napari's own undo would put back voxels of which the session knows nothing
            self.labels.bind_key("Control-Z", lambda layer: self.undo(), overwrite=True)
            self.labels.bind_key("Control-Shift-Z", lambda layer: self.redo(), overwrite=True)
        if self.boxes is None or self.boxes not in self.viewer.layers:
            look = {"name": "boxes", "ndim": 3, "edge_color": POSITIVE, "face_color": "transparent", "edge_width": 1}
            self.boxes = self.viewer.add_shapes(None, **look | choices)
            self.boxes.events.data.connect(self._boxed)
        if self.clicks is None or self.clicks not in self.viewer.layers:
            size = POINT_MM / float(np.mean(image.scale))
            self.clicks = self.viewer.add_points(None, name="clicks", ndim=3, size=size, **choices)
            self.clicks.events.data.connect(self._clicked)
            self.clicks.bind_key("x", lambda layer: self.choose(self.object, not self.positive), overwrite=True)

    def _show_labels(self, answer: Answered) -> None:
        assert self.labels is not None
        assert self._placing is not None
        names = {item.id: item.name for item in self.items}
        colours = {item.id: item.colour for item in self.items}
        for name, value in names_and_colours(names, colours).items():
            setattr(self.labels, name, value)
        data = self._placing.to_layer(answer.labels_XYZ).astype(np.uint16)
        self._shown_ZYX = data
        if not np.array_equal(data, self.labels.data):
            self.labels.data = data.copy()

    def _show_clicks(self) -> None:
        """The clicks of all objects, and no box."""
        assert self.clicks is not None
        assert self.boxes is not None
        assert self._placing is not None
        listed = [(voxel, positive, item.name) for item in self.items for voxel, positive in item.clicks]
        self._showing = True
        try:
            self.boxes.data = []
            self.clicks.data = self._placing.layer_places(np.array([voxel for voxel, _, _ in listed]))
            self.clicks.features = {"object": [name for _, _, name in listed]}
            if listed:
                self.clicks.face_color = [POSITIVE if positive else NEGATIVE for _, positive, _ in listed]
            self.clicks.selected_data = set()
        finally:
            self._showing = False

    # --- what users draw ----------------------------------------------------------------------------------------

    def _clicked(self, event: Any) -> None:
        if self._showing or self.clicks is None or self._placing is None:
            return
        if event.action == ActionType.ADDED and self._chosen():
            for voxel in self._placing.voxels(self.clicks.data[list(event.data_indices)]).tolist():
                self.click(voxel)
        elif event.action in (ActionType.REMOVED, ActionType.CHANGED):
            self.noted.emit("clicks are taken back by undo: a moved or deleted point changes nothing")
            self._show_clicks()

    def _boxed(self, event: Any) -> None:
        if self._showing or event.action != ActionType.ADDED or self.boxes is None or self._placing is None:
            return
        corners = np.floor(self._placing.voxels(self.boxes.data[-1]) + 0.5).astype(int)
        low = np.maximum(corners.min(axis=0), 0)
        stop = np.minimum(corners.max(axis=0) + 1, self._placing.grid.shape)
        if not self._chosen():
            return
        if (low < stop).all():
            self.box(list(zip(low.tolist(), stop.tolist(), strict=True)))
        else:
            self.noted.emit("the box lies outside the scan")
            self._show_clicks()

    def _painted(self, event: Any) -> None:
        """A stroke of napari's brush, eraser, bucket or polygon becomes edits of the objects that it changes."""
        if self.labels is None or self._placing is None or self._shown_ZYX is None:
            return
        stroke = stroke_of(event.value, np.asarray(self.labels.data))
        known_ZYX, drawn_ZYX = self._shown_ZYX[stroke.slices], stroke.values_XYZ
        start = self._placing.start_in_scan(stroke.start, drawn_ZYX.shape)
        edits = drawn_edits(start, self._placing.to_scan(known_ZYX), self._placing.to_scan(drawn_ZYX))
        known_ZYX[...] = drawn_ZYX
        named = self.object if isinstance(self.object, str) else None

        def work(progress: Report) -> Answered | None:
            return None if self._session is None else self._answered(*apply_edits(self._session, edits, named))

        if edits:
            self._submit(work)

    def _chosen(self) -> bool:
        """Whether something is chosen that can be drawn on; if not, what was drawn goes, and the user reads why."""
        if self.object is None:
            self.noted.emit("nothing is chosen: choose an object or a class first")
            self._show_clicks()
        return self.object is not None
