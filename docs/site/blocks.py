"""mkdocs hook: what a block needs becomes its title; a flow chart becomes a picture, so that no script draws it.

The words after a block's language are ours: ``sh needs a PACS`` says that the tests cannot run it (tests/page_blocks.py
reads that, too), and ``yaml kubernetes`` is a name for tests.
"""

import re

import mermaidx
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_CHART = re.compile(r"^```mermaid\n(?P<chart>.*?)^```", re.MULTILINE | re.DOTALL)
_HEAD = re.compile(r"^(?P<fence>`{3,}(?P<language>[a-z]+)) (?P<words>[a-zA-Z0-9 ,]+)$", re.MULTILINE)
_PLACEHOLDER = "@@chart-{}@@"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Draw the charts, and write the titles."""
    charts = [chart["chart"] for chart in _CHART.finditer(markdown)]
    page.meta["charts"] = [_drawn(chart, number) for number, chart in enumerate(charts)]
    numbers = iter(range(len(charts)))
    markdown = _CHART.sub(lambda _: _PLACEHOLDER.format(next(numbers)), markdown)
    return _HEAD.sub(_titled, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the charts where they belong."""
    for number, drawn in enumerate(page.meta.get("charts", [])):
        html = html.replace(f"<p>{_PLACEHOLDER.format(number)}</p>", f'<div class="chart">{drawn}</div>')
    return html


def _drawn(chart: str, number: int) -> str:
    """A chart as SVG, from top to bottom: a page is a column."""
    svg = mermaidx.render(re.sub(r"\bLR\b", "TD", chart, count=1), theme="neutral").svg()
    width = float(re.search(r'viewBox="\S+ \S+ (\S+)', svg)[1])  # type: ignore[index]
    return svg.replace("my-svg", f"chart-{number}").replace('width="100%"', f'width="{0.8 * width:.0f}"', 1)


def _titled(head: "re.Match[str]") -> str:
    return f'{head["fence"]} title="{head["words"]}"' if head["words"].startswith("needs ") else head["fence"]
