"""One scan of a cohort: what there is to do, how, and what came of it. A pure function that every engine calls."""

import glob
import hashlib
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from openvista.cohort.failures import Failure, failure_of
from openvista.cohort.storage import Place, fetched
from openvista.errors import ScanError
from openvista.geometry.grid import Float3
from openvista.inference.profiles import Profile
from openvista.io import check_scan, read_scan, write_segmentation
from openvista.io.atomic import write_text
from openvista.io.paths import FORMATS, OUTPUT_SUFFIXES, sidecar_path
from openvista.io.write import DicomOptions
from openvista.report.table import table_csv
from openvista.scan import Scan, Segmentation
from openvista.weights.card import sha256_of

if TYPE_CHECKING:
    from openvista.model import Model


@dataclass(frozen=True, slots=True)
class CohortCase:
    """A scan of a cohort.

    Attributes:
        id: name of its results, with "/" between folders; no two cases share one.
        uri: path or address of the scan.
        identity: another one means that the scan has changed: sizes and times, or a bucket's ETag.
        series: which DICOM series.
    """

    id: str
    uri: str
    identity: str = ""
    series: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try at a case.

    Attributes:
        case: the case.
        number: of the try, over all runs, from 1.
        tries: of the try, in this run, from 1.
        small: with the smaller plan: on the CPU, with nothing else running on the machine.
    """

    case: CohortCase
    number: int = 1
    tries: int = 1
    small: bool = False


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file that was written: its name from the output's root, and what to check it by."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class CaseResult:
    """What came of a try.

    Attributes:
        attempt: the try.
        outputs: what was written; empty where it failed.
        volumes_ml: by class id, of the structures that were found.
        at_border: ids of those that a face of the scan cuts off.
        warnings: what looks odd about the scan.
        failure: ``None`` where it is done.
        host, pid, device: where.
        started, ended: seconds since the epoch, by the worker's clock.
    """

    attempt: Attempt
    outputs: tuple[OutputFile, ...] = ()
    volumes_ml: dict[int, float] = field(default_factory=dict)
    at_border: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None
    host: str = ""
    pid: int = 0
    device: str = ""
    started: float = 0.0
    ended: float = 0.0


Work = Callable[[Attempt], CaseResult]


class WorkPlan(Protocol):
    """What a worker does; it travels to the worker, which begins once and then works on tries."""

    def begin(self) -> Work:
        """Load what every try needs.

        Raises:
            OpenVistaError: nothing can be done at all.
        """


@dataclass(frozen=True, kw_only=True)
class Segmenter:
    """Segment scans and write the results: the plan of ``openvista batch``.

    Attributes:
        output: folder or address that results go to.
        model: name, folder or checkpoint file.
        device, precision: as for :func:`openvista.load_model`.
        profile: how.
        classes: ids to look for.
        formats: of the results, see :data:`openvista.io.paths.FORMATS`.
        fill_gaps: interpolate slices that are missing from a DICOM series.
        strict: refuse scans that do not look like CT.
        table: write the table of structures of each scan.
        spacing: mm of the results along the scan's own axes; ``None`` for the scan's voxels.
        threads: of a worker on a CPU; ``None`` for as many as torch takes.
    """

    output: str
    model: str
    device: str
    precision: str
    profile: Profile
    classes: tuple[int, ...]
    formats: tuple[str, ...] = ("nii.gz",)
    fill_gaps: bool = False
    strict: bool = False
    table: bool = False
    spacing: Float3 | None = None
    threads: int | None = None

    def begin(self) -> Work:
        """Load the weights.

        Raises:
            ModelError, WeightsError, DeviceError: as for :func:`openvista.load_model`.
        """
        import torch

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return partial(run_case, _load(self.model, self.device, self.precision), self)

    def sha256(self) -> str:
        """Of all that decides about the content of the results, but for the weights, which have their own."""
        kept = ("precision", "classes", "formats", "fill_gaps", "table", "spacing")
        content = {key: value for key, value in asdict(self).items() if key in kept and value is not None}
        text = json.dumps(content | {"profile": self.profile.stored()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def run_case(model: "Model", plan: Segmenter, attempt: Attempt) -> CaseResult:
    """Read a scan, segment it, write the results whole or not at all. Every engine calls this; it never raises.

    The same case, plan and weights give the same files.
    """
    result = CaseResult(attempt, host=socket.gethostname(), pid=os.getpid(), started=time.time())
    try:
        if attempt.small and model.device.type != "cpu":
            model = _load(plan.model, "cpu", "auto")
        result = replace(result, device=str(model.device))
        result = _segmented(model, plan, result)
    except Exception as error:  # noqa: BLE001 (the kind of failure decides what becomes of the case)
        result = replace(result, failure=failure_of(error))
    return replace(result, ended=time.time())


def _load(name: str, device: str, precision: str) -> "Model":
    from openvista.model import load_model  # with torch, which the driver can do without

    return load_model(name, device, precision)


def _segmented(model: "Model", plan: Segmenter, result: CaseResult) -> CaseResult:
    case = result.attempt.case
    with fetched(case.uri) as path:
        scan = read_scan(path, series=case.series, fill_gaps=plan.fill_gaps)
        warnings = _warnings(scan, plan.strict)
        grid = None if plan.spacing is None else scan.grid.with_spacing(plan.spacing)
        segmentation = model.segment(scan, plan.classes, profile=plan.profile, grid=grid)
        rows = [row for row in segmentation.table() if row.voxels]
        with Place(plan.output).folder_for(case.id) as folder:
            outputs = _written(segmentation, plan, case.id, folder)
    return replace(
        result,
        outputs=outputs,
        volumes_ml={row.id: round(row.volume_ml, 3) for row in rows},
        at_border=tuple(row.id for row in rows if row.touches_border),
        warnings=warnings,
    )


def _warnings(scan: Scan, strict: bool) -> tuple[str, ...]:
    messages = tuple(warning.message for warning in check_scan(scan))
    if messages and strict:
        raise ScanError("; ".join(messages))
    return messages


def _written(segmentation: Segmentation, plan: Segmenter, case_id: str, folder: Path) -> tuple[OutputFile, ...]:
    """The files of a case, on disk for good: what the manifest calls done must survive a power cut."""
    parent, _, name = case_id.rpartition("/")
    for torn in folder.glob(f".????????-{glob.escape(name)}_*"):  # of a worker that was killed
        with suppress(OSError):
            torn.unlink()
    files: list[Path] = []
    for format in sorted(plan.formats, key=lambda each: each == "dicom-sr"):  # a report refers to the segmentation
        seg = folder / f"{name}{FORMATS['dicom-seg']}" if "dicom-seg" in plan.formats else None
        target = folder / f"{name}{FORMATS[format]}"
        files.append(write_segmentation(segmentation, target, format, DicomOptions(seg=seg)))
        side = sidecar_path(target)
        if f".{format}" in OUTPUT_SUFFIXES and side not in files:
            files.append(side)
    if plan.table:
        files.append(folder / f"{name}_seg.csv")
        write_text(files[-1], table_csv(segmentation.table()))
    return tuple(_output_file(file, f"{parent}/{file.name}" if parent else file.name) for file in files)


def _output_file(file: Path, name: str) -> OutputFile:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
    return OutputFile(name, sha256_of(file), file.stat().st_size)
