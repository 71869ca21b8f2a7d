"""Results of a run as files: scores.csv for tables, scores.json for programs, report.html for people."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from openvista.errors import InputError
from openvista.evaluate.challenge import challenge_csv, challenge_rows
from openvista.evaluate.protocols import find_protocol
from openvista.evaluate.report.page import report_page
from openvista.evaluate.report.pictures import find_pictures
from openvista.evaluate.run_folder import PICTURES, RunInfo
from openvista.evaluate.score import CaseRecord, scores_csv, without_nan
from openvista.evaluate.statistics import Summary, summarise
from openvista.io.atomic import write_text

CSV_FILE, JSON_FILE, HTML_FILE = "scores.csv", "scores.json", "report.html"
CHALLENGE_FILE = "cvpr25_metrics.csv"


@dataclass(frozen=True)
class Results:
    """A finished run.

    Attributes:
        info: what was asked.
        records: its cases, in the order of the data list.
    """

    info: RunInfo
    records: tuple[CaseRecord, ...]

    def summaries(self) -> list[Summary]:
        """Per structure and number of clicks, then over structures."""
        return summarise(self.records, self.info.seed)


def write_results(folder: Path, results: Results) -> None:
    """Write the three files; for protocol ``cvpr25`` the challenge's table as well.

    Raises:
        OutputError: the folder cannot be written.
    """
    info, summaries = results.info, results.summaries()
    pictures = find_pictures(folder / PICTURES, results.records, info.last_clicks)
    html = report_page(info, results.records, summaries, find_protocol(info.protocol).summary, pictures)
    content = {
        "run": asdict(info),
        "summary": [{"name": info.row_name(row.class_id), **asdict(row)} for row in summaries],
        "cases": [record.to_json() for record in results.records],
    }
    write_text(folder / CSV_FILE, scores_csv(results.records, info.names))
    write_text(folder / JSON_FILE, json_text(content))
    write_text(folder / HTML_FILE, html)
    if info.protocol == "cvpr25":
        write_text(folder / CHALLENGE_FILE, challenge_csv(challenge_rows(results.records)))


def read_results(path: Path) -> Results:
    """A finished run by its folder, or by its scores.json.

    Raises:
        InputError: there is none, or it is damaged.
    """
    file = path / JSON_FILE if path.is_dir() else path
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        records = tuple(CaseRecord.from_json(record) for record in content["cases"])
        return Results(RunInfo.from_json(content["run"]), records)
    except OSError:
        raise InputError(
            f"{path}: holds no finished run: {file.name} is missing; 'openvista evaluate DATALIST -o FOLDER' makes one"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is not what 'openvista evaluate' writes ({error!r})") from None


def json_text(content: Any) -> str:
    """Results as JSON, which lacks NaN."""
    return json.dumps(without_nan(content), indent=1) + "\n"
