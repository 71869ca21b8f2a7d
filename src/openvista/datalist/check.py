"""Is every case of a data list fit to train on? Reads every file, so that no training run has to find out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.datalist.case import AnyCase, Case, DataList, some_of
from openvista.datalist.parallel import in_parallel
from openvista.datalist.whole_list import list_problems
from openvista.errors import OpenVistaError
from openvista.geometry.grid import Grid
from openvista.io import check_scan, read_labels, read_scan
from openvista.structures import measure, present_ids

GRID_TOLERANCE_MM = 0.1
"""How far corner voxels of image and label map may lie apart; training refuses more."""

_FATAL_SCAN_CODES = frozenset({"values-constant"})


@dataclass(frozen=True)
class Problem:
    """Something about a case or a list.

    Attributes:
        code: stable short name, for example ``"grid-differs"``.
        message: one line: what is wrong, with the value, and what to do.
        fatal: the case cannot be used as the list gives it; otherwise it is a warning.
        part: ``"image"``, ``"label"``, ``"pseudo_label"``, ``"label_sv"``, or ``"list"``.
    """

    code: str
    message: str
    fatal: bool
    part: str


@dataclass(frozen=True)
class CaseReport:
    """What is known about a case after its files were read.

    Attributes:
        case: the entry of the list.
        part: ``"training"`` or ``"testing"``.
        problems: empty when all is well.
        volumes_ml: label value to volume in millilitres, of the values that occur; ``None`` without a readable label.
    """

    case: AnyCase
    part: str
    problems: tuple[Problem, ...]
    volumes_ml: Mapping[int, float] | None

    @property
    def usable(self) -> bool:
        """No problem is fatal."""
        return not any(problem.fatal for problem in self.problems)


@dataclass(frozen=True)
class ListReport:
    """What is known about a data list.

    Attributes:
        listed: the list.
        cases: one report per case, training first.
        problems: those of the list as a whole.
    """

    listed: DataList
    cases: tuple[CaseReport, ...]
    problems: tuple[Problem, ...]

    @property
    def unusable(self) -> tuple[CaseReport, ...]:
        """The cases that cannot be used."""
        return tuple(report for report in self.cases if not report.usable)

    @property
    def usable(self) -> bool:
        """Every case can be used, and the list as well."""
        return not self.unusable and not any(problem.fatal for problem in self.problems)


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


def check_datalist(
    listed: DataList, *, strict: bool = False, workers: int | None = None, done: Callable[[], None] = lambda: None
) -> ListReport:
    """Read every file of a list and report on each case; nothing about a file raises an error.

    Fatal: a file is missing or unreadable; label, pseudo-label or supervoxels lie on another grid than the image; a
    label value that the list does not name (training would take it for background); an image of one value. Warnings:
    an empty label map, values that do not look like HU, values outside ``annotated`` or the list's own mapping.

    Args:
        listed: read with ``must_exist=False``, or missing files would have been refused already.
        strict: warnings count as fatal.
        workers: threads; default is one per core, at most four. Each holds a scan and its label maps.
        done: called after each case.
    """
    parts = ["training"] * (len(listed.training) + len(listed.unlabelled))
    parts += ["testing"] * (len(listed.testing) + len(listed.testing_unlabelled))

    def check(item: tuple[AnyCase, str]) -> CaseReport:
        report = _check_case(item[0], item[1], listed)
        problems = tuple(replace(problem, fatal=problem.fatal or strict) for problem in report.problems)
        return replace(report, problems=problems)

    reports = in_parallel(check, zip(listed.every_case, parts, strict=True), workers, done)
    found = list_problems(listed, _volumes_in(reports, "training"), _volumes_in(reports, "testing"))
    whole = tuple(Problem(code, message, fatal or strict, "list") for code, message, fatal in found)
    return ListReport(listed, tuple(reports), whole)


def usable_part(report: ListReport) -> DataList:
    """The list without what cannot be used: a bad pseudo-label or supervoxel map only, or the whole case."""
    kept = {id(one.case): _repaired(one) for one in report.cases}
    return report.listed.changed(lambda case: kept[id(case)])


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


def _repaired(report: CaseReport) -> AnyCase | None:
    bad = {problem.part for problem in report.problems if problem.fatal}
    if bad & {"image", "label"}:
        return None
    case = report.case
    case = replace(case, pseudo_label=None) if "pseudo_label" in bad else case
    return replace(case, supervoxels=None) if "label_sv" in bad else case


def _volumes_in(reports: Sequence[CaseReport], part: str) -> list[Mapping[int, float] | None]:
    return [report.volumes_ml for report in reports if report.part == part and isinstance(report.case, Case)]


def _check_case(case: AnyCase, part: str, listed: DataList) -> CaseReport:
    problems: list[Problem] = []
    grid = _check_image(case.image, problems)
    volumes = None
    if isinstance(case, Case):
        labels = _check_map(case.label, "label", grid, problems)
        if labels is not None:
            found = measure(*labels, dict.fromkeys(present_ids(labels[0]), ""))
            volumes = {row.id: row.volume_ml for row in found}
            problems += _value_problems(case, listed, volumes)
            problems += _slice_problems(case, labels[0].shape[2])
    for file, key in ((case.pseudo_label, "pseudo_label"), (case.supervoxels, "label_sv")):
        if file is not None:
            _check_map(file, key, grid, problems)
    return CaseReport(case, part, tuple(problems), volumes)


def _check_image(file: Path, problems: list[Problem]) -> Grid | None:
    """The image's grid; ``None`` when it cannot be read."""
    if not file.exists():
        problems.append(Problem("missing", f"image {file} does not exist", True, "image"))
        return None
    try:
        scan = read_scan(file, apart=True)
    except (OpenVistaError, OSError, MemoryError) as error:
        problems.append(Problem("unreadable", _reason(file, error), True, "image"))
        return None
    for warning in check_scan(scan):
        problems.append(Problem(warning.code, warning.message, warning.code in _FATAL_SCAN_CODES, "image"))
    return scan.grid


