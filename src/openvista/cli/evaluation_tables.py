"""Results of evaluations as tables on the terminal."""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from rich.box import SIMPLE_HEAVY
from rich.console import Console
from rich.table import Table
from rich.text import Text

from openvista.evaluate.challenge import challenge_line, challenge_rows
from openvista.evaluate.compare import SCAN_MEANS, Comparison, p_text, title
from openvista.evaluate.report.results import Results
from openvista.evaluate.statistics import Summary


def print_summary(results: Results) -> None:
    """A row per structure, and the means over structures; a column per number of clicks where there are clicks."""
    info, summaries = results.info, results.summaries()
    heading = f"{info.datalist}, {info.split}, protocol {info.way}, profile {info.profile}"
    headings, cells = _click_cells(summaries, info.clicks) if info.clicks else _cells(summaries)
    by_structure: dict[int | None, Summary] = {row.class_id: row for row in summaries}
    rows = []
    for class_id, numbers in cells.items():
        name = info.row_name(class_id)
        scans = "" if class_id is None else str(by_structure[class_id].cases)
        rows.append([name, scans, *numbers])
    _print(heading, ["structure", "scans", *headings], rows)
    if info.protocol == "cvpr25" and (challenge := challenge_rows(results.records)):
        print(challenge_line(challenge))


def print_comparison(first: Results, second: Results, metric: str, rows: Sequence[Comparison]) -> None:
    """A row per structure, for all pairs and for the means of scans; of earlier numbers of clicks the last one only."""
    last = rows[-1].clicks_a, rows[-1].clicks_b
    cells = []
    for row in rows:
        if (row.clicks_a, row.clicks_b) == last or row.name == SCAN_MEANS:
            between = f"{row.low:+.3f} to {row.high:+.3f}" if isfinite(row.low) else ""
            clicks = "/".join("-" if n is None else str(n) for n in dict.fromkeys((row.clicks_a, row.clicks_b)))
            numbers = [_shown(row.mean_a), _shown(row.mean_b), f"{row.difference:+.3f}", between, p_text(row.p)]
            cells.append([row.name, *([clicks] if last != (None, None) else []), str(row.pairs), *numbers])
    headings = [*(["clicks"] if last != (None, None) else []), "pairs", "A", "B", "B - A", "95 %", "p"]
    _print(f"{metric}\nA: {title(first)}\nB: {title(second)}", ["structure", *headings], cells)


def _cells(summaries: Iterable[Summary]) -> tuple[list[str], dict[int | None, list[str]]]:
    cells = {}
    for row in summaries:
        dice, nsd, hd95 = (row.statistics[name] for name in ("dice", "nsd", "hd95_mm"))
        between = f"{dice.low:.2f}-{dice.high:.2f}" if isfinite(dice.low) else ""
        numbers = [_shown(dice.mean), between, _shown(dice.median), _shown(dice.worst), _shown(nsd.mean)]
        cells[row.class_id] = [*numbers, _shown(hd95.mean, 1), str(row.missed or "")]
    return ["Dice", "95 %", "median", "worst", "NSD", "HD95", "missed"], cells


def _click_cells(summaries: Iterable[Summary], clicks: Sequence[int]) -> tuple[list[str], dict[int | None, list[str]]]:
    cells: dict[int | None, list[str]] = {}
    for row in summaries:  # rising in clicks for each structure
        numbers = cells.setdefault(row.class_id, [])
        numbers.append(_shown(row.statistics["dice"].mean))
        if row.clicks == clicks[-1]:
            numbers += [_shown(row.statistics["nsd"].mean), _shown(row.statistics["hd95_mm"].mean, 1)]
    dice = [f"Dice@{count}" for count in clicks]
    return [*dice, f"NSD@{clicks[-1]}", f"HD95@{clicks[-1]}"], cells


def _print(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table whose last rows are totals; names on the left, numbers on the right."""
    look: dict[str, Any] = {"box": SIMPLE_HEAVY, "pad_edge": False, "padding": (0, 1, 0, 0)}  # fits 80 columns
    table = Table(title=title, title_justify="left", header_style="bold", **look)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", no_wrap=True)
    totals = ("mean over structures", "all pairs", "means of scans")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row), style="bold" if row[0] in totals else None)
    Console().print(table)


def _shown(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if isfinite(value) else "-"
