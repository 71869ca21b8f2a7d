"""What became of a cohort: a line per case, volumes, and one HTML page with distributions, outliers and failures."""

import csv
import logging
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

import numpy as np

from openvista._version import __version__
from openvista.cohort.manifest import DONE, last_records, manifests_in
from openvista.cohort.storage import Place, local_path
from openvista.errors import OpenVistaError
from openvista.io import read_scan, read_segmentation
from openvista.io.atomic import replacing, write_text
from openvista.io.paths import image_suffix
from openvista.report.html import definitions, figure, number, page, section, table, tiles
from openvista.report.preview import write_preview

logger = logging.getLogger(__name__)

REPORT, CASES, VOLUMES = "report.html", "cases.csv", "volumes.csv"
CASE_COLUMNS = (
    "case",
    "state",
    "kind",
    "attempts",
    "seconds",
    "host",
    "device",
    "message",
    "warnings",
    "unlikely",
    "scan",
)
_MOST_LISTED = 200
"""Failures and outliers on the page; the CSV files hold all."""
_FEWEST = 10
"""Cases that a distribution needs before anything can lie outside of it."""
_FAR = 3.5
"""Modified z-score of an outlier (Iglewicz and Hoaglin, How to Detect and Handle Outliers, ASQC Quality Press 1993)."""
_TO_SD = 0.6745
"""Median absolute deviation of a normal distribution, in standard deviations (same source)."""


@dataclass(frozen=True)
class Outlier:
    """A structure whose volume lies far from those of the other cases; it is whole inside its scan.

    Attributes:
        case_id: of the case.
        class_id: of the structure.
        volume_ml: its volume.
        median_ml: of all cases.
        score: modified z-score of the volume's logarithm.
    """

    case_id: str
    class_id: int
    volume_ml: float
    median_ml: float
    score: float


@dataclass
class _Gathered:
    """What the page needs of all cases; small, since there may be 100,000 of them."""

    states: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, ...]] = field(default_factory=list)
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    ids: list[str] = field(default_factory=list)
    volumes: dict[int, "tuple[array[int], array[float]]"] = field(default_factory=dict)
    """By class id: place in ``ids``, and ml; of structures that no border of the scan cuts off."""
    found: Counter[int] = field(default_factory=Counter)
    unlikely: list[tuple[str, int, str]] = field(default_factory=list)
    """Case, class id, measures."""
    unlikely_count: int = 0

    def add(self, content: Mapping[str, Any]) -> None:
        self.states[content["state"]] += 1
        if content["state"] != DONE:
            error = content.get("error") or {"kind": "", "message": "no result yet"}
            self.kinds[error["kind"] or content["state"]] += 1
            if len(self.failures) < _MOST_LISTED:
                self.failures.append((content["case_id"], error["kind"] or content["state"], error["message"]))
            return
        self.seconds.append(_seconds(content))
        self.ids.append(content["case_id"])
        for key, measures in content.get("unlikely", {}).items():
            self.unlikely_count += 1
            if len(self.unlikely) < _MOST_LISTED:
                self.unlikely.append((content["case_id"], int(key), ", ".join(measures)))
        whole = set(map(int, content["volumes_ml"])) - set(content["at_border"])
        for key, volume in content["volumes_ml"].items():
            self.found[int(key)] += 1
            if int(key) in whole:
                places, values = self.volumes.setdefault(int(key), (array("l"), array("d")))
                places.append(len(self.ids) - 1)
                values.append(volume)


