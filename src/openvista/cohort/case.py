"""One scan of a cohort: what there is to do, how, and what came of it. A pure function that every engine calls."""

import hashlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from openvista.anatomy.combinations import Combination
from openvista.cohort.failures import Failure, failure_of
from openvista.cohort.storage import Place, fetched
from openvista.errors import ScanError
from openvista.geometry.grid import Float3, Grid
from openvista.inference.profiles import Profile
from openvista.io import (
    DicomOptions,
    bytes_to_read,
    check_dicom_source,
    check_scan,
    read_scan,
    write_per_class,
    write_segmentation,
)
from openvista.io.atomic import remove_unfinished, write_text
from openvista.io.paths import FORMATS, OUTPUT_SUFFIXES, formats_apart, sidecar_path
from openvista.pacs.dicom_results import store_results, stored_formats
from openvista.pacs.dicomweb import DicomWeb
from openvista.pipeline import Pipeline, Room
from openvista.report.table import table_csv
from openvista.scan import Scan, Segmentation
from openvista.weights.card import sha256_of

if TYPE_CHECKING:
    from openvista.model import Model
    from openvista.prepare import PreparedScan


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

    A worker has several in hand if each is the first of its run; another may have killed its worker, and is alone.
    """

    case: CohortCase
    number: int = 1
    tries: int = 1
    small: bool = False

    @property
    def may_overlap(self) -> bool:
        """Whether its worker may be at another one at the same time."""
        return self.tries == 1


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
        warnings: what looks odd about the scan, or that it shows nothing the model knows.
        failure: ``None`` where it is done.
        host, pid, device: where.
        started, ended: seconds since the epoch, by the worker's clock.
        seconds: of work; what is left of the time between is waiting for the scan before.
        unlikely: by class id, what is unlike training of structures that were found, or left out for it.
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
    seconds: float = 0.0
    unlikely: dict[int, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """What a worker does with each try, in three steps, none of which ever raises.

    Attributes:
        compute: from what was read to what is to be written.
        read: try to what computing needs; asks the room for memory.
        write: writes; gives what came of the try.
        overlaps: whether the next try is read, and the last one written, while this one is computed.
    """

    compute: Callable[[Any], Any]
    read: Callable[[Attempt, Room], Any] = lambda attempt, room: attempt
    write: Callable[[Any], CaseResult] = lambda result: result
    overlaps: bool = False

    def run(self, attempts: Iterable[Attempt], tell: Callable[[CaseResult], None]) -> None:
        """Work on tries.

        Args:
            attempts: what to work on; may wait for the next.
            tell: called with what came of each, by the thread that writes.
        """
        pipeline = Pipeline(self.read, self.compute, lambda case: tell(self.write(case)), _no_error)
        (pipeline.run if self.overlaps else pipeline.one_by_one)(attempts)


def _no_error(attempt: Attempt, error: Exception | None) -> None:
    if error is not None:
        raise error


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
        wholes: structures that become one.
        formats: of the results, see :data:`openvista.io.paths.FORMATS`.
        per_class: label maps and surfaces become a file per structure.
        compress: label maps well rather than quickly.
        dicom: how DICOM is written.
        store: DICOMweb address of a PACS that gets the DICOM formats, too, or a segmentation; "" for none.
        fill_gaps: interpolate slices that are missing from a DICOM series.
        strict: refuse scans that do not look like CT.
        table: write the table of structures of each scan.
        spacing: mm of the results along the scan's own axes; ``None`` for the scan's voxels.
        drop_unlikely: leave out what is unlike the cases of training.
        modality: of the scans, as for :func:`openvista.load_model`.
        threads: of a worker on a CPU; ``None`` for as many as torch takes.
        overlaps: see :class:`Work`.
    """

    output: str
    model: str
    device: str
    precision: str
    profile: Profile
    classes: tuple[int, ...]
    wholes: tuple[Combination, ...] = ()
    formats: tuple[str, ...] = ("nii.gz",)
    per_class: bool = False
    compress: bool = False
    dicom: DicomOptions = field(default_factory=DicomOptions)
    store: str = ""
    fill_gaps: bool = False
    strict: bool = False
    table: bool = False
    spacing: Float3 | None = None
    drop_unlikely: bool = False
    modality: str | None = None
    threads: int | None = None
    overlaps: bool = True

    def begin(self) -> Work:
        """Load the weights.

        Raises:
            ModelError, WeightsError, DeviceError: as for :func:`openvista.load_model`.
        """
        import torch

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return case_work(_load(self), self)

    def sha256(self) -> str:
        """Of all that decides about the content of the results, but for the weights, which have their own."""
        elsewhere = ("output", "model", "device", "profile", "strict", "modality", "compress", "threads", "overlaps")
        content = {key: value for key, value in asdict(self).items() if key not in elsewhere}
        text = json.dumps(content | {"profile": self.profile.stored()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def case_work(model: "Model", plan: Segmenter) -> Work:
    """Segment scans with a model. Every engine calls this.

    The same case, plan and weights give the same files.
    """
    return Work(partial(_compute, model, plan), partial(_read, model, plan), partial(_write, plan), plan.overlaps)


@dataclass(eq=False)
class _Case:
    """A try on its way through the steps. After a failure those that are left do nothing."""

    result: CaseResult
    scan: "Scan | PreparedScan | None" = None
    grid: Grid | None = None
    segmentation: Segmentation | None = None

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around a step: its time, and its failure."""
        began = time.perf_counter()
        try:
            yield
        except Exception as error:  # noqa: BLE001 (the kind of failure decides what becomes of the case)
            self.result = replace(self.result, failure=failure_of(error))
            self.scan = self.segmentation = None
        spent = self.result.seconds + time.perf_counter() - began
        self.result = replace(self.result, seconds=spent, ended=time.time())


def _load(plan: Segmenter) -> "Model":
    from openvista.model import load_model  # with torch, which the driver can do without

    return load_model(plan.model, plan.device, plan.precision, plan.modality)


def _read(model: "Model", plan: Segmenter, attempt: Attempt, room: Room) -> _Case:
    case = _Case(CaseResult(attempt, host=socket.gethostname(), pid=os.getpid(), started=time.time()))
    with case.step(), fetched(attempt.case.uri, attempt.case.series) as path:
        room.wait(bytes_to_read(path))
        series, modality = attempt.case.series, model.modality
        scan = read_scan(path, series=series, fill_gaps=plan.fill_gaps, modality=modality)
        case.result = replace(case.result, warnings=_warnings(scan, plan.strict, modality))
        for format in (*plan.formats, *(stored_formats(plan.formats) if plan.store else ())):
            check_dicom_source(scan, format)
        case.grid = None if plan.spacing is None else scan.grid.with_spacing(plan.spacing)
        case.scan = model.prepare(scan, plan.profile, room)
    return case


def _compute(model: "Model", plan: Segmenter, case: _Case) -> _Case:
    scan, case.scan = case.scan, None
    if scan is not None:
        with case.step():
            if case.result.attempt.small and model.device.type != "cpu":
                model = _load(replace(plan, device="cpu", precision="auto"))
            case.result = replace(case.result, device=str(model.device))
            found = _judged(model, plan, case, model.segment(scan, plan.classes, profile=plan.profile, grid=case.grid))
            for whole in plan.wholes:
                found = found.combined(whole.parts, whole.id, whole.name)
            case.segmentation = found
    return case


def _judged(model: "Model", plan: Segmenter, case: _Case, found: Segmentation) -> Segmentation:
    """What was found, without what is unlikely if that is to be dropped; the case's result says what is."""
    warning = model.region_warning(plan.classes, found.table())
    warnings = case.result.warnings if warning is None else (*case.result.warnings, warning)
    case.result = replace(case.result, warnings=warnings, unlikely=dict(found.unlikely or {}))
    return found.without_unlikely() if plan.drop_unlikely else found


def _write(plan: Segmenter, case: _Case) -> CaseResult:
    if (segmentation := case.segmentation) is not None:
        with case.step():
            case_id = case.result.attempt.case.id
            rows = [row for row in segmentation.table() if row.voxels]
            with Place(plan.output).folder_for(case_id) as folder:
                outputs = _written(segmentation, plan, case_id, folder)
            if plan.store:
                store_results(DicomWeb(plan.store), segmentation, plan.formats, plan.dicom)
            case.result = replace(
                case.result,
                outputs=outputs,
                volumes_ml={row.id: round(row.volume_ml, 3) for row in rows},
                at_border=tuple(row.id for row in rows if row.touches_border),
            )
    return case.result


def _warnings(scan: Scan, strict: bool, modality: str | None) -> tuple[str, ...]:
    messages = tuple(warning.message for warning in check_scan(scan, modality))
    if messages and strict:
        raise ScanError("; ".join(messages))
    return messages


def _written(segmentation: Segmentation, plan: Segmenter, case_id: str, folder: Path) -> tuple[OutputFile, ...]:
    """The files of a case, on disk for good: what the manifest calls done must survive a power cut."""
    parent, _, name = case_id.rpartition("/")
    remove_unfinished(folder, f"{name}_")  # of a worker that was killed
    files: list[Path] = []
    apart = formats_apart(plan.formats, plan.per_class)
    seg = folder / f"{name}{FORMATS['dicom-seg']}" if "dicom-seg" in plan.formats else None
    for format in sorted(plan.formats, key=lambda each: each == "dicom-sr"):  # a report refers to the segmentation
        target = folder / f"{name}{FORMATS[format]}"
        if format in apart:
            target = folder / f"{name}_seg"
            files += write_per_class(segmentation, target, format, plan.compress)
            side = target.with_name(f"{target.name}.json")
        else:
            dicom = replace(plan.dicom, seg=seg)
            files.append(write_segmentation(segmentation, target, format, dicom, plan.compress))
            side = sidecar_path(target)
        if f".{format}" in OUTPUT_SUFFIXES and side not in files:
            files.append(side)
    if plan.table:
        files.append(folder / f"{name}_seg.csv")
        write_text(files[-1], table_csv(segmentation.table()))
    return tuple(_output_file(file, str(PurePosixPath(parent) / file.relative_to(folder).as_posix())) for file in files)


def _output_file(file: Path, name: str) -> OutputFile:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
    return OutputFile(name, sha256_of(file), file.stat().st_size)
