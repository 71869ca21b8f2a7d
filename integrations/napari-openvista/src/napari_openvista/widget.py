"""The widget: choose who segments and what, click, draw, undo. :mod:`napari_openvista.controller` does the work."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.settings import get_plugin_settings
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_openvista.controller import Controller, Work
from napari_openvista.engine import Engine
from napari_openvista.planes import show_plane
from openvista.errors import OpenVistaError
from openvista.inference.progress import Progress, Report

PLUGIN = "napari-openvista"
STAGES = {"prepare": "preparing the scan", "encode": "looking at the scan", "label": "labelling"}


class Worker(QObject):
    """Does work in a thread of its own, one after the other, and tells the results in the thread of the viewer."""

    _told = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="openvista")
        self._told.connect(lambda call: call(), Qt.ConnectionType.QueuedConnection)

    def run(
        self, work: Work[Any], done: Callable[[Any], None], failed: Callable[[OpenVistaError], None], progress: Report
    ) -> None:
        """As :data:`napari_openvista.controller.Run`. What is not an error of ours is raised in the viewer's thread."""

        def finished(future: Future[Any]) -> None:
            def tell() -> None:
                try:
                    answer = future.result()
                except OpenVistaError as error:
                    failed(error)
                    return
                except Exception as error:
                    failed(OpenVistaError(f"unexpected: {error}"))
                    raise
                done(answer)

            self._told.emit(tell)

        report = self._later(progress)
        self._executor.submit(work, report).add_done_callback(finished)

    def end(self) -> None:
        """Begin nothing more."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _later(self, progress: Report) -> Report:
        return lambda step: self._told.emit(lambda: progress(step))


class OpenVistaWidget(QWidget):
    """The dock widget.

    Args:
        napari_viewer: the viewer that it is docked in; napari gives it.
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        # plugins get the viewer in a wrapper, whose layers are never the same object twice
        self.viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.worker = Worker(self)
        self.controller = Controller(self.viewer, self.worker.run)
        self._build()
        self.controller.changed.connect(self.refresh)
        self.controller.noted.connect(self._note)
        self.controller.progressed.connect(self._progress)
        for event in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            event.connect(self._list_scans)
        self._list_scans()
        self._list_models()
        self.refresh()

    # --- what it is made of -------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.scans, self.models, self.where = QComboBox(), QComboBox(), QComboBox()
        self.where.addItems(["this computer", "server"])
        self.where.currentIndexChanged.connect(self._list_models)
        self.models.currentIndexChanged.connect(self._list_classes)
        self.address = QLineEdit(get_plugin_settings(PLUGIN).server.address)
        self.token = QLineEdit(placeholderText="token, if the server has one", echoMode=QLineEdit.EchoMode.Password)
        for line in (self.address, self.token):
            line.editingFinished.connect(self._list_models)
        form = QFormLayout()
        self.form = form
        for name, widget in (
            ("Scan", self.scans),
            ("On", self.where),
            ("Server", self.address),
            ("", self.token),
            ("Model", self.models),
        ):
            form.addRow(name, widget)
        outer = QVBoxLayout(self)
        outer.addLayout(form)
        self._build_classes(outer)
        self._build_objects(outer)
        self._build_tools(outer)
        self.bar, self.message = QProgressBar(), QLabel(wordWrap=True)
        self.stop = self._button("Stop", self.controller.cancel, "stop what runs; nothing changes")
        outer.addLayout(_row(self.bar, self.stop))
        outer.addWidget(self.message)

    def _build_classes(self, outer: QVBoxLayout) -> None:
        self.search = QLineEdit(placeholderText="find a class", clearButtonEnabled=True)
        self.classes = QListWidget(selectionMode=QAbstractItemView.SelectionMode.ExtendedSelection)
        self.search.textChanged.connect(lambda _: self._filter())
        self.classes.itemSelectionChanged.connect(self._choose_class)
        self.segment = self._button("Segment", self._segment, "segment the selected classes")
        self.everything = self._button("Everything", lambda: self._ask(None), "segment all that the model knows")
        for part in (QLabel("Classes"), self.search, self.classes):
            outer.addWidget(part)
        outer.addLayout(_row(self.segment, self.everything))

    def _build_objects(self, outer: QVBoxLayout) -> None:
        self.objects = QListWidget()
        self.objects.itemClicked.connect(lambda item: self.controller.choose(item.data(Qt.ItemDataRole.UserRole)))
        self.new = self._button("New object…", self._new_object, "an object that is no class, to be clicked")
        self.start = self._button("From labels layer", self._start_from, "objects from the selected labels layer")
        for part in (QLabel("Objects: clicks, boxes and the brush change the selected one"), self.objects):
            outer.addWidget(part)
        outer.addLayout(_row(self.new, self.start))

    def _build_tools(self, outer: QVBoxLayout) -> None:
        self.signs = QButtonGroup(self)
        self.plus, self.minus = QPushButton("+ it is here"), QPushButton("− it is not")
        for positive, button in ((True, self.plus), (False, self.minus)):
            button.setCheckable(True)
            button.setToolTip("key X in the layer of clicks changes the sign")
            button.clicked.connect(lambda _, positive=positive: self._sign(positive))
            self.signs.addButton(button)
        self.tools = [
            self._button("Click", lambda: self._tool("clicks", "add"), "set points in the layer of clicks"),
            self._button("Box", lambda: self._tool("boxes", "add_rectangle"), "draw a box on a slice"),
            self._button("Paint", lambda: self._tool("labels", "paint"), "napari's brush, in the layer of labels"),
            self._button("Erase", lambda: self._tool("labels", "erase"), "napari's eraser"),
        ]
        self.undo = self._button("Undo", self.controller.undo, "take back the last prompt or stroke")
        self.redo = self._button("Redo", self.controller.redo, "take back the last undo")
        planes = [
            self._button(plane.capitalize(), lambda plane=plane: show_plane(self.viewer, plane), "")
            for plane in ("axial", "coronal", "sagittal")
        ]
        for row in ((self.plus, self.minus), self.tools, (self.undo, self.redo), planes):
            outer.addLayout(_row(*row))

    def _button(self, name: str, do: Callable[[], None], tip: str) -> QPushButton:
        button = QPushButton(name)
        button.setToolTip(tip)
        button.clicked.connect(lambda: self._guarded(do))
        return button

    # --- what users do ------------------------------------------------------------------------------------------

    def _guarded(self, do: Callable[[], None]) -> None:
        """A refusal is a line to read."""
        self.message.clear()
        try:
            do()
        except OpenVistaError as error:
            self._note(str(error))

    def _ask(self, classes: list[str] | None) -> None:
        self._begin()
        self.controller.segment(classes)

    def _segment(self) -> None:
        chosen = [item.text() for item in self.classes.selectedItems()]
        if not chosen:
            self._note("no class is selected: select one in the list")
            return
        self._ask(chosen)

    def _begin(self) -> None:
        """A session on the scan that is chosen, if there is none yet."""
        image = next((layer for layer in self.viewer.layers if layer.name == self.scans.currentText()), None)
        if not isinstance(image, Image):
            raise OpenVistaError("no scan is open: open a CT with napari's File menu")
        engine = self.engine()
        if self.controller.image is not image or self.controller.engine != engine:
            self.controller.engine = engine
            self.controller.open(image)

    def engine(self) -> Engine:
        """Who is chosen."""
        server, name = self.where.currentIndex() == 1, self.models.currentText()
        if not server:
            return Engine(name or "starter")
        return Engine(name, self.address.text().strip(), self.token.text() or None)

    def _new_object(self) -> None:
        name, given = QInputDialog.getText(self, "New object", "Name")
        if given:
            self.add_object(name)

    def add_object(self, name: str) -> None:
        """A new object with this name."""
        self._begin()
        self.controller.new_object(name)

    def _start_from(self) -> None:
        layer = self.viewer.layers.selection.active
        if not isinstance(layer, Labels) or layer is self.controller.labels:
            raise OpenVistaError("select the labels layer to start from in napari's list of layers")
        self._begin()
        self.controller.start_from(layer)

    def _choose_class(self) -> None:
        chosen = [item.text() for item in self.classes.selectedItems()]
        if len(chosen) == 1:
            there = [item.id for item in self.controller.items if item.name == chosen[0]]
            self.controller.choose(there[0] if there else chosen[0])

    def _sign(self, positive: bool) -> None:
        self.controller.choose(self.controller.object, positive)

    def _tool(self, layer: str, mode: str) -> None:
        self._begin()
        self._wanted_tool = (layer, mode)
        self._take_tool()

    _wanted_tool: tuple[str, str] | None = None

    def _take_tool(self) -> None:
        """Take up the tool that is wanted, once its layer is there."""
        if self._wanted_tool is None:
            return
        layer = getattr(self.controller, self._wanted_tool[0])
        if layer is not None:
            self.viewer.layers.selection.active = layer
            layer.mode = self._wanted_tool[1]
            self._wanted_tool = None

    # --- what is shown ------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show what the session is now."""
        controller = self.controller
        self._take_tool()
        self.objects.blockSignals(True)
        self.objects.clear()
        for item in reversed(controller.items):
            swatch = QPixmap(12, 12)
            swatch.fill(QColor(*item.colour))
            row = QListWidgetItem(QIcon(swatch), item.name)
            row.setData(Qt.ItemDataRole.UserRole, item.id)
            self.objects.addItem(row)
            if item.id == controller.object:
                self.objects.setCurrentItem(row)
        self.objects.blockSignals(False)
        (self.plus if controller.positive else self.minus).setChecked(True)
        busy = controller.waiting > 0
        self.undo.setEnabled(controller.can_undo)
        self.redo.setEnabled(controller.can_redo)
        self.stop.setEnabled(busy)
        self.bar.setRange(0, 0 if busy else 1)
        self.bar.setFormat("working" if busy else "")
        self.bar.setValue(0)

    def _progress(self, step: Progress) -> None:
        self.bar.setRange(0, step.total)
        self.bar.setValue(step.done)
        self.bar.setFormat(f"{STAGES.get(step.stage, step.stage)}: %v of %m")

    def _note(self, line: str) -> None:
        self.message.setText(line)

    def _list_scans(self) -> None:
        chosen = self.scans.currentText()
        self.scans.clear()
        images = (layer for layer in self.viewer.layers if isinstance(layer, Image) and layer.ndim == 3)
        self.scans.addItems([image.name for image in images])
        self.scans.setCurrentText(chosen)

    def _list_models(self) -> None:
        server = self.where.currentIndex() == 1
        for line in (self.address, self.token):
            self.form.setRowVisible(line, server)
        if server:
            get_plugin_settings(PLUGIN).server.address = self.address.text().strip()
        self._guarded(lambda: self._fill(self.models, self.engine_without_model().models(), self._list_classes))

    def engine_without_model(self) -> Engine:
        """Who is chosen, whatever the model."""
        return Engine(server=self.engine().server, token=self.engine().token)

    def _list_classes(self) -> None:
        self._guarded(lambda: self._fill(self.classes, self.engine().classes(), self._filter))

    def _fill(self, widget: QComboBox | QListWidget, names: list[str], then: Callable[[], None]) -> None:
        widget.blockSignals(True)
        widget.clear()
        widget.addItems(names)
        widget.blockSignals(False)
        then()

    def _filter(self) -> None:
        words = self.search.text().casefold().split()
        for row in range(self.classes.count()):
            item = self.classes.item(row)
            item.setHidden(not all(word in item.text().casefold() for word in words))

    def closeEvent(self, event: Any) -> None:
        """Leave nothing running."""
        self.controller.close()
        self.worker.end()
        super().closeEvent(event)


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
