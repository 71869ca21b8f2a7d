"""A check's result in other forms: per structure, and as plain data for JSON."""

from dataclasses import dataclass
from typing import Any

from openvista.curation.check import CaseReport, ListReport, Problem
from openvista.datalist import Case


@dataclass(frozen=True)
class StructureSummary:
    """One label value over the whole list.

    Attributes:
        value: label value.
        name: its name, "" where the list has none.
        annotated: number of cases in which it counts as marked.
        volumes_ml: its volume in millilitres in each case that has it.
    """

    value: int
    name: str
    annotated: int
    volumes_ml: tuple[float, ...]


def structure_rows(report: ListReport) -> list[StructureSummary]:
    """One row per label value that is named or occurs, in order."""
    labelled = [one for one in report.cases if isinstance(one.case, Case)]
    occurring = {value for one in labelled for value in one.volumes_ml or ()}
    names = report.listed.label_names
    return [
        StructureSummary(
            value,
            names.get(value, ""),
            sum(isinstance(one.case, Case) and value in one.case.annotated for one in labelled),
            tuple(one.volumes_ml[value] for one in labelled if one.volumes_ml and value in one.volumes_ml),
        )
        for value in sorted(names.keys() | occurring)
    ]


def report_content(report: ListReport) -> dict[str, Any]:
    """The report as plain data: counts, problems of the list, structures, and every case with its problems."""
    return {
        "list": str(report.listed.path),
        "usable": report.usable,
        "cases": len(report.cases),
        "cases_unusable": len(report.unusable),
        "cases_with_warnings": sum(one.usable and bool(one.problems) for one in report.cases),
        "problems": [_problem(problem) for problem in report.problems],
        "structures": [
            {"value": row.value, "name": row.name, "annotated": row.annotated, "present": len(row.volumes_ml)}
            for row in structure_rows(report)
        ],
        "by_case": [_case(one) for one in report.cases],
    }


def _case(one: CaseReport) -> dict[str, Any]:
    volumes = None if one.volumes_ml is None else {str(value): round(ml, 4) for value, ml in one.volumes_ml.items()}
    return {
        "image": str(one.case.image),
        "label": str(one.case.label) if isinstance(one.case, Case) else None,
        "part": one.part,
        "fold": one.case.fold,
        "usable": one.usable,
        "problems": [_problem(problem) for problem in one.problems],
        "volumes_ml": volumes,
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {"code": problem.code, "fatal": problem.fatal, "part": problem.part, "message": problem.message}
