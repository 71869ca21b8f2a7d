"""The report as one HTML page that needs nothing beside it: tables, curves, pictures, and how it was made."""

from collections.abc import Sequence
from html import escape
from math import isfinite

import numpy as np

from openvista.evaluate.report.charts import curves, whisker
from openvista.evaluate.report.pictures import Picture
from openvista.evaluate.run_folder import RunInfo
from openvista.evaluate.score import CaseRecord
from openvista.evaluate.statistics import LEVEL, RESAMPLES, Statistic, Summary
from openvista.report.html import NONE, definitions, figure, number, page, section, table, tiles

_MOST_PICTURES = 24
_SURFACES = {
    "elements": "surface elements weighted by their area (DeepMind's definition)",
    "voxels": "border voxels, each counting one (MONAI's definition)",
}
_ORACLE = (
    "Oracle: prompts were taken from the truth in a way no user could give them. "
    "These numbers are an upper bound, not what to expect in use."
)


def report_page(
    info: RunInfo,
    records: Sequence[CaseRecord],
    summaries: Sequence[Summary],
    about_protocol: str,
    pictures: Sequence[Picture] = (),
) -> str:
    """The whole page.

    Args:
        info: of the run.
        records: of its cases.
        summaries: from :func:`openvista.evaluate.statistics.summarise`.
        about_protocol: one line.
        pictures: worst first.
    """
    rows = [row for row in summaries if row.clicks == info.last_clicks]
    parts = [_header(info, about_protocol), _tiles(info, records, rows)]
    parts.append(section(f"Structures{after_clicks(info.last_clicks)}", structure_table(info, rows)))
    if info.clicks:
        parts.append(_click_section(info, summaries))
    parts += [_picture_section(info, pictures[:_MOST_PICTURES]), _case_section(records), _origin_section(info)]
    return page(f"{info.model}, {info.protocol}: {info.datalist}", "".join(parts))


def with_interval(statistic: Statistic, digits: int = 3) -> str:
    """Mean and interval, as HTML."""
    if not isfinite(statistic.low):
        return number(statistic.mean, digits)
    return f"{number(statistic.mean, digits)} <small>{statistic.low:.{digits}f}…{statistic.high:.{digits}f}</small>"


def after_clicks(clicks: int | None) -> str:
    """The number of clicks in words; nothing for answers without clicks."""
    return "" if clicks is None else f" after {clicks} click{'s' if clicks > 1 else ''}"


def structure_table(info: RunInfo, rows: Sequence[Summary]) -> str:
    """One row per structure, then the mean over structures."""
    headings = ["structure", "cases", "missed", "Dice", "", "median", "worst", "NSD", "HD95 mm", "volume error %"]
    return table([*headings, "false ml"], (_structure_row(info, row) for row in rows), total=True)


def _structure_row(info: RunInfo, row: Summary) -> list[str]:
    dice, nsd, hd95, volume = (row.statistics[name] for name in ("dice", "nsd", "hd95_mm", "volume_error_percent"))
    return [
        escape(info.row_name(row.class_id)),
        "" if row.class_id is None else str(row.cases),
        str(row.missed or NONE),
        with_interval(dice),
        whisker(dice),
        number(dice.median),
        number(dice.worst),
        with_interval(nsd),
        with_interval(hd95, 1),
        number(volume.mean, 1),
        number(row.false_ml, 2),
    ]


def _scans(count: int) -> str:
    return f"{count} scan{'' if count == 1 else 's'}"


def _header(info: RunInfo, about_protocol: str) -> str:
    title = f"<h1>{escape(info.model)}, protocol {escape(info.protocol)}</h1>"
    what = f"{about_protocol}. Data list {info.datalist}, {info.split}, {_scans(len(info.cases))}; {info.started}"
    banner = f'<p class="banner">{_ORACLE}</p>' if info.oracle else ""
    habits = f'<p class="banner">Habits of the paper switched on: {escape(", ".join(info.habits))}.</p>'
    return f'{title}<p class="faint">{escape(what)}</p>{banner}{habits if info.habits else ""}'


