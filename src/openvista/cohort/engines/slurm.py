"""Slurm, through submitit: each task of a job array works on a shard with the local engine, then shards are merged."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from json import loads
from pathlib import Path
from typing import Any

import submitit

from openvista.cohort.failures import KINDS
from openvista.cohort.launch import CohortPlan, Tell, local_engine, run_cohort
from openvista.cohort.manifest import Shard, locked, manifest_path, manifests_in
from openvista.cohort.shards import merge_shards
from openvista.cohort.tally import Tally
from openvista.errors import InputError, OpenVistaError, first_line

logger = logging.getLogger(__name__)

LOGS = "slurm"
"""Folder of submitit's scripts and logs, beside the manifest."""
_TRIES = 3
_LOOK_S = 2.0


@dataclass(frozen=True)
class SlurmOptions:
    """How to ask Slurm.

    Attributes:
        tasks: of the job array; each takes a shard.
        workers: of a task, as for the local engine.
        cluster: "slurm", or "local" for processes on this machine, which needs no Slurm.
        parameters: of submitit's executor: ``slurm_partition``, ``gpus_per_node``, ``timeout_min``, ``mem_gb``, ...
    """

    tasks: int
    workers: int | None = None
    cluster: str = "slurm"
    parameters: Mapping[str, Any] = field(default_factory=dict)


def run_on_slurm(plan: CohortPlan, options: SlurmOptions, tell: Tell = lambda tally: None) -> Tally:
    """Submit a job array, wait for it, submit lost tasks again, and merge the shards' manifests.

    This process only waits: when it is stopped, the tasks go on, and running the same command again after they have
    ended does what is left.

    Raises:
        InputError: there is no Slurm, or it takes no such parameter; a task is refused three times.
    """
    shards = [Shard(index, options.tasks) for index in range(min(options.tasks, len(plan.cases)))]
    shards = [Shard(shard.index, len(shards)) for shard in shards]
    executor = _executor(plan.state / LOGS, options)
    waiting = dict.fromkeys(shards, 1)
    with locked(manifest_path(plan.state, None)):
        _refuse_other_splits(plan.state, len(shards))
        for file in _progress_files(plan):
            file.unlink()
    while waiting:
        order = list(waiting)
        jobs = executor.map_array(_run_shard, [plan.of_shard(shard) for shard in order], [options.workers] * len(order))
        lost = {}
        for shard, reason in _ended(dict(zip(order, jobs, strict=True)), plan, tell).items():
            if waiting[shard] >= _TRIES:
                raise OpenVistaError(f"Slurm's task for shard {shard} was lost {_TRIES} times: {reason}")
            logger.warning("shard %s: %s; submitted again", shard, reason)
            lost[shard] = waiting[shard] + 1
        waiting = lost
    tally = _sum(plan)
    merge_shards(plan.state)
    return tally


def slurm_options(settings: Mapping[str, str], workers: int | None) -> SlurmOptions:
    """Of ``--engine-option``: ``tasks``, ``cluster``; everything else is submitit's.

    Raises:
        InputError: there is no number of tasks.
    """
    parameters = {key: int(value) if value.isdecimal() else value for key, value in settings.items()}
    tasks, cluster = parameters.pop("tasks", None), str(parameters.pop("cluster", "slurm"))
    if not isinstance(tasks, int) or tasks < 1:
        raise InputError("slurm needs to know how many tasks to submit: --engine-option tasks=20")
    return SlurmOptions(tasks, workers, cluster, parameters)


def _run_shard(plan: CohortPlan, workers: int | None) -> str:
    """What a task does; "" or what is wrong for good."""
    try:
        run_cohort(plan, lambda tries: local_engine(plan, workers, tries))
    except OpenVistaError as error:
        return first_line(error)
    return ""


def _ended(jobs: Mapping[Shard, Any], plan: CohortPlan, tell: Tell) -> dict[Shard, str]:
    """Wait for all tasks; those that were lost, with the reason.

    Raises:
        OpenVistaError: a task says that nothing can be done.
    """
    lost, left = {}, dict(jobs)
    while left:
        for shard, job in list(left.items()):
            if not job.done():
                continue
            del left[shard]
            try:
                refused = job.result()
            except (submitit.core.utils.UncompletedJobError, submitit.core.utils.FailedJobError) as error:
                lost[shard] = first_line(error)
                continue
            if refused:
                raise OpenVistaError(f"shard {shard}: {refused}")
        tell(_sum(plan))
        if left:
            time.sleep(_LOOK_S)
    return lost


def _executor(folder: Path, options: SlurmOptions) -> Any:
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=options.cluster)
        executor.update_parameters(name="openvista", **options.parameters)
    except (RuntimeError, ValueError, NameError, TypeError) as error:
        raise InputError(f"Slurm cannot be asked: {first_line(error)}") from None
    return executor


def _refuse_other_splits(folder: Path, count: int) -> None:
    """Two splits at once could give a case to two tasks."""
    found = manifests_in(folder)
    if any(shard is not None and shard.count != count for shard in found.values()):
        raise InputError(f"{folder}: holds shards of another split; run 'openvista batch merge {folder}' first")


def _progress_files(plan: CohortPlan) -> list[Path]:
    return list(plan.state.glob("progress.*-of-*.json"))


def _sum(plan: CohortPlan) -> Tally:
    """The numbers of all shards, from the files that they write."""
    tally = Tally(len(plan.cases))
    for file in _progress_files(plan):
        try:
            content = loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        tally.kept += content["kept"]
        tally.done += content["done"]
        tally.left_aside += content["quarantined_before"]
        tally.running += content["running"]
        tally.retries += content["retries"]
        for kind in KINDS:
            tally.failed[kind] += content["failed"].get(kind, 0)
    return tally
