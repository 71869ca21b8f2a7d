"""Protocol ``cvpr25`` on scans of a data list: the challenge's iterative protocol, all structures of a scan at once."""

from collections.abc import Mapping, Sequence

import numpy as np

from openvista.cvpr.evaluate import CLICKS, NSD_FROM_DICE, RANKED_BY, iterate, ranking_numbers
from openvista.cvpr.predict import Deadline, Predictor
from openvista.cvpr.request import Labels, Request
from openvista.evaluate.labelled_scan import LabelledScan, Structure
from openvista.evaluate.meter import Meter
from openvista.evaluate.protocol import Answers, ProtocolSettings, ScoredAnswer
from openvista.evaluate.score import CaseRecord
from openvista.geometry.box import Box
from openvista.model import Model
from openvista.report.table import csv_text
from openvista.simulate.challenge_user import MiddleBox, draw_box

Rows = Mapping[str, Mapping[str, float]]
"""Name of a scan to the four numbers the challenge ranked by."""


def run_challenge(model: Model, labelled: LabelledScan, settings: ProtocolSettings, meter: Meter) -> Answers:
    """A box for each structure from its truth, then rounds of one click per structure.

    The model is not told what the structures are. It computes as long as it takes, so that results do not depend on
    the machine; each run starts from nothing but its prompts and the previous label map.
    """
    there = [structure for structure in labelled.structures if labelled.truth(structure).any()]
    if not there:
        return
    truth_XYZ = np.zeros(labelled.labels_XYZ.shape, np.uint8)
    for value, structure in enumerate(there, start=1):
        truth_XYZ[structure.region.slices()][labelled.truth(structure)] = value
    boxes = tuple(_box(labelled, structure, settings) for structure in there)
    predictor = Predictor(model, settings.profile)

    def respond(request: Request) -> Labels:
        with meter.on():
            return predictor.answer(labelled.scan, request, Deadline(None))

    ids = tuple(range(1, len(there) + 1))
    regions = [Box.of_slices(structure.region.slices()[::-1]) for structure in there]
    for step in iterate(respond, truth_XYZ.transpose(2, 1, 0), ids, boxes, settings.clicks[-1], regions):
        if step.clicks in settings.clicks:
            labels_XYZ = step.labels_ZYX.transpose(2, 1, 0)
            for value, structure in zip(ids, there, strict=True):
                yield ScoredAnswer(structure, labels_XYZ == value, step.clicks, meter.seconds)


def _box(labelled: LabelledScan, structure: Structure, settings: ProtocolSettings) -> MiddleBox:
    """The structure's box in voxels of the whole array."""
    random = settings.random(labelled, structure.class_id)
    x, y, z = structure.region.start
    return draw_box(labelled.truth(structure).transpose(2, 1, 0), random).shifted((z, y, x))


def challenge_rows(records: Sequence[CaseRecord]) -> Rows:
    """The numbers of each scan; nothing for a scan without all five values.

    NSD counts as the run judged it; as in the challenge it is 0 where the mean Dice is not above 0.2.
    """
    rows = {}
    for record in records:
        dsc, nsd = [], []
        for count in range(1, CLICKS + 1):
            scores = [score for score in record.scores if score.clicks == count]
            if scores:
                dsc.append(float(np.mean([score.dice for score in scores])))
                nsd.append(float(np.mean([score.nsd for score in scores])) if dsc[-1] > NSD_FROM_DICE else 0.0)
        if len(dsc) == CLICKS:
            rows[record.case] = ranking_numbers(dsc, nsd)
    return rows


def challenge_csv(rows: Rows) -> str:
    """The rows, then their means."""
    listed = [*rows.items(), ("mean", _means(rows))] if rows else []
    cells = ([case, *(f"{numbers[column]:.4f}" for column in RANKED_BY)] for case, numbers in listed)
    return csv_text([["case", *RANKED_BY], *cells])


def challenge_line(rows: Rows) -> str:
    """The means in words."""
    mean = _means(rows)
    return (
        f"challenge: DSC AUC {mean['DSC_AUC']:.3f}, NSD AUC {mean['NSD_AUC']:.3f} (at most {CLICKS - 1}); "
        f"after {CLICKS} clicks DSC {mean['DSC_Final']:.3f}, NSD {mean['NSD_Final']:.3f}"
    )


def _means(rows: Rows) -> dict[str, float]:
    return {column: float(np.mean([numbers[column] for numbers in rows.values()])) for column in RANKED_BY}
