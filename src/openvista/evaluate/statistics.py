"""From scores to statements: means with intervals, and whether two runs differ. Seeded, so always the same."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.evaluate.score import CaseRecord, Score

RESAMPLES = 2000
LEVEL = 95.0
"""Percent of the bootstrap's means that lie inside an interval (percentile interval)."""
METRICS: Mapping[str, bool] = {"dice": True, "nsd": True, "hd95_mm": False, "volume_error_percent": False}
"""What is summarised, and whether more is better."""


@dataclass(frozen=True)
class Statistic:
    """One measure over cases; NaN values are left out.

    Attributes:
        count: values that went in.
        mean, median: of them; NaN without values.
        low, high: bootstrap interval of the mean; NaN with fewer than two values.
        worst: the least good value (of signed values the one farthest from 0).
    """

    count: int
    mean: float
    median: float
    low: float
    high: float
    worst: float


NO_VALUES = Statistic(0, *[float("nan")] * 5)


@dataclass(frozen=True)
class Summary:
    """One structure after one number of clicks.

    Attributes:
        class_id: id of the structure; ``None`` for the mean over structures.
        clicks: ``None`` for answers without clicks.
        cases: cases that have the structure.
        missed: of these, cases in which nothing was found.
        false_ml: mean volume found in cases that lack the structure; NaN without such a case.
        statistics: by name of the measure.
    """

    class_id: int | None
    clicks: int | None
    cases: int
    missed: int
    false_ml: float
    statistics: Mapping[str, Statistic]


def summarise(records: Iterable[CaseRecord], seed: int = 0) -> list[Summary]:
    """A summary per structure and number of clicks, by id and then clicks; then the means over structures.

    The mean over structures gives each structure the same weight, whatever its number of cases. Its interval resamples
    whole cases, so that structures of one case stay together.
    """
    records = list(records)
    groups: dict[tuple[int, int | None], list[Score]] = {}
    for record in records:
        for score in record.scores:
            groups.setdefault((score.class_id, score.clicks), []).append(score)
    ordered = sorted(groups, key=lambda key: (key[0], key[1] or 0))
    rows = [_summary(class_id, clicks, groups[class_id, clicks], seed) for class_id, clicks in ordered]
    steps = sorted({clicks for _, clicks in ordered}, key=lambda clicks: clicks or 0)
    return rows + [_mean_over_structures(records, clicks, rows, seed) for clicks in steps]


def _summary(class_id: int, clicks: int | None, scores: Sequence[Score], seed: int) -> Summary:
    statistics = {}
    for index, metric in enumerate(METRICS):
        random = np.random.default_rng([seed, class_id, clicks or 0, index])
        statistics[metric] = statistic([getattr(score, metric) for score in scores], metric, random)
    made_up = [score.predicted_ml for score in scores if not score.truth_ml]
    return Summary(
        class_id,
        clicks,
        cases=sum(score.truth_ml > 0 for score in scores),
        missed=sum(score.truth_ml > 0 and not score.predicted_ml for score in scores),
        false_ml=float(np.mean(made_up)) if made_up else float("nan"),
        statistics=statistics,
    )


def statistic(values: Sequence[float], metric: str, random: np.random.Generator) -> Statistic:
    """Mean, median, interval and worst of the values that are numbers."""
    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        return NO_VALUES
    low, high = interval(known, random)
    worst = known.min() if METRICS[metric] else known[np.abs(known).argmax()]
    return Statistic(len(known), float(known.mean()), float(np.median(known)), low, high, float(worst))


def interval(values: NDArray[np.float64], random: np.random.Generator) -> tuple[float, float]:
    """Bootstrap percentile interval of a mean; NaN with fewer than two values."""
    if len(values) < 2:
        return float("nan"), float("nan")
    drawn = random.integers(len(values), size=(RESAMPLES, len(values)))
    return _inner(values[drawn].mean(axis=1))


def _inner(means: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.nanpercentile(means, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return float(low), float(high)


def _mean_over_structures(
    records: Sequence[CaseRecord], clicks: int | None, rows: Sequence[Summary], seed: int
) -> Summary:
    rows = [row for row in rows if row.clicks == clicks]
    statistics = {}
    for index, metric in enumerate(METRICS):
        means = [row.statistics[metric].mean for row in rows if row.statistics[metric].count]
        if not means:
            statistics[metric] = NO_VALUES
            continue
        random = np.random.default_rng([seed, 0, clicks or 0, index])
        low, high = _interval_over_cases(_table(records, clicks, metric), random)
        worst = min(means) if METRICS[metric] else max(means, key=abs)
        statistics[metric] = Statistic(
            len(means), float(np.mean(means)), float(np.median(means)), low, high, float(worst)
        )
    false = [row.false_ml for row in rows if np.isfinite(row.false_ml)]
    cases, missed = sum(row.cases for row in rows), sum(row.missed for row in rows)
    return Summary(None, clicks, cases, missed, float(np.mean(false)) if false else float("nan"), statistics)


def _table(records: Sequence[CaseRecord], clicks: int | None, metric: str) -> NDArray[np.float64]:
    """[cases, structures], NaN where there is no value."""
    ids = sorted({score.class_id for record in records for score in record.scores})
    table = np.full((len(records), len(ids)), np.nan)
    for row, record in enumerate(records):
        for score in record.scores:
            if score.clicks == clicks:
                table[row, ids.index(score.class_id)] = getattr(score, metric)
    return table


def _interval_over_cases(table: NDArray[np.float64], random: np.random.Generator) -> tuple[float, float]:
    """Interval of the mean over structures; structures without a case in a resample are left out of it."""
    if len(table) < 2:
        return float("nan"), float("nan")
    known, values = np.isfinite(table).astype(float), np.nan_to_num(table)
    times = random.multinomial(len(table), [1 / len(table)] * len(table), size=RESAMPLES)  # each case is drawn so often
    counts = times @ known
    means = np.divide(times @ values, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    present = np.isfinite(means)
    totals = present.sum(axis=1)
    sums = np.where(present, means, 0).sum(axis=1)
    return _inner(np.divide(sums, totals, out=np.full(len(totals), np.nan), where=totals > 0))
