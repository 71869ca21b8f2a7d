"""Results of evaluations as tables on the terminal."""

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openvista.evaluate.compare import Comparison
    from openvista.evaluate.results import Results


def print_summary(results: "Results") -> None:
    """A row per structure and number of clicks, and the means over structures."""
    from rich.box import SIMPLE_HEAVY
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    info = results.info
    oracle = " (oracle: prompts from the truth)" if info.oracle else ""
    title = f"{info.datalist}, {info.split}, protocol {info.protocol}{oracle}, profile {info.profile}"
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAVY)
    summaries = results.summaries()
    left_out = {
        name for name, shown in (("clicks", info.clicks), ("missed", any(r.missed for r in summaries))) if not shown
    }
    headings = ("structure", "clicks", "scans", "missed", "Dice", "95 %", "median", "worst", "NSD", "HD95 mm")
    for heading in headings:
        if heading not in left_out:
            table.add_column(heading, justify="left" if heading == "structure" else "right", no_wrap=True)
    for row in summaries:
        dice, nsd, hd95 = (row.statistics[name] for name in ("dice", "nsd", "hd95_mm"))
        cells = {
            "structure": "mean over structures" if row.class_id is None else info.names[row.class_id],
            "clicks": str(row.clicks),
            "scans": str(row.cases),
            "missed": str(row.missed or ""),
            "Dice": _shown(dice.mean),
            "95 %": f"{dice.low:.2f}-{dice.high:.2f}" if isfinite(dice.low) else "",
            "median": _shown(dice.median),
            "worst": _shown(dice.worst),
            "NSD": _shown(nsd.mean),
            "HD95 mm": _shown(hd95.mean, 1),
        }
        shown = (Text(cell) for heading, cell in cells.items() if heading not in left_out)
        table.add_row(*shown, style="bold" if row.class_id is None else None)
    Console().print(table)


def print_comparison(first: "Results", second: "Results", metric: str, rows: "Sequence[Comparison]") -> None:
    """A row per structure, for all pairs and for the means of scans."""
    from rich.box import SIMPLE_HEAVY
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from openvista.evaluate.compare import p_text, title

    clicked = any(row.clicks_a is not None or row.clicks_b is not None for row in rows)
    table = Table(
        title=f"{metric}\nA: {title(first)}\nB: {title(second)}",
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAVY,
    )
    for heading in ("structure", *(["clicks"] if clicked else []), "pairs", "A", "B", "B minus A", "95 %", "p"):
        table.add_column(heading, justify="left" if heading == "structure" else "right")
    for row in rows:
        clicks = [str(row.clicks_a if row.clicks_a is not None else row.clicks_b)] if clicked else []
        between = f"{row.low:+.3f} to {row.high:+.3f}" if isfinite(row.low) else ""
        cells = [row.name, *clicks, str(row.pairs), _shown(row.mean_a), _shown(row.mean_b)]
        table.add_row(*(Text(cell) for cell in (*cells, f"{row.difference:+.3f}", between, p_text(row.p))))
    Console().print(table)


def _shown(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if isfinite(value) else "-"