def _tiles(info: RunInfo, records: Sequence[CaseRecord], rows: Sequence[Summary]) -> str:
    mean = rows[-1].statistics if rows else None
    values = []
    if mean is not None:
        values.append((with_interval(mean["dice"]), f"mean Dice over structures{after_clicks(info.last_clicks)}"))
        values.append((with_interval(mean["nsd"]), "mean NSD over structures"))
        values.append((with_interval(mean["hd95_mm"], 1), "mean HD95 in mm"))
    if records:
        values.append((f"{np.median([record.seconds for record in records]):.1f} s", "computing per scan, median"))
        values.append((f"{max(record.peak_mb for record in records) / 1000:.2f} GB", "peak memory of the process"))
    if gpu := [record.gpu_peak_mb for record in records if record.gpu_peak_mb is not None]:
        values.append((f"{max(gpu) / 1000:.2f} GB", "peak memory on the GPU"))
    return tiles(values)


def _click_section(info: RunInfo, summaries: Sequence[Summary]) -> str:
    parts = []
    for metric, label in (("dice", "Dice"), ("nsd", "NSD")):
        lines = {
            info.names[class_id]: [
                (row.clicks, row.statistics[metric])
                for row in summaries
                if row.class_id == class_id and row.clicks is not None
            ]
            for class_id in sorted({row.class_id for row in summaries if row.class_id is not None})
        }
        mean = [(row.clicks, row.statistics[metric]) for row in summaries if row.class_id is None and row.clicks]
        parts.append(curves(lines, mean, label))
    digits = {"dice": 3, "nsd": 3, "hd95_mm": 1}
    rows = [
        [str(row.clicks), *(with_interval(row.statistics[name], count) for name, count in digits.items())]
        for row in summaries
        if row.class_id is None
    ]
    parts.append(table(["clicks", "mean Dice", "mean NSD", "mean HD95 mm"], rows))
    return section("Clicks", "".join(parts))


def _picture_section(info: RunInfo, pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    key = (
        '<p class="legend"><span><i style="background:#ffc43d"></i>truth</span><span><i style="background:#38bdf8"></i>'
        "prediction</span><span>Axial, coronal and sagittal slice with the largest error; the patient's right is on "
        "the left.</span></p>"
    )
    return section("Worst cases", f'{key}<div class="pictures">{"".join(_figure(info, p) for p in pictures)}</div>')


def _figure(info: RunInfo, picture: Picture) -> str:
    score = picture.score
    what = f"{info.names[score.class_id]}, {picture.case}"
    numbers = f"Dice {number(score.dice)}, NSD {number(score.nsd)}, HD95 {number(score.hd95_mm, 1)} mm"
    return figure(picture.path, what, numbers)


def _case_section(records: Sequence[CaseRecord]) -> str:
    rows = []
    for record in records:
        dice = [score.dice for score in record.scores if isfinite(score.dice)]
        mean = number(float(np.mean(dice))) if dice else NONE
        memory = [number(record.peak_mb, 0), NONE if record.gpu_peak_mb is None else number(record.gpu_peak_mb, 0)]
        rows.append([escape(record.case), str(len(record.scores)), mean, number(record.seconds, 1), *memory])
    headings = ["scan", "scores", "mean Dice", "seconds", "peak MB", "peak MB on GPU"]
    details = f"<details><summary>{_scans(len(records))}: time and memory</summary>{table(headings, rows)}</details>"
    return section("Scans", f"{details}<p class=faint>Every score is in scores.csv and scores.json.</p>")


def _origin_section(info: RunInfo) -> str:
    tolerances = [f"{info.names[key]} {value:g} mm" for key, value in info.tolerances.items()]
    pairs = [
        ("model", f"{info.model}, weights SHA-256 {info.weights_sha256}"),
        ("computed with", f"OpenVISTA {info.version}, {info.precision}, profile {info.profile}"),
        ("data list", f"{info.datalist}, SHA-256 {info.datalist_sha256}"),
        ("split", f"{info.split}, {_scans(len(info.cases))}"),
        ("scored in label_slices only", ", ".join(info.names[key] for key in info.only_in_slices) or "none"),
        ("protocol", f"{info.protocol}, seed {info.seed}{', ORACLE' if info.oracle else ''}"),
        ("habits of the paper", ", ".join(info.habits) or "none"),
        ("NSD", f"tolerance {info.tolerance_mm:g} mm{''.join(f'; {text}' for text in tolerances)}"),
        ("surface of NSD and HD95", _SURFACES[info.surface]),
        ("intervals", f"{LEVEL:g} % of {RESAMPLES} bootstrap means; over structures, whole scans are resampled"),
        ("structures that are not there", "not scored; what was found all the same is under 'false ml'"),
        ("structures that were missed", "Dice and NSD 0, no HD95"),
    ]
    return section("How this was made", f"<pre>{escape(info.command)}</pre>{definitions(pairs)}")
