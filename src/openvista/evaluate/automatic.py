"""Protocol ``auto``: class prompts only (paper facts §7)."""

from collections.abc import Iterator

from openvista.evaluate.answers import Answer, Settings
from openvista.evaluate.labelled import LabelledScan
from openvista.evaluate.meter import Meter
from openvista.model import Model


def answer_automatically(model: Model, labelled: LabelledScan, settings: Settings, meter: Meter) -> Iterator[Answer]:
    """Every class of the data list is prompted in every case, whether or not it is there.

    A voxel belongs to one class, so where the data list has an organ and its tumour, the organ is scored without the
    tumour.
    """
    with meter.on():
        labels_XYZ = model.segment(labelled.scan, settings.class_ids, profile=settings.profile).labels
    for structure in labelled.structures:
        yield Answer(structure, labels_XYZ == structure.class_id, None, meter.seconds)