def write_summary(
    state: Path, output: str, names: Mapping[int, str], only: Iterable[str] | None = None, previews: int = 0
) -> Path:
    """Write ``cases.csv``, ``volumes.csv`` and ``report.html`` beside the manifests.

    Args:
        state: folder of the manifests.
        output: where the results are.
        names: of the classes, by id.
        only: ids of the cases to report; ``None`` for all that the manifests know.
        previews: pictures of so many of the cases with the strangest volumes.

    Returns:
        The page.

    Raises:
        OutputError: they cannot be written.
    """
    wanted = None if only is None else set(only)
    gathered = _Gathered()
    ids = sorted(names)
    with (
        replacing(state / CASES) as cases_file,
        replacing(state / VOLUMES) as volumes_file,
        cases_file.open("w", encoding="utf-8", newline="") as cases,
        volumes_file.open("w", encoding="utf-8", newline="") as volumes,
    ):
        case_rows, volume_rows = _writer(cases), _writer(volumes)
        case_rows.writerow(CASE_COLUMNS)
        volume_rows.writerow(["case", *(names[key] for key in ids)])
        for content in _wanted(state, wanted):
            case_rows.writerow(_case_row(content, names))
            if content["state"] == DONE:
                known = content["volumes_ml"]
                volume_rows.writerow([content["case_id"], *(known.get(str(key), 0) for key in ids)])
            gathered.add(content)
    strange = find_outliers(gathered)
    with TemporaryDirectory(prefix="openvista-") as folder:
        pictures = _pictures(strange, state, output, names, previews, Path(folder)) if previews else []
        write_text(state / REPORT, _page(gathered, strange, names, pictures))
    return state / REPORT


def find_outliers(gathered: _Gathered) -> list[Outlier]:
    """Volumes far from the median of their class, the farthest first."""
    found = []
    for key, (places, values) in gathered.volumes.items():
        logs = np.log(np.maximum(np.array(values), 1e-6))
        middle = np.median(logs)
        spread = np.median(np.abs(logs - middle))
        if len(logs) < _FEWEST or spread == 0:
            continue
        scores = _TO_SD * (logs - middle) / spread
        for index in np.flatnonzero(np.abs(scores) > _FAR).tolist():
            case_id = gathered.ids[places[index]]
            found.append(Outlier(case_id, key, values[index], float(np.exp(middle)), float(scores[index])))
    return sorted(found, key=lambda one: -abs(one.score))


def _wanted(state: Path, only: set[str] | None) -> Iterator[dict[str, Any]]:
    for content in last_records(manifests_in(state)):
        if only is None or content["case_id"] in only:
            yield content


def _writer(stream: TextIO) -> Any:
    return csv.writer(stream, lineterminator="\n")


def _seconds(content: Mapping[str, Any]) -> float:
    """Of work; where nobody counted them, as for a worker that was lost, all that passed."""
    return float(content.get("seconds") or content["ended"] - content["started"])


def _case_row(content: Mapping[str, Any], names: Mapping[int, str]) -> list[object]:
    error = content.get("error") or {}
    seconds = f"{_seconds(content):.1f}" if "ended" in content else ""
    row = [content["case_id"], content["state"], error.get("kind", ""), content["attempt"], seconds]
    row += [content.get("host", ""), content.get("device", ""), error.get("message", "")]
    unlikely = "; ".join(f"{name}: {measures}" for name, measures in _unlikely(content, names))
    return [*row, "; ".join(content.get("warnings", ())), unlikely, content.get("input_uri", "")]


def _unlikely(content: Mapping[str, Any], names: Mapping[int, str]) -> list[tuple[str, str]]:
    """Names of structures, and what is unlike training of them."""
    found = content.get("unlikely", {}).items()
    return [(names.get(int(key), key), ", ".join(measures)) for key, measures in found]