def _check_map(
    file: Path, part: str, grid: Grid | None, problems: list[Problem]
) -> tuple[NDArray[np.unsignedinteger], Grid] | None:
    """A label map and its grid; ``None`` when it cannot be read."""
    if not file.is_file():
        problems.append(Problem("missing", f"{part} {file} does not exist", True, part))
        return None
    try:
        labels, label_grid = read_labels(file, scan_grid=grid, apart=True)
    except (OpenVistaError, OSError, MemoryError) as error:
        problems.append(Problem("unreadable", _reason(file, error), True, part))
        return None
    if grid is not None and not label_grid.matches(grid, GRID_TOLERANCE_MM):
        message = f"{part} {file.name} is not on the image's grid: {_difference(label_grid, grid)}; resample it first"
        problems.append(Problem("grid-differs", message, True, part))
    if part != "label" and not labels.any():
        problems.append(Problem("empty", f"{part} {file.name} is 0 everywhere", False, part))
    return labels, label_grid


def _difference(one: Grid, image: Grid) -> str:
    """How two grids differ, in the most telling way."""
    if one.shape != image.shape:
        return f"shape {_times(one.shape)} against {_times(image.shape)}"
    if not np.allclose(one.spacing, image.spacing, rtol=1e-3):
        return f"voxels of {_times(one.spacing)} mm against {_times(image.spacing)} mm"
    if one.axis_codes != image.axis_codes:
        return f"axes {one.axis_codes} against {image.axis_codes}"
    corners = np.array([[0, 0, 0], np.array(image.shape) - 1])
    gap = np.linalg.norm(one.to_world(corners) - image.to_world(corners), axis=1).max()
    return f"corners up to {gap:.3g} mm apart"


def _times(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)


def _value_problems(case: Case, listed: DataList, volumes: Mapping[int, float]) -> list[Problem]:
    """What is odd about the values of a label map."""
    if not volumes:
        message = "label is 0 everywhere: fine where nothing of the list is in the scan, else a forgotten label"
        return [Problem("empty", message, False, "label")]
    problems = []
    known = listed.label_names.keys() | listed.label_mapping.keys()
    foreign = sorted(volumes.keys() - known) if known else []
    if foreign:
        message = f"label holds {some_of(foreign)}, which the list does not name; add to 'labels' what they are"
        problems.append(Problem("values-unknown", message, True, "label"))
    if case.annotated_listed and (odd := sorted((volumes.keys() & known) - case.annotated)):
        message = f"label holds {some_of(odd)}, which 'annotated' leaves out: they are not learnt from here"
        problems.append(Problem("values-not-annotated", message, False, "label"))
    if listed.label_mapping and (odd := sorted((volumes.keys() & known) - listed.label_mapping.keys())):
        message = f"label holds {some_of(odd)}, which the list's mapping leaves out: they count as background"
        problems.append(Problem("values-not-mapped", message, False, "label"))
    return problems


def _slice_problems(case: Case, slices: int) -> list[Problem]:
    beyond = sorted(value for value, (_, last) in case.label_slices.items() if last >= slices)
    if not beyond:
        return []
    message = f"'label_slices' of {some_of(beyond)} ends behind the last of {slices} slices; count from 0"
    return [Problem("slices-outside", message, True, "label")]


def _reason(file: Path, error: BaseException) -> str:
    """One line that names the file once."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if file.name in text else f"{file}: {text}"


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
