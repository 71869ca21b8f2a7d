"""Puts OpenVISTA among the effects of Slicer's Segment Editor."""

from pathlib import Path

import qSlicerSegmentationsEditorEffectsPythonQt as editor_effects
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest


class SegmentEditorOpenVISTA(ScriptedLoadableModule):
    """The module as Slicer lists it; it has no page of its own."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "OpenVISTA"
        parent.categories = ["Segmentation"]
        parent.dependencies = ["Segmentations"]
        parent.contributors = ["The OpenVISTA authors"]
        parent.hidden = True
        parent.helpText = "Segment CT by class name, by clicks and by boxes. Look for OpenVISTA in the Segment Editor."
        parent.acknowledgementText = "Apache License 2.0. The server says which model answers, and its licence."

    def registerEditorEffect(self):
        """Called by Slicer when it begins."""
        effect = editor_effects.qSlicerSegmentEditorScriptedEffect(None)
        source = Path(__file__).parent / "SegmentEditorOpenVISTALib" / "SegmentEditorEffect.py"
        effect.setPythonSource(source.as_posix())
        effect.self().register()


class SegmentEditorOpenVISTATest(ScriptedLoadableModuleTest):
    """For Slicer's own test run, which starts no server: the effect is there."""

    def runTest(self):
        import slicer

        names = slicer.qSlicerSegmentEditorEffectFactory.instance().registeredEffects()
        assert "OpenVISTA" in [effect.name for effect in names]
