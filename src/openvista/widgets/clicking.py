"""A session in a notebook: clicks on the planes, undo, and the objects as they are."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Protocol

import ipywidgets
from ipywidgets import HTML, Button, Combobox, HBox, Layout, ToggleButtons

from openvista.errors import OpenVistaError
from openvista.geometry.grid import Float3
from openvista.inference.progress import Progress
from openvista.scan import Scan, Segmentation
from openvista.session.answer import Answer
from openvista.session.handle import SessionObject
from openvista.session.open_scan import OpenScan
from openvista.widgets.viewer import Viewer

LOOK, ADD, TAKE_AWAY = "Look", "Click +", "Click −"
_STAGES = {"prepare": "preparing the scan", "encode": "window", "label": "labelling"}


class ClickSession(Protocol):
    """What is needed of a session."""

    scan: Scan
    open_scan: OpenScan

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """All objects."""

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""

    @property
    def can_redo(self) -> bool:
        """Whether there is something to redo."""

    def click(self, voxel: Sequence[float], object: str | None = None, positive: bool = True, **choices: Any) -> Answer:
        """One click."""

    def segment(self, classes: str | None = None, *, progress: Any = ...) -> list[SessionObject]:
        """Objects from the automatic branch."""

    def new_object(self, name: str) -> SessionObject:
        """An empty object."""

    def undo(self) -> bool:
        """Take back the last change."""

    def redo(self) -> bool:
        """Take back the last undo."""

    def segmentation(self) -> Segmentation:
        """One label map of all objects."""


class SessionViewer(Viewer):
    """What :meth:`openvista.Session.view` gives.

    Args:
        session: whose scan and objects are shown. It may be changed by other cells: then :meth:`refresh`.
        height: of the picture, in pixels.

    Attributes:
        session: the same.
        mode: what the mouse does on a plane: look, click + or click −.
        object: what clicks go to: the name of an object, or of a class, which makes an object; empty for the unnamed
            object.
        segment_button, new_button, undo_button, redo_button: do what the session's methods do.
        notes: what the last change came to, as HTML.
    """

    def __init__(self, session: ClickSession, height: int) -> None:
        self.session = session
        self.mode = ToggleButtons(options=[LOOK, ADD, TAKE_AWAY], style={"button_width": "70px"})
        self.object = Combobox(placeholder="object or class", continuous_update=False, layout=Layout(width="200px"))
        self.segment_button = self._button("Segment", "find the class; every class if none is named", self._segment)
        self.new_button = self._button("New object", "something that no class describes", self._new_object)
        self.undo_button = self._button("Undo", "take back the last change", self._undo)
        self.redo_button = self._button("Redo", "take back the last undo", self._redo)
        self.notes = HTML()
        super().__init__(session.scan, session.segmentation(), height)
        self.picture.on_click(self._clicked)
        self._offer()

    def refresh(self) -> None:
        """Show the session as it is now."""
        self.show(self.session.segmentation())
        self._offer()

    def click(self, place_mm: Float3, positive: bool = True) -> None:
        """What a click with the mouse does.

        Args:
            place_mm: RAS+.
            positive: the object is there; False: it is not.
        """
        wanted = self.object.value.strip() or None

        def ask() -> list[str]:
            answer = self.session.click(place_mm, wanted, positive, world=True, progress=self._tell)
            if answer.object_id is not None:
                self.object.value = answer.name
            return [*answer.notes] or [f"{answer.name}: {answer.seconds:.1f} s"]

        self._do(ask)

    def _tools(self) -> list[ipywidgets.Widget]:
        buttons = (self.segment_button, self.new_button, self.undo_button, self.redo_button)
        return [HBox([self.mode, self.object, *buttons], layout=Layout(flex_flow="row wrap")), self.notes]

    def _clicked(self) -> None:
        if self.mode.value != LOOK and self.place_mm is not None:
            self.click(self.place_mm, self.mode.value == ADD)

    def _segment(self) -> list[str]:
        found = self.session.segment(self.object.value.strip() or None, progress=self._tell)
        return [f"looked for {', '.join(item.name for item in found)}"]

    def _new_object(self) -> list[str]:
        self.object.value = self.session.new_object(self.object.value.strip() or "object").name
        return [f"{self.object.value}: click on it"]

    def _undo(self) -> list[str]:
        return [] if self.session.undo() else ["there is nothing to undo"]

    def _redo(self) -> list[str]:
        return [] if self.session.redo() else ["there is nothing to redo"]

    def _do(self, action: Callable[[], list[str]]) -> None:
        """Do something, show what came of it, and say what is to be said."""
        try:
            notes = action()
        except OpenVistaError as error:
            notes = [str(error)]
        else:
            self.refresh()
        self.notes.value = "<br>".join(map(escape, notes))

    def _tell(self, progress: Progress) -> None:
        self.notes.value = f"{_STAGES[progress.stage]} {progress.done}/{progress.total}"

    def _offer(self) -> None:
        """What can be named, and which buttons do something."""
        own = [item.name for item in self.session.objects]
        classes = [item.name for item in self.session.open_scan.model.vocabulary.classes()]
        self.object.options = list(dict.fromkeys(own + classes))
        self.undo_button.disabled, self.redo_button.disabled = not self.session.can_undo, not self.session.can_redo

    def _button(self, text: str, tooltip: str, action: Callable[[], list[str]]) -> Button:
        button = Button(description=text, tooltip=tooltip, layout=Layout(width="auto"))
        button.on_click(lambda _: self._do(action))
        return button
