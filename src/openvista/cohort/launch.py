"""A cohort from the first look at its manifest to its report: what the command, Slurm's tasks and benchmarks call."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from openvista.cohort.case import CohortCase, Segmenter
from openvista.cohort.driver import drive, what_to_do
from openvista.cohort.engines import CohortEngine
from openvista.cohort.engines.local import LocalEngine
from openvista.cohort.manifest import JobKey, Shard, last_states, manifest_path, manifests_in, open_manifest
from openvista.cohort.storage import Place, local_path, reaching
from openvista.cohort.tally import Tally, write_progress, write_prometheus
from openvista.errors import InputError
from openvista.io.atomic import make_folder

_EVERY_S = 2.0
"""How often progress is written."""
_STORE_EVERY_S = 60.0
"""How often the manifest is stored beside results in a bucket, for the case that this machine does not come back."""
CORES_PER_WORKER = 1
"""Of a CPU. While one worker reads or writes, which takes a core, another computes; each holds its own weights and
scan. benchmarks/batch.py measures whether fewer workers with more cores do more on a machine."""

Tell = Callable[[Tally], None]


@dataclass(frozen=True, kw_only=True)
class CohortPlan:
    """A run over a cohort, or over a shard of it.

    Attributes:
        cases: of the run; with a shard, those of the shard.
        segmenter: what to do with each.
        weights_sha256: of the model.
        names: of its classes that are looked for, by id.
        state: folder of the manifest; the output folder, where that is on a file system.
        shard: which part this is.
        verify: compare the SHA-256 of what is there.
        again: try what is in quarantine.
        case_seconds: of a try; ``None`` for any time.
        prometheus: file for Prometheus.
    """

    cases: tuple[CohortCase, ...]
    segmenter: Segmenter
    weights_sha256: str
    names: dict[int, str]
    state: Path
    shard: Shard | None = None
    verify: bool = False
    again: bool = False
    case_seconds: float | None = None
    prometheus: Path | None = None

    @property
    def key(self) -> JobKey:
        """What decides whether earlier results still count."""
        return JobKey(self.segmenter.sha256(), self.weights_sha256)

    def of_shard(self, shard: Shard) -> "CohortPlan":
        """The run over a part of this one's cases."""
        return replace(self, cases=tuple(shard.part(self.cases)), shard=shard)

    @property
    def progress_file(self) -> Path:
        """Where the numbers of the run are while it goes on."""
        return self.state / f"progress{'' if self.shard is None else f'.{self.shard}'}.json"


def run_cohort(plan: CohortPlan, start: Callable[[int], CohortEngine], tell: Tell = lambda tally: None) -> Tally:
    """Do what is left to do, and note it in the manifest.

    Args:
        plan: the run.
        start: makes the workers, for so many tries; not called where there is nothing to do.
        tell: called after each change, and at least twice a second.

    Raises:
        InputError: another driver works in the folder, or its manifest is of another version.
        OutputError: the folder cannot be written.
        OpenVistaError: workers cannot begin.
    """
    place = Place(plan.segmenter.output)
    if place.is_remote:
        _fetch_manifests(place, plan)
    with open_manifest(plan.state, plan.shard, plan.key) as manifest:
        states = last_states(manifests_in(plan.state))
        todo = what_to_do(plan.cases, states, plan.key, place, plan.verify, plan.again)
        del states
        manifest.begin(len(plan.cases), plan.names)
        written, stored = -_EVERY_S, time.monotonic()

        def shown(tally: Tally) -> None:
            nonlocal written, stored
            tell(tally)
            if time.monotonic() - written >= _EVERY_S:
                _write_numbers(tally, plan)
                written = time.monotonic()
            if place.is_remote and time.monotonic() - stored >= _STORE_EVERY_S:
                publish(plan, manifest.path)
                stored = time.monotonic()

        if not todo.attempts:
            tally = Tally(len(plan.cases), todo.kept, todo.left_aside)
        else:
            engine = start(len(todo.attempts))
            try:
                tally = drive(todo, engine, manifest, shown)
            finally:
                engine.close()
        tell(tally)
        _write_numbers(tally, plan)
    if place.is_remote:
        publish(plan, manifest.path)
    return tally


def publish(plan: CohortPlan, *files: Path) -> None:
    """Store files about the run in the bucket, beside the results.

    Raises:
        InputError: it cannot be reached.
    """
    with reaching(plan.segmenter.output):
        for file in files:
            Place(plan.segmenter.output).put(file, file.name)


def local_engine(plan: CohortPlan, workers: int | None, tries: int) -> LocalEngine:
    """Workers on this machine, as :func:`local_plans` says.

    Raises:
        DeviceError: there is no such device.
    """
    return LocalEngine(local_plans(plan.segmenter, workers, tries), plan.case_seconds)


def local_plans(segmenter: Segmenter, workers: int | None, tries: int) -> list[Segmenter]:
    """One plan for each GPU, or for so many cores of the CPU; never more than there are tries.

    Args:
        segmenter: what to do.
        workers: how many, if the user says it.
        tries: to be done.

    Raises:
        DeviceError: there is no such device.
    """
    import torch

    from openvista.inference.device import find_device

    device = find_device(segmenter.device)
    if device.type == "cuda" and device.index is None:
        devices = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    else:
        devices = [str(device)]
    cores = torch.get_num_threads()
    usual = len(devices) if device.type != "cpu" else max(1, cores // CORES_PER_WORKER)
    count = min(workers or usual, tries)
    threads = max(1, cores // count)
    return [replace(segmenter, device=devices[index % len(devices)], threads=threads) for index in range(count)]


def state_folder(output: str, state: Path | None) -> Path:
    """Where the manifest of an output lies: in it, or, for a bucket, where the user says.

    A manifest grows line by line, which buckets cannot do.
    """
    place = Place(output)
    if not place.is_remote:
        return state or local_path(output)
    if state is None:
        raise InputError(f"{output}: give a folder on this machine for the manifest, too: --state FOLDER")
    return state


def _fetch_manifests(place: Place, plan: CohortPlan) -> None:
    """What runs on other machines have noted, where this one knows nothing yet."""
    make_folder(plan.state)
    for path in {manifest_path(plan.state, None), manifest_path(plan.state, plan.shard)}:
        if not path.exists():
            place.get(path.name, path)


def _write_numbers(tally: Tally, plan: CohortPlan) -> None:
    write_progress(tally, plan.progress_file)
    if plan.prometheus is not None:
        write_prometheus(tally, plan.prometheus)
