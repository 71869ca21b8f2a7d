"""Drawings of the report, as SVG inside the page: no script, no file beside it."""

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite

from openvista.evaluate.statistics import Statistic

Point = tuple[int, Statistic]
_COLOURS = (
    *("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed"),
    *("#0891b2", "#65a30d", "#dc2626", "#92400e", "#4b5563"),
)
"""For up to ten structures; more are drawn faint and alike."""
_WIDTH, _HEIGHT = 720, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 16, 14, 40


def whisker(statistic: Statistic) -> str:
    """Mean (dot), interval of the mean (bar) and worst case (tick) on a scale from 0 to 1."""
    if not statistic.count:
        return ""
    parts = ['<svg class="whisker" viewBox="0 0 104 14" width="104" height="14" aria-hidden="true">']
    parts.append('<line x1="2" y1="7" x2="102" y2="7" class="scale"/>')
    if isfinite(statistic.low):
        start, end = 2 + 100 * statistic.low, 2 + 100 * statistic.high
        parts.append(f'<rect x="{start:.1f}" y="4" width="{max(end - start, 1):.1f}" height="6" class="interval"/>')
    if statistic.count > 1:
        worst = 2 + 100 * statistic.worst
        parts.append(f'<line x1="{worst:.1f}" y1="3" x2="{worst:.1f}" y2="11" class="worst"/>')
    parts.append(f'<circle cx="{2 + 100 * statistic.mean:.1f}" cy="7" r="3" class="mean"/></svg>')
    return "".join(parts)


def curves(lines: Mapping[str, Sequence[Point]], mean: Sequence[Point], label: str) -> str:
    """A measure from 0 to 1 over the number of clicks: one line per structure, their mean and its interval.

    Args:
        lines: name of a structure to (clicks, statistic), clicks rising.
        mean: the same for the mean over structures.
        label: of the vertical axis.
    """
    clicks = [count for count, _ in mean]
    parts = [f'<svg class="curves" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)} by clicks">']
    parts += _axes(clicks, label)
    coloured = len(lines) <= len(_COLOURS)
    for index, (name, points) in enumerate(sorted(lines.items())):
        style = f'stroke="{_COLOURS[index]}"' if coloured else 'stroke="currentColor" opacity="0.25"'
        dots = _dots(points, clicks, _COLOURS[index]) if coloured else ""
        parts.append(f'<g><title>{escape(name)}</title><polyline points="{_path(points, clicks)}" {style}/>{dots}</g>')
    parts.append(f'<polygon class="band" points="{_band(mean, clicks)}"/>')
    parts.append(f'<polyline class="mean-line" points="{_path(mean, clicks)}"/></svg>')
    return "".join(parts) + _legend(sorted(lines), coloured)


def _x(count: int, clicks: Sequence[int]) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (count - 0.5) / (max(clicks) - 0.5 + 0.25)


def _y(value: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value)


def _path(points: Sequence[Point], clicks: Sequence[int]) -> str:
    known = [(count, statistic.mean) for count, statistic in points if statistic.count]
    return " ".join(f"{_x(count, clicks):.1f},{_y(value):.1f}" for count, value in known)


def _band(points: Sequence[Point], clicks: Sequence[int]) -> str:
    known = [(count, statistic) for count, statistic in points if isfinite(statistic.low)]
    edge = [(count, statistic.low) for count, statistic in known]
    edge += [(count, statistic.high) for count, statistic in reversed(known)]
    return " ".join(f"{_x(count, clicks):.1f},{_y(value):.1f}" for count, value in edge)


def _dots(points: Sequence[Point], clicks: Sequence[int], colour: str) -> str:
    known = [(count, statistic.mean) for count, statistic in points if statistic.count]
    return "".join(
        f'<circle cx="{_x(count, clicks):.1f}" cy="{_y(value):.1f}" r="3" fill="{colour}"><title>'
        f"{count} clicks: {value:.3f}</title></circle>"
        for count, value in known
    )


def _axes(clicks: Sequence[int], label: str) -> list[str]:
    parts = []
    for step in range(6):
        value, height = step / 5, _y(step / 5)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{height:.1f}" x2="{_WIDTH - _RIGHT}" y2="{height:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{height + 4:.1f}" text-anchor="end">{value:.1f}</text>')
    for count in clicks:
        parts.append(f'<text x="{_x(count, clicks):.1f}" y="{_HEIGHT - 22}" text-anchor="middle">{count}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{_HEIGHT - 5}" text-anchor="middle">clicks</text>')
    parts.append(f'<text transform="rotate(-90 11 {_y(0.5):.0f})" x="11" y="{_y(0.5):.0f}" text-anchor="middle">')
    parts.append(f"mean {escape(label)}</text>")
    return parts


def _legend(names: Sequence[str], coloured: bool) -> str:
    entries = ['<span><i class="swatch-mean"></i>mean over structures, with its interval</span>']
    if coloured:
        entries += [
            f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
            for name, colour in zip(names, _COLOURS, strict=False)
        ]
    else:
        entries.append(f"<span>thin: {len(names)} structures; point at a line for its name</span>")
    return f'<p class="legend">{"".join(entries)}</p>'
