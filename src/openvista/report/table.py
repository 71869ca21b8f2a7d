"""The table of structures as text: CSV for programs, a rich table for people. Nothing is printed here."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from openvista.structures import StructureRow

if TYPE_CHECKING:
    from rich.table import Table

CSV_COLUMNS = ("id", "name", "voxels", "volume_ml", "mean_hu", "sd_hu", "touches_border")


def table_csv(rows: Sequence[StructureRow]) -> str:
    """The rows as CSV with a heading; volumes to 0.001 ml, HU to 0.1; empty where unknown, ``true``/``false``."""
    cells: list[Sequence[object]] = [CSV_COLUMNS]
    for row in rows:
        border = "true" if row.touches_border else "false"
        cells.append([row.id, row.name, row.voxels, f"{row.volume_ml:.3f}", _hu(row.mean_hu), _hu(row.sd_hu), border])
    return csv_text(cells)


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
        remark = "not found" if row.voxels == 0 else "touches the border" if row.touches_border else ""
        volume = f"{row.volume_ml:,.1f}" if row.voxels else ""
        cells = [str(row.id), row.name, volume, _hu(row.mean_hu), remark]
        table.add_row(*(Text(cell) for cell in cells), style="dim" if row.voxels == 0 else None)
    return table


def _hu(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
