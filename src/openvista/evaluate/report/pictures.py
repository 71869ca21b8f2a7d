"""Pictures of the worst cases: kept while a run goes on, because masks are not."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openvista.evaluate.labelled_scan import LabelledScan
from openvista.evaluate.protocol import ScoredAnswer
from openvista.evaluate.score import CaseRecord, Score
from openvista.io import replacing

PER_STRUCTURE = 2
"""Pictures that each process keeps of a structure; the worst ones of all are therefore among them."""


@dataclass(frozen=True)
class Picture:
    """The picture of one score.

    Attributes:
        case: name of the case.
        score: what it shows.
        path: PNG file.
    """

    case: str
    score: Score
    path: Path


class WorstPictures:
    """Draws a score if it is among the worst of its structure so far, and drops the one it replaces.

    Only the last number of clicks is drawn.

    Args:
        folder: for the PNG files.
        clicks: the last number of clicks; ``None`` for protocols without.
        earlier: finished cases of this process, when a run goes on.
    """

    def __init__(self, folder: Path, clicks: int | None, earlier: Iterable[CaseRecord] = ()) -> None:
        self.folder, self.clicks = folder, clicks
        self._kept: dict[int, list[tuple[float, Path]]] = {}
        for picture in find_pictures(folder, earlier, clicks):
            self._kept.setdefault(picture.score.class_id, []).append((picture.score.dice, picture.path))

    def look(self, labelled: LabelledScan, answer: ScoredAnswer, score: Score) -> None:
        """Draw, if it is bad enough."""
        if math.isnan(score.dice) or score.clicks != self.clicks:
            return
        kept = self._kept.setdefault(score.class_id, [])
        if len(kept) >= PER_STRUCTURE and score.dice >= max(kept)[0]:
            return
        path = picture_path(self.folder, labelled.name, score.class_id)
        _draw(labelled, answer, path)
        kept.append((score.dice, path))
        kept.sort()
        for _, dropped in kept[PER_STRUCTURE:]:
            dropped.unlink(missing_ok=True)
        del kept[PER_STRUCTURE:]


def picture_path(folder: Path, case: str, class_id: int) -> Path:
    """Where the picture of a structure of a case lies."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", case)
    return folder / f"{class_id}-{safe}.png"


def find_pictures(folder: Path, records: Iterable[CaseRecord], clicks: int | None) -> list[Picture]:
    """The pictures that there are, worst first."""
    found = [
        Picture(record.case, score, picture_path(folder, record.case, score.class_id))
        for record in records
        for score in record.scores
        if score.clicks == clicks and not math.isnan(score.dice)
    ]
    return sorted((picture for picture in found if picture.path.is_file()), key=lambda picture: picture.score.dice)


def _draw(labelled: LabelledScan, answer: ScoredAnswer, path: Path) -> None:
    from openvista.report.outlines import compare_masks, png_bytes

    region = answer.structure.region.slices()
    truth = np.zeros(answer.mask_XYZ.shape, bool)
    truth[region] = labelled.truth(answer.structure)
    predicted = np.zeros_like(truth)
    predicted[region] = answer.mask_XYZ[region]
    image = compare_masks(labelled.scan.voxels, truth, predicted, labelled.scan.grid)
    with replacing(path) as temporary:
        temporary.write_bytes(png_bytes(image))