def _page(gathered: _Gathered, strange: Sequence[Outlier], names: Mapping[int, str], pictures: Sequence[str]) -> str:
    total = gathered.states.total()
    parts = [f"<h1>{total} scan{'' if total == 1 else 's'}</h1>", _tiles(gathered)]
    if gathered.failures:
        rows = [[escape(cell) for cell in row] for row in gathered.failures]
        more = _more(gathered.kinds.total(), len(rows))
        parts.append(section("Not done", table(["case", "kind", "why"], rows) + more))
    if pictures:
        parts.append(section("Strangest volumes", f'<div class="pictures">{"".join(pictures)}</div>'))
    if strange:
        parts.append(section("Outliers", _outlier_table(strange, names) + _more(len(strange), _MOST_LISTED)))
    if gathered.unlikely:
        more = _more(gathered.unlikely_count, len(gathered.unlikely))
        parts.append(section("Unlikely structures", _unlikely_table(gathered, names) + more))
    if gathered.volumes:
        parts.append(section("Volumes", _volume_table(gathered, names)))
    about = [
        ("written by", f"OpenVISTA {__version__}"),
        ("volumes", "of structures that are whole inside their scan; those at its border are counted as found only"),
        ("unlikely", "unlike the cases that the model was trained on, in what is named; may have been left out for it"),
        ("outliers", f"modified z-score of the logarithm beyond {_FAR}, from {_FEWEST} cases on"),
        ("every case", f"{CASES}; every volume in ml: {VOLUMES}"),
    ]
    return page(f"Cohort of {total} scans", "".join([*parts, section("How this was made", definitions(about))]))


def _tiles(gathered: _Gathered) -> str:
    values = [(str(gathered.states[DONE]), "done")]
    values += [(str(count), f"not done: {kind}") for kind, count in gathered.kinds.most_common()]
    if gathered.seconds:
        values.append((f"{np.median(gathered.seconds):.1f} s", "of a worker per scan, median"))
    return tiles(values)


def _more(count: int, shown: int) -> str:
    return f"<p class=faint>and {count - shown} more</p>" if count > shown else ""


def _outlier_table(strange: Sequence[Outlier], names: Mapping[int, str]) -> str:
    rows = (
        [
            escape(one.case_id),
            escape(names.get(one.class_id, str(one.class_id))),
            number(one.volume_ml, 1),
            number(one.median_ml, 1),
            number(one.score, 1),
        ]
        for one in strange[:_MOST_LISTED]
    )
    return table(["case", "structure", "ml", "median ml", "score"], rows)


def _unlikely_table(gathered: _Gathered, names: Mapping[int, str]) -> str:
    rows = ([escape(case), escape(names.get(key, str(key))), escape(what)] for case, key, what in gathered.unlikely)
    return table(["case", "structure", "unlikely"], rows)


def _volume_table(gathered: _Gathered, names: Mapping[int, str]) -> str:
    rows = []
    for key in sorted(gathered.found):
        values = np.array(gathered.volumes.get(key, ((), ()))[1])
        cells = [number(float(value), 1) for value in np.percentile(values, (0, 5, 50, 95, 100))] if len(values) else []
        rows.append([escape(names.get(key, str(key))), str(gathered.found[key]), str(len(values)), *cells])
    return table(["structure", "found in", "whole in", "least ml", "5 %", "median", "95 %", "most"], rows)


def _pictures(
    strange: Sequence[Outlier], state: Path, output: str, names: Mapping[int, str], most: int, scratch: Path
) -> list[str]:
    """Figures of the strangest cases; one that cannot be drawn is left out, as without one label map of all."""
    if Place(output).is_remote:
        return []
    worst: dict[str, Outlier] = {}
    for one in strange:
        worst.setdefault(one.case_id, one)
    chosen = dict(list(worst.items())[:most])
    figures: dict[str, str] = {}
    for content in _wanted(state, set(chosen)):
        one = chosen[content["case_id"]]
        written = [output["path"] for output in content["outputs"]]
        whole = [path for path in written if path.startswith(f"{one.case_id}_seg.") and image_suffix(Path(path))]
        if not whole:
            continue
        try:
            found = read_segmentation(local_path(output) / whole[0])
            scan = read_scan(local_path(content["input_uri"]))
            png = write_preview(replace(found, scan=scan), scratch / f"{len(figures)}.png")
        except OpenVistaError as error:
            logger.info("%s: no picture: %s", one.case_id, error)
            continue
        name = names.get(one.class_id, str(one.class_id))
        text = f"{name}: {one.volume_ml:.1f} ml, the median is {one.median_ml:.1f} ml"
        figures[one.case_id] = figure(png, one.case_id, text)
    return [figures[case_id] for case_id in chosen if case_id in figures]
