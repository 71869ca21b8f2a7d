"""Dice on the grid of the label files: a handler for MONAI's engines, and its table."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from openvista.bundle.processes import ranks_of
from openvista.errors import ScanError
from openvista.io import read_labels, replacing, scan_name
from openvista.metrics.masks import dice

RAW, MEANS = "val_mean_dice_raw.csv", "metrics.csv"


@dataclass
class DiceTable:
    """Dice of every case and label value, gathered from all processes when the engine is through: a handler for it.

    A value that a case has not is not scored there.

    Attributes:
        label_mappings: by name of a data set, pairs of label value and class id.
        save_dir: folder for a row per case (``RAW``) and the means (``MEANS``); ``None`` to write nothing.
        dataset: the name.
    """

    label_mappings: Mapping[str, Sequence[Sequence[int]]]
    save_dir: str | None = None
    dataset: str = "default"
    rows: dict[str, dict[int, float]] = field(default_factory=dict)

    @property
    def values(self) -> list[int]:
        """Label values, rising."""
        return sorted({int(value) for value, _ in self.label_mappings[self.dataset]})

    def attach(self, engine: Any) -> None:
        """Look at every result of a :class:`openvista.bundle.evaluator.BundleEvaluator`."""
        from ignite.engine import Events

        engine.add_event_handler(Events.STARTED, lambda _: self.rows.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._look)
        engine.at_the_end.append(self._finish)

    def _look(self, engine: Any) -> None:
        for item in engine.state.output:
            label = _file_of(item["label"])
            truth_XYZ, _ = read_labels(label, apart=True)
            predicted_XYZ = np.asarray(item["pred"][0])
            if truth_XYZ.shape != predicted_XYZ.shape:
                raise ScanError(f"{label} has shape {truth_XYZ.shape}, its image {predicted_XYZ.shape}")
            self.rows[scan_name(label)] = {
                value: dice(predicted_XYZ == value, truth_XYZ == value)
                for value in self.values
                if (truth_XYZ == value).any()
            }

    def _finish(self, engine: Any) -> None:
        ranks = ranks_of(engine.state.device)
        rows = {name: row for here in ranks.gathered(self.rows) for name, row in sorted(here.items())}
        scores = [score for row in rows.values() for score in row.values()]
        engine.state.metrics["val_mean_dice"] = float(np.mean(scores)) if scores else float("nan")
        if self.save_dir is not None and ranks.is_first:
            self._write(Path(self.save_dir), rows)

    def _write(self, folder: Path, rows: Mapping[str, Mapping[int, float]]) -> None:
        columns = {value: [row[value] for row in rows.values() if value in row] for value in self.values}
        with replacing(folder / RAW) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["filename", *(f"label {value}" for value in self.values), "mean"])
            for name, row in rows.items():
                cells = [_number(row.get(value)) for value in self.values]
                writer.writerow([name, *cells, _number(float(np.mean([*row.values()])) if row else None)])
        with replacing(folder / MEANS) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["metric", "mean", "cases"])
            for value, scores in columns.items():
                writer.writerow(
                    [f"dice label {value}", _number(float(np.mean(scores)) if scores else None), len(scores)]
                )


def _file_of(label: Any) -> Path:
    """Of the label: its path, or where MONAI has read it from."""
    return Path(str(label.meta["filename_or_obj"] if hasattr(label, "meta") else label))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
