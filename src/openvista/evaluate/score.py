"""Scores: one mask judged, all masks of a case, and their way through JSON and CSV."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.evaluate.labelled_scan import LabelledScan, Structure
from openvista.metrics.masks import DEFAULT_TOLERANCE_MM, Measures, measure_masks
from openvista.metrics.surface import Surface
from openvista.report.table import csv_text

CSV_COLUMNS = (
    *("case", "id", "name", "clicks", "dice", "nsd", "hd95_mm", "truth_ml", "predicted_ml"),
    *("volume_error_ml", "volume_error_percent", "seconds"),
)


@dataclass(frozen=True)
class Score(Measures):
    """One answer about one structure of one case.

    Attributes:
        class_id: id of the structure in the model.
        clicks: how many clicks it had; ``None`` for an answer without clicks.
        seconds: computing until this answer. Class prompts are answered together, so with protocol ``auto`` each
            structure carries the time of all; with clicks it is the time of this structure's clicks so far.
    """

    class_id: int
    clicks: int | None
    seconds: float


@dataclass(frozen=True)
class CaseRecord:
    """All scores of a case.

    Attributes:
        case: its name.
        seconds: computing altogether.
        peak_mb: highest resident memory of the process while computing, MB.
        gpu_peak_mb: highest memory on the GPU, MB; ``None`` without one.
        scores: one per structure and number of clicks.
    """

    case: str
    seconds: float
    peak_mb: float
    gpu_peak_mb: float | None
    scores: tuple[Score, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN becomes null."""
        plain: dict[str, Any] = without_nan(asdict(self))
        return plain

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "CaseRecord":
        """The record that :meth:`to_json` wrote.

        Raises:
            KeyError, TypeError: it is not one.
        """
        scores = tuple(Score(**_with_nan(score, Score)) for score in content["scores"])
        return cls(**{**_with_nan(content, cls), "scores": scores})


@dataclass(frozen=True)
class Scoring:
    """How masks are judged.

    Attributes:
        tolerance_mm: of NSD, where ``tolerances`` has none.
        tolerances: class id to tolerance in mm.
        surface: the definition of surface, see :mod:`openvista.metrics.surface`.
    """

    tolerance_mm: float
    tolerances: Mapping[int, float]
    surface: Surface = "elements"

    def score(
        self,
        labelled: LabelledScan,
        structure: Structure,
        predicted_XYZ: NDArray[np.bool_],
        clicks: int | None,
        seconds: float,
    ) -> Score:
        """Compare a mask on the whole scan with the truth, inside the structure's region."""
        measures = measure_masks(
            labelled.truth(structure),
            predicted_XYZ[structure.region.slices()],
            labelled.scan.grid,
            self.tolerances.get(structure.class_id, self.tolerance_mm),
            self.surface,
            structure.open_axis,
        )
        return Score(**asdict(measures), class_id=structure.class_id, clicks=clicks, seconds=seconds)


DEFAULT_SCORING = Scoring(DEFAULT_TOLERANCE_MM, {})


def scores_csv(records: Iterable[CaseRecord], names: Mapping[int, str]) -> str:
    """One row per score with a heading; four decimals; empty where a number cannot be said."""
    rows: list[Sequence[object]] = [CSV_COLUMNS]
    for record in records:
        for score in record.scores:
            clicks = "" if score.clicks is None else score.clicks
            numbers = [getattr(score, column) for column in CSV_COLUMNS[4:]]
            cells = ["" if math.isnan(number) else f"{number:.4f}" for number in numbers]
            rows.append([record.case, score.class_id, names[score.class_id], clicks, *cells])
    return csv_text(rows)


def without_nan(value: Any) -> Any:
    """The same nested values with null instead of NaN, which JSON lacks."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_nan(content: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """The fields of a dataclass; null becomes NaN where the field is a plain number."""
    return {
        spec.name: math.nan if content[spec.name] is None and spec.type is float else content[spec.name]
        for spec in fields(kind)
    }
