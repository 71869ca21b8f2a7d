"""Parts of a report that is one HTML page and needs nothing beside it."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from math import isfinite
from pathlib import Path

NONE = "–"
"""What stands where a number cannot be said."""


def page(title: str, body: str) -> str:
    """A page of the report around its body."""
    style = resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>\n{style}</style></head>'
        f"<body>{body}</body></html>\n"
    )


def section(heading: str, content: str) -> str:
    """A part of a page under its heading."""
    return f"<h2>{escape(heading)}</h2>{content}"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], total: bool = False) -> str:
    """An HTML table; cells are HTML, the first column is aligned left; ``total``: the last row is one."""
    head = "".join(f"<th{' class=left' if index == 0 else ''}>{heading}</th>" for index, heading in enumerate(headings))
    body = []
    rows = list(rows)
    for number, row in enumerate(rows):
        kind = " class=total" if total and number == len(rows) - 1 else ""
        cells = "".join(f"<td{' class=left' if index == 0 else ''}>{cell}</td>" for index, cell in enumerate(row))
        body.append(f"<tr{kind}>{cells}</tr>")
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Terms with plain text beside them."""
    return f"<dl>{''.join(f'<dt>{escape(term)}</dt><dd>{escape(text)}</dd>' for term, text in pairs)}</dl>"


def number(value: float, digits: int = 3) -> str:
    """A number, or a dash where it cannot be said."""
    return f"{value:.{digits}f}" if isfinite(value) else NONE


def tiles(values: Iterable[tuple[str, str]]) -> str:
    """Large numbers, each (HTML) with what it is (text)."""
    boxes = "".join(f'<div class="tile"><b>{value}</b><span>{escape(what)}</span></div>' for value, what in values)
    return f'<div class="tiles">{boxes}</div>'


def figure(png: Path, title: str, text: str) -> str:
    """A picture inside the page, with its title and a line below."""
    data = base64.b64encode(png.read_bytes()).decode()
    return (
        f'<figure><img alt="{escape(title)}" src="data:image/png;base64,{data}">'
        f"<figcaption><b>{escape(title)}</b><br>{escape(text)}</figcaption></figure>"
    )
