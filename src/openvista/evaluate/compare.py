"""Two runs side by side, on what they have in common, with a paired test."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openvista.errors import InputError
from openvista.evaluate.report.page import after_clicks
from openvista.evaluate.report.results import Results, json_text
from openvista.evaluate.score import without_nan
from openvista.evaluate.statistics import LEVEL, METRICS, interval
from openvista.io.atomic import write_text
from openvista.report.html import definitions, number, page, section, table
from openvista.report.table import csv_text

ALL_PAIRS, SCAN_MEANS = "all pairs", "means of scans"
Pairs = dict[str, list[tuple[str, float, float]]]
"""Name of a structure to (case, value of A, value of B)."""
_MUST_AGREE = (
    *("datalist_sha256", "split", "only_in_slices", "tolerance_mm", "tolerances"),
    *("surface", "oracle", "habits"),
)
_MEANING = (
    "Only scans and structures that both runs scored are compared. The p value is that of the two-sided Wilcoxon "
    "signed-rank test on the differences; it is not corrected for the number of rows. Structures of one scan are not "
    f"independent of each other, so for a statement about the models read the row '{SCAN_MEANS}', where each scan "
    "counts once. Volume errors are compared by their size. A structure that a run missed has no HD95 and is left out "
    "there, so look at Dice as well."
)


@dataclass(frozen=True)
class Comparison:
    """One row: a structure, or all of them.

    Attributes:
        name: of the structure, or ``"all pairs"``, or ``"means of scans"``.
        clicks_a, clicks_b: numbers of clicks; ``None`` for answers without.
        pairs: values that both runs have.
        mean_a, mean_b: means over these.
        difference: mean of B minus A.
        low, high: bootstrap interval of the mean difference; NaN with fewer than two pairs.
        p: of the Wilcoxon signed-rank test, two-sided; NaN where no pair differs.
    """

    name: str
    clicks_a: int | None
    clicks_b: int | None
    pairs: int
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    p: float


def compare_results(a: Results, b: Results, metric: str = "dice", seed: int = 0) -> list[Comparison]:
    """Rows per structure, then all pairs and means of scans, for every number of clicks that both have.

    Where one run has clicks and the other none, the last number of clicks is compared.

    Raises:
        InputError: no such metric, or the runs have nothing in common.
    """
    if metric not in METRICS:
        raise InputError(f"no metric {metric!r}: there is {', '.join(METRICS)}")
    rows: list[Comparison] = []
    for clicks_a, clicks_b in _steps(a, b):
        pairs = _pairs(a, b, metric, clicks_a, clicks_b)
        everything = [pair for values in pairs.values() for pair in values]
        groups = [*sorted(pairs.items()), (ALL_PAIRS, everything), (SCAN_MEANS, _scan_means(everything))]
        rows += [_row(name, values, clicks_a, clicks_b, seed) for name, values in groups if values]
    if not rows:
        raise InputError("the runs have no scan and structure in common; compare two runs on one data list")
    return rows


def disagreements(a: Results, b: Results) -> list[str]:
    """What differs between the runs besides the models, so that their numbers mean different things."""
    mine, theirs = asdict(a.info), asdict(b.info)
    return [f"{key}: {mine[key]!r} and {theirs[key]!r}" for key in _MUST_AGREE if mine[key] != theirs[key]]


def signed_rank_p(differences: NDArray[np.float64]) -> float:
    """Two-sided p of the Wilcoxon signed-rank test; NaN when all differences are 0."""
    from scipy.stats import wilcoxon

    differing = differences[differences != 0]
    return float(wilcoxon(differing).pvalue) if len(differing) else math.nan


def write_comparison(folder: Path, a: Results, b: Results, metric: str, rows: Sequence[Comparison]) -> Path:
    """Write compare.csv, compare.json and compare.html; the last one's path.

    Raises:
        OutputError: the folder cannot be written.
    """
    plain = without_nan([asdict(row) for row in rows])
    runs = {"metric": metric, "a": asdict(a.info), "b": asdict(b.info), "differs": disagreements(a, b)}
    html = folder / "compare.html"
    write_text(folder / "compare.csv", csv_text([plain[0], *(row.values() for row in plain)]))
    write_text(folder / "compare.json", json_text({**runs, "rows": plain}))
    write_text(html, comparison_page(a, b, metric, rows))
    return html


def comparison_page(a: Results, b: Results, metric: str, rows: Sequence[Comparison]) -> str:
    """The comparison as one HTML page."""
    parts = [f"<h1>{escape(metric)}: A and B</h1>", definitions([("A", title(a)), ("B", title(b))])]
    parts += [f'<p class="banner">The runs differ in {escape(text)}.</p>' for text in disagreements(a, b)]
    digits = 3 if metric in ("dice", "nsd") else 1
    for clicks_a, clicks_b in dict.fromkeys((row.clicks_a, row.clicks_b) for row in rows):
        chosen = [row for row in rows if (row.clicks_a, row.clicks_b) == (clicks_a, clicks_b)]
        cells = [_cells(row, digits, METRICS[metric]) for row in chosen]
        headings = ["structure", "pairs", "A", "B", f"B minus A <small>{LEVEL:g} %</small>", "p"]
        parts.append(section(_clicks_title(clicks_a, clicks_b), table(headings, cells, total=True)))
    parts.append(f'<p class="faint">{_MEANING}</p>')
    return page(f"{metric}: {a.info.model} and {b.info.model}", "".join(parts))


def title(results: Results) -> str:
    """A run in one line."""
    info = results.info
    return f"{info.model} ({info.weights_sha256[:12]}), {info.way}, {info.datalist}, {info.split}"


def _clicks_title(clicks_a: int | None, clicks_b: int | None) -> str:
    first, second = after_clicks(clicks_a), after_clicks(clicks_b)
    if clicks_a == clicks_b:
        return first.strip().capitalize() or "Structures"
    return f"A{first or ' without clicks'}, B{second or ' without clicks'}"


def _cells(row: Comparison, digits: int, more_is_better: bool) -> list[str]:
    good = row.difference if more_is_better else -row.difference
    colour = "better" if good > 0 else "worse" if good < 0 else ""
    shown = f"{row.difference:+.{digits}f}"
    if math.isfinite(row.low):
        shown += f" <small>{row.low:+.{digits}f}…{row.high:+.{digits}f}</small>"
    means = [number(row.mean_a, digits), number(row.mean_b, digits)]
    return [escape(row.name), str(row.pairs), *means, f'<span class="{colour}">{shown}</span>', p_text(row.p)]


def p_text(p: float) -> str:
    """A p value as it is usually written."""
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _steps(a: Results, b: Results) -> list[tuple[int | None, int | None]]:
    if not a.info.clicks or not b.info.clicks:
        return [(a.info.last_clicks, b.info.last_clicks)]
    return [(clicks, clicks) for clicks in a.info.clicks if clicks in b.info.clicks]


def _pairs(a: Results, b: Results, metric: str, clicks_a: int | None, clicks_b: int | None) -> Pairs:
    """Values of both runs by the structure's name (ids may differ between models); NaN on either side is left out."""
    first, second = _values(a, metric, clicks_a), _values(b, metric, clicks_b)
    pairs: Pairs = {}
    for (case, name), value in first.items():
        other = second.get((case, name), math.nan)
        if math.isfinite(value) and math.isfinite(other):
            pairs.setdefault(name, []).append((case, value, other))
    return pairs


def _values(results: Results, metric: str, clicks: int | None) -> dict[tuple[str, str], float]:
    return {
        (record.case, results.info.names[score.class_id]): abs(getattr(score, metric))  # of an error, its size
        for record in results.records
        for score in record.scores
        if score.clicks == clicks
    }


def _scan_means(pairs: Sequence[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    by_case: dict[str, list[tuple[float, float]]] = {}
    for case, first, second in pairs:
        by_case.setdefault(case, []).append((first, second))
    means = {case: np.mean(values, axis=0) for case, values in by_case.items()}
    return [(case, float(first), float(second)) for case, (first, second) in means.items()]


def _row(
    name: str, pairs: Sequence[tuple[str, float, float]], clicks_a: int | None, clicks_b: int | None, seed: int
) -> Comparison:
    values = np.array([pair[1:] for pair in pairs])
    differences = values[:, 1] - values[:, 0]
    low, high = interval(differences, np.random.default_rng([seed, len(pairs)]))
    means = values.mean(axis=0)
    return Comparison(
        *(name, clicks_a, clicks_b, len(pairs), float(means[0]), float(means[1]), float(differences.mean())),
        *(low, high, signed_rank_p(differences)),
    )
