"""The table as CSV and for a terminal."""

import csv
import io

from rich.console import Console

from openvista.report.table import CSV_COLUMNS, rich_table, table_csv
from openvista.structures import StructureRow

ROWS = [
    StructureRow(1, 'liver, "left"', 1000, 1234.5678, 44.449, 12.0, True),
    StructureRow(7, "aorta", 0, 0.0, None, None, False),
    StructureRow(20, "[bold]lung", 5, 0.01, -800.0, 3.25, False, ("volume", "HU")),
    StructureRow(21, "larynx", 0, 0.0, None, None, False, ("place",)),
]


def test_csv_is_read_back_by_the_csv_module() -> None:
    rows = list(csv.DictReader(io.StringIO(table_csv(ROWS))))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert rows[0] == dict(
        zip(CSV_COLUMNS, ["1", 'liver, "left"', "1000", "1234.568", "44.4", "12.0", "true", ""], strict=True)
    )
    assert (rows[1]["mean_hu"], rows[1]["touches_border"]) == ("", "false")
    assert [row["id"] for row in rows] == ["1", "7", "20", "21"]
    assert rows[2]["unlikely"] == "volume, HU"


def test_csv_of_nothing_is_the_heading() -> None:
    assert table_csv([]) == ",".join(CSV_COLUMNS) + "\n"


def test_terminal_table_puts_the_missing_last_and_takes_names_literally() -> None:
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(rich_table(ROWS, "case"))
    lines = console.export_text().splitlines()
    (liver,) = [line for line in lines if "liver" in line]
    assert "1,234.6" in liver
    assert "44.4" in liver
    assert "touches the border" in liver
    places = [next(n for n, line in enumerate(lines) if word in line) for word in ("liver", "[bold]lung", "aorta")]
    assert places == sorted(places)
    assert "not found" in lines[places[2]]
    assert "unlikely: volume, HU" in lines[places[1]]
    assert "left out, unlikely: place" in next(line for line in lines if "larynx" in line)
