"""Supervoxels of many scans: several at a time, what is there already is kept, what fails is named at the end."""

import json
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import numpy as np
import torch

from openvista.datalist import AnyCase, DataList
from openvista.errors import DataListError, InputError, OpenVistaError
from openvista.inference.progress import Progress
from openvista.io import read_labels, read_scan, read_segmentation, replacing
from openvista.io.nifti import write_nifti
from openvista.io.paths import scan_name, sidecar_path
from openvista.io.write import describe
from openvista.scan import Scan, Segmentation
from openvista.supervoxels.make import make_supervoxels, provenance
from openvista.supervoxels.picture import write_picture
from openvista.supervoxels.source import Clustering, FeatureSource

logger = logging.getLogger(__name__)

SPLITS = ("training", "testing", "all")


@dataclass(frozen=True)
class SupervoxelJob:
    """One scan to do.

    Attributes:
        image: the CT file.
        target: where its map goes.
    """

    image: Path
    target: Path


@dataclass(frozen=True)
class JobOutcome:
    """What became of a job.

    Attributes:
        job: the job.
        count: supervoxels of a map that was made; 0 when a good one was there already.
        error: one line, where it failed.
    """

    job: SupervoxelJob
    count: int = 0
    error: str | None = None


@dataclass(frozen=True)
class JobSettings:
    """How to do each job.

    Attributes:
        source: where features come from.
        clustering: how they become supervoxels.
        overwrite: make maps again that are there already.
        preview: draw a picture beside each map.
        series, fill_gaps: of DICOM scans, see :func:`openvista.io.read_scan`.
    """

    source: FeatureSource
    clustering: Clustering
    overwrite: bool = False
    preview: bool = False
    series: str | None = None
    fill_gaps: bool = False


class _Stopped(BaseException):
    """Somebody wants to stop: thrown inside workers, never seen outside."""


def usual_workers() -> int:
    """Two scans at a time where there are two cores: clustering uses one core only."""
    return min(2, os.cpu_count() or 1)


def do_jobs(
    jobs: Sequence[SupervoxelJob],
    settings: JobSettings,
    workers: int = 1,
    progress: Callable[[SupervoxelJob, Progress], None] = lambda job, step: None,
    done: Callable[[JobOutcome], None] = lambda outcome: None,
) -> list[JobOutcome]:
    """Do every job, in threads; results in the order of jobs.

    Bad input ends one job, not the others. Any other error, or Ctrl-C, stops everything soon; nothing half-written
    is left.

    Args:
        jobs: with different targets.
        settings: how.
        workers: jobs at a time; on a CPU each gets its share of the cores.
        progress: called after each step, from the worker's thread.
        done: called with each outcome, in the order of jobs.
    """
    stop = Event()
    before = torch.get_num_threads()

    def run(job: SupervoxelJob) -> JobOutcome:
        def step(done: Progress) -> None:
            if stop.is_set():
                raise _Stopped
            progress(job, done)

        return _do(job, settings, step)

    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(max(1, before // workers),))
    try:
        outcomes = []
        for outcome in pool.map(run, jobs):
            outcomes.append(outcome)
            done(outcome)
        return outcomes
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _do(job: SupervoxelJob, settings: JobSettings, step: Callable[[Progress], None]) -> JobOutcome:
    step(Progress("prepare", 0, 1))
    try:
        scan = read_scan(job.image, series=settings.series, fill_gaps=settings.fill_gaps, apart=True)
        if not settings.overwrite and is_made(job.target, scan, provenance(settings.source, settings.clustering)):
            if settings.preview and not picture_path(job.target).exists():
                write_picture(replace(read_segmentation(job.target), scan=scan), picture_path(job.target))
            return JobOutcome(job)
        made = make_supervoxels(scan, settings.source, settings.clustering, step)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        write_map(made, job.target)
        if settings.preview:
            write_picture(made, picture_path(job.target))
        return JobOutcome(job, int(made.labels.max()))
    except InputError as error:
        return JobOutcome(job, error=str(error))
    except OSError as error:
        return JobOutcome(job, error=f"{job.target}: cannot be written: {error.strerror or error}")


def map_path(folder: Path, image: Path) -> Path:
    """Where the supervoxels of a scan go."""
    return folder / f"{scan_name(image)}_sv.nii.gz"


def picture_path(target: Path) -> Path:
    """The preview that lies beside a map."""
    return target.with_name(f"{scan_name(target)}.png")


def write_map(supervoxels: Segmentation, target: Path) -> None:
    """Write a map as uint16 NIfTI, and its description; both whole or not at all.

    Raises:
        OutputError: it cannot be written there.
    """
    side = sidecar_path(target)
    with replacing(side) as temporary_side:
        text = describe(supervoxels.names, supervoxels.colours, supervoxels.provenance)
        temporary_side.write_text(text, encoding="utf-8")
        with replacing(target) as temporary:
            write_nifti(temporary, supervoxels)


def is_made(target: Path, scan: Scan, provenance: dict[str, object]) -> bool:
    """Whether a whole map of this scan with just these choices is there already."""
    side = sidecar_path(target)
    if not target.is_file() or not side.is_file():
        return False
    try:
        described = json.loads(side.read_text(encoding="utf-8"))
        labels, grid = read_labels(target)
    except (OSError, ValueError, OpenVistaError) as error:
        logger.warning("%s: cannot be read (%s): made again", target, error)
        return False
    wanted = json.loads(json.dumps(provenance))
    if not isinstance(described, dict) or any(described.get(key) != value for key, value in wanted.items()):
        logger.info("%s: made with other choices: made again", target)
        return False
    return grid.matches(scan.grid) and bool(np.any(labels))


def cases_of(listed: DataList, split: str) -> list[AnyCase]:
    """The cases of a list whose scans are wanted, labelled or not.

    Raises:
        DataListError: no such split, or it is empty.
    """
    if split not in SPLITS:
        raise DataListError(f"no split {split!r}: there is {', '.join(SPLITS)}")
    cases: list[AnyCase] = []
    if split != "testing":
        cases += [*listed.training, *listed.unlabelled]
    if split != "training":
        cases += [*listed.testing, *listed.testing_unlabelled]
    if not cases:
        raise DataListError(f"{listed.path}: split {split!r} has no case; there is {', '.join(SPLITS)}")
    return cases


def jobs_of(cases: Sequence[AnyCase], folder: Path) -> list[SupervoxelJob]:
    """A job for each different scan; targets lie in ``folder`` as the scans lie in the folder they share.

    Raises:
        DataListError: two scans of one folder have one name.
    """
    images = list(dict.fromkeys(Path(os.path.abspath(case.image)) for case in cases))
    common = Path(os.path.commonpath([image.parent for image in images]))
    jobs = [SupervoxelJob(image, map_path(folder / image.parent.relative_to(common), image)) for image in images]
    taken: dict[Path, Path] = {}
    for job in jobs:
        if (other := taken.setdefault(job.target, job.image)) != job.image:
            raise DataListError(f"{other} and {job.image} would both be written to {job.target.name}; rename one")
    return jobs


def with_supervoxels(listed: DataList, outcomes: Sequence[JobOutcome]) -> DataList:
    """The list with the maps that are there now; other cases stay as they were."""
    targets = {outcome.job.image: outcome.job.target for outcome in outcomes if outcome.error is None}

    def with_map(case: AnyCase) -> AnyCase:
        target = targets.get(Path(os.path.abspath(case.image)))
        return case if target is None else replace(case, supervoxels=target)

    return listed.changed(with_map)
