"""The table of structures as text: CSV for programs, a rich table for people. Nothing is printed here."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from openvista._version import __version__
from openvista.plausibility import in_words
from openvista.structures import StructureRow, StructureStatistics

if TYPE_CHECKING:
    from rich.table import Table

CSV_COLUMNS = ("id", "name", "voxels", "volume_ml", "mean_hu", "sd_hu", "touches_border", "unlikely")


def table_csv(rows: Sequence[StructureRow]) -> str:
    """The rows as CSV with a heading; volumes to 0.001 ml, HU to 0.1; empty where unknown, ``true``/``false``."""
    cells: list[Sequence[object]] = [CSV_COLUMNS]
    for row in rows:
        border = "true" if row.touches_border else "false"
        unlikely = ", ".join(row.unlikely)
        values = [f"{row.volume_ml:.3f}", _hu(row.mean_hu), _hu(row.sd_hu), border, unlikely]
        cells.append([row.id, row.name, row.voxels, *values])
    return csv_text(cells)


def statistics_csv(rows: Sequence[StructureStatistics]) -> str:
    """The statistics as CSV with a heading; a column per coordinate, numbers to 0.001, empty where unknown."""
    names = [field.name for field in dataclasses.fields(StructureStatistics)]
    axes = {"centroid_mm": ("r", "a", "s"), "first_voxel": ("x", "y", "z"), "last_voxel": ("x", "y", "z")}
    cells: list[list[object]] = [
        [f"{name}_{axis}" if axis else name for name in names for axis in axes.get(name, ("",))]
    ]
    for row in rows:
        values = [getattr(row, name) or (None,) * 3 if name in axes else (getattr(row, name),) for name in names]
        cells.append([_plain(value) for several in values for value in several])
    return csv_text(cells)


def statistics_json(rows: Sequence[StructureStatistics], provenance: Mapping[str, object]) -> str:
    """The statistics as JSON: ``model`` and ``weights_sha256``, and under ``structures`` an object each."""
    made_by = {key: provenance[key] for key in ("model", "weights_sha256") if isinstance(provenance.get(key), str)}
    content = {"version": __version__} | made_by | {"structures": [dataclasses.asdict(row) for row in rows]}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.3f}" if isinstance(value, float) else value


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV, whose lines end in a line feed alone; empty where a value is ``None``."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def rich_table(rows: Sequence[StructureRow], title: str | None = None) -> "Table":
    """The rows as a table for a terminal; structures without a voxel come last, dimmed."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("id", justify="right")
    table.add_column("structure")
    table.add_column("volume (ml)", justify="right")
    table.add_column("mean HU", justify="right")
    table.add_column("", justify="left")
    for row in sorted(rows, key=lambda row: (row.voxels == 0, row.id)):
        volume = f"{row.volume_ml:,.1f}" if row.voxels else ""
        cells = [str(row.id), row.name, volume, _hu(row.mean_hu), remark(row)]
        table.add_row(*(Text(cell) for cell in cells), style="dim" if row.voxels == 0 else None)
    return table


def remark(row: StructureRow) -> str:
    """What to know about a structure before its numbers are used, in plain text; empty if there is nothing."""
    unlikely = in_words(row.unlikely)
    if not row.voxels:
        return f"left out, {unlikely}" if unlikely else "not found"
    return "; ".join(filter(None, ("touches the border" if row.touches_border else "", unlikely)))


def _hu(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
