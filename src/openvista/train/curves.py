"""The course of a run as a picture: loss and learning rate on one side, validation on the other."""

import csv
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openvista.errors import MissingExtraError
from openvista.io.atomic import replacing

logger = logging.getLogger(__name__)

_SMOOTHED = 50
"""The bold line of the loss is a mean over this share of the run's steps: 1/50."""


def draw_curves(folder: Path) -> None:
    """Write ``curves.png`` from ``train.csv`` and ``validation.csv``; without matplotlib nothing but a message."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        logger.info("no curves.png: %s", MissingExtraError("matplotlib", "report", "draw the curves of a run"))
        return
    figure = Figure(figsize=(11, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    columns, steps = _read(folder / "train.csv")
    if len(steps):
        loss = steps[:, columns.index("loss")]
        left.plot(steps[:, 0], loss, color="0.8", linewidth=0.7)
        left.plot(steps[:, 0], _smooth(loss), color="C0")
        rate = left.twinx()
        rate.plot(steps[:, 0], steps[:, columns.index("learning_rate")], color="C1", linewidth=0.8)
        rate.set_ylabel("learning rate", color="C1")
    left.set(xlabel="step", ylabel="loss")
    columns, scores = _read(folder / "validation.csv")
    for index, name in enumerate(columns[2:], start=2):
        if len(scores):
            right.plot(scores[:, 0], scores[:, index], label=name, linewidth=2.5 if name == "mean" else 0.9)
    right.set(xlabel="step", ylabel="validation Dice", ylim=(0, 1))
    if len(scores) and len(columns) <= 20:
        right.legend(fontsize=7)
    with replacing(folder / "curves.png") as partial:
        figure.savefig(partial, dpi=100)


def _read(table: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Names of the columns and the rows as numbers; rows of another length are left out."""
    if not table.exists():
        return [], np.zeros((0, 0))
    with table.open(newline="") as file:
        header, *rows = [*csv.reader(file)] or [[]]
    whole = [[float(cell) for cell in row] for row in rows if len(row) == len(header)]
    return header, np.array(whole).reshape(len(whole), len(header))


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    width = max(len(values) // _SMOOTHED, 1)
    total = np.cumsum(np.concatenate(([0.0], values)))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    return np.asarray((total[ends] - total[starts]) / (ends - starts))
