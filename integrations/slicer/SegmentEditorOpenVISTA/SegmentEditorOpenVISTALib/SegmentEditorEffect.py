"""The effect: a class list, clicks and boxes, undo. What is computed is in ``served_scan.py``."""

import os
import tempfile
from pathlib import Path

import qt
import slicer
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect

UI = Path(__file__).parents[1] / "Resources/UI/SegmentEditorOpenVISTA.ui"
ICON = Path(__file__).parents[1] / "Resources/Icons/SegmentEditorOpenVISTA.png"


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    """Segments the source volume on a server."""

    def __init__(self, scriptedEffect):
        scriptedEffect.name = "OpenVISTA"
        scriptedEffect.perSegment = False
        scriptedEffect.requireSegments = False
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self.served = None
        self.volume_id = None
        self.box_begin = None

    def clone(self):
        import qSlicerSegmentationsEditorEffectsPythonQt as editor_effects

        cloned = editor_effects.qSlicerSegmentEditorScriptedEffect(None)
        cloned.setPythonSource(__file__.replace("\\", "/"))
        return cloned

    def icon(self):
        return qt.QIcon(str(ICON))

    def helpText(self):
        return (
            "Choose classes and press Segment; or name a segment and click on it in a slice, inside or (Shift) "
            "outside; or drag a box around it. Needs a server: <code>openvista serve</code>."
        )

    def setupOptionsFrame(self):
        widget = slicer.util.loadUI(str(UI))
        self.scriptedEffect.addOptionsWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        self.ui.urlLineEdit.text = qt.QSettings().value("OpenVISTA/url", "http://127.0.0.1:8000")
        self.ui.connectButton.clicked.connect(self.on_connect)
        self.ui.filterLineEdit.textChanged.connect(self.on_filter)
        self.ui.segmentButton.clicked.connect(self.on_segment)
        self.ui.undoButton.clicked.connect(self.on_undo)

    def deactivate(self):
        self.box_begin = None

    # --- what the user does -----------------------------------------------------------------------------------------

    def on_connect(self):
        """Install the client where it is missing, ask the server for its classes, send the volume."""
        self._install_client()
        from SegmentEditorOpenVISTALib.served_scan import ServedScan

        def connect():
            self.served = ServedScan(self.ui.urlLineEdit.text, self.ui.tokenLineEdit.text)
            self.volume_id = None
            self.ui.classListWidget.clear()
            self.ui.classListWidget.addItems(self.served.class_names())
            qt.QSettings().setValue("OpenVISTA/url", self.ui.urlLineEdit.text)
            return [f"connected: {self.served.about()}"]

        self._do(connect, sends_volume=False)

    def on_filter(self, text):
        for row in range(self.ui.classListWidget.count):
            item = self.ui.classListWidget.item(row)
            item.setHidden(text.lower() not in item.text().lower())

    def on_segment(self):
        names = [item.text() for item in self.ui.classListWidget.selectedItems()]
        if not names:
            self._say(["choose at least one class in the list"])
            return
        self._do(lambda: self.served.segment(names, self._progress))

    def on_undo(self):
        self._do(lambda: [] if self.served.undo() else ["there is nothing to undo"])

    def processInteractionEvents(self, callerInteractor, eventId, viewWidget):
        """A click, or a box that is dragged, in a slice."""
        if viewWidget.className() != "qMRMLSliceWidget" or self.served is None:
            return False
        place = self.xyToRas(callerInteractor.GetEventPosition(), viewWidget)
        name = self.ui.nameLineEdit.text.strip()
        if eventId == vtk.vtkCommand.LeftButtonPressEvent:
            if not name:
                self._say(["name the segment first, such as liver or lesion 1"])
            elif self.ui.boxRadioButton.checked:
                self.box_begin = place
            else:
                positive = self.ui.insideRadioButton.checked != bool(callerInteractor.GetShiftKey())
                self._do(lambda: self.served.click(place, name, positive))
            return True
        if eventId == vtk.vtkCommand.LeftButtonReleaseEvent and self.box_begin is not None:
            begin, self.box_begin = self.box_begin, None
            self._do(lambda: self.served.box(begin, place, name))
            return True
        return False

    # --- inside -----------------------------------------------------------------------------------------------------

    def _install_client(self):
        """Without PyTorch, which the client does not need."""
        try:
            import openvista.client  # noqa: F401
        except ImportError:
            slicer.util.pip_install("--no-deps openvista")
            slicer.util.pip_install("httpx pydantic filelock")  # what the client loads beside numpy

    def _do(self, work, sends_volume=True):
        """Work with the server, then show what it has; what goes wrong is one line."""
        from openvista.errors import OpenVistaError

        if self.served is None and sends_volume:
            self._say(["connect to a server first"])
            return
        with slicer.util.WaitCursor():
            try:
                said = self._send_volume() if sends_volume else []
                said = said + work()
                if sends_volume:
                    self._show()
            except OpenVistaError as error:
                said = [str(error)]
        self._say(said)

    def _send_volume(self):
        volume = self.scriptedEffect.parameterSetNode().GetSourceVolumeNode()
        if volume is None or volume.GetID() == self.volume_id:
            return []
        matrix = vtk.vtkMatrix4x4()
        volume.GetIJKToRASMatrix(matrix)
        affine = [[matrix.GetElement(row, column) for column in range(4)] for row in range(4)]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "volume.nii.gz"
            slicer.util.saveNode(volume, os.fspath(file))
            said = self.served.open(file, affine)
        self.volume_id = volume.GetID()
        return said

    def _show(self):
        """Make segments what the server says, and leave those alone that it does not know."""
        self.scriptedEffect.saveStateForUndo()
        node = self.scriptedEffect.parameterSetNode().GetSegmentationNode()
        volume = self.scriptedEffect.parameterSetNode().GetSourceVolumeNode()
        segmentation = node.GetSegmentation()
        shown = set()
        for one in self.served.segments():
            shown.add(one.name)
            segment_id = segmentation.GetSegmentIdBySegmentName(one.name)
            if not segment_id:
                segment_id = segmentation.AddEmptySegment("", one.name, one.colour)
                segment = segmentation.GetSegment(segment_id)
                segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), one.terminology)
                segment.SetTag("OpenVISTA", "1")
            slicer.util.updateSegmentBinaryLabelmapFromArray(one.mask_KJI.astype("uint8"), node, segment_id, volume)
        for segment_id in list(segmentation.GetSegmentIDs()):
            segment = segmentation.GetSegment(segment_id)
            if segment.HasTag("OpenVISTA") and segment.GetName() not in shown:
                segmentation.RemoveSegment(segment_id)

    def _progress(self, step):
        self.ui.messageLabel.text = f"{step.stage} {step.done} of {step.total}"
        slicer.app.processEvents()

    def _say(self, lines):
        self.ui.messageLabel.text = "\n".join(lines)
