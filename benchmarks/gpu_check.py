"""Everything that only a GPU shows, in one run of a few minutes that writes one JSON: for whoever has a GPU at hand.

Labels and masks against the CPU; ours against the peer, as shipped and under autocast (parts of ``openvista bench``:
windows, a whole scan, clicks, a training step); TFLOP/s of a window; windows in batches and by CUDA graphs; scans one
by one and with several in hand; peak memory; a step under torchrun in one process, whose loss must be the plain one;
and the tests marked ``gpu``.

    python benchmarks/gpu_check.py -o gpu.json                  # published size; written, never run on a GPU
    python benchmarks/gpu_check.py -o cpu.json --device cpu     # the same code, small
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import distributed
from torch.utils.flop_counter import FlopCounterMode

from openvista.bench.contest import Contest, Sizes, body_scan, smooth_scan
from openvista.bench.figures import describe_machine
from openvista.bench.parts import (
    PARTS,
    OurSteps,
    agreement,
    training_batch,
    training_recipe,
)
from openvista.distributed import Ranks
from openvista.inference.device import training_precision
from openvista.io import read_labels, read_scan, write_scan
from openvista.pipeline import Pipeline
from openvista.train.learner import Learner

BIG = Sizes(filters=48, window=128, shape=(512, 512, 200), spacing=(0.8, 0.8, 2.0), classes=117)
SMALL = Sizes(filters=8, window=32, shape=(40, 40, 36), classes=5)
ALIKE = 0.999
DIFFERENT = 0.1
"""Of a feature's standard deviation: more is not rounding, not even in half precision."""
TESTS = Path(__file__).parents[1] / "tests"


def main() -> None:
    arguments = parse()
    if arguments.one_process:
        print(json.dumps(step_in_a_group(arguments.device)))
        return
    began = time.monotonic()
    contest = Contest(SMALL if arguments.device == "cpu" else BIG, None, arguments.device)
    checks: dict[str, Callable[[], Any]] = {
        "machine": lambda: describe_machine(contest.device).model_dump(),
        "against the CPU": lambda: against_the_cpu(arguments.device),
        "against the peer": lambda: agreement(contest).model_dump(),
        "window": lambda: arithmetic(contest),
        "batches": lambda: batches(contest),
        "several scans": lambda: several_scans(contest, arguments.rounds),
        "training under torchrun": lambda: under_torchrun(arguments.device),
        "tests": lambda: marked_tests(contest.device),
        **{f"bench {part}": lambda part=part: bench(contest, part, arguments.rounds) for part in arguments.parts},
    }
    found: dict[str, Any] = {"seconds": {}}
    for name, check in checks.items():
        if time.monotonic() - began > arguments.minutes * 60:
            found[name] = "left out: the time was over"
            continue
        started = time.monotonic()
        try:
            found[name] = check()
        except Exception as error:  # noqa: BLE001 one check that fails should not cost the results of the others
            found[name] = {"failed": f"{type(error).__name__}: {error}"}
        found["seconds"][name] = round(time.monotonic() - started, 1)
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")  # a run that is cut off has told this much
        print(name, json.dumps(found[name])[:300], flush=True)
    failures = [name for name, one in found.items() if isinstance(one, dict) and "failed" in one]
    print(f"{time.monotonic() - began:.0f} s; failed: {', '.join(failures) or 'nothing'}")
    sys.exit(1 if failures else 0)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu_check.json"))
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for the same code on small sizes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=7, help="no check begins later than this")
    parser.add_argument("--parts", nargs="*", default=["window", "click", "training", "everything"])
    parser.add_argument("--one-process", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def against_the_cpu(device: str) -> dict[str, float]:
    """Share of equal voxels, labels and the mask of a click; the starter, planned precision there, float32 here."""
    scan = smooth_scan((60, 56, 48), (3.9, 3.9, 2.5))
    here, there = (
        Contest(Sizes(), "starter", where).model(precision)
        for where, precision in (("cpu", "float32"), (device, "auto"))
    )
    labels = [model.segment(scan).labels for model in (here, there)]
    masks = []
    for model in (here, there):
        session = model.open(scan)
        target = session.new_object("object")
        session.click((30, 28, 24), target, grow=False)
        masks.append(session.object("object").mask)
    same = {"labels": float(np.mean(labels[0] == labels[1])), "click": float(np.mean(masks[0] == masks[1]))}
    if min(same.values()) < ALIKE:
        raise AssertionError(f"less than {ALIKE} of the voxels are equal: {same}")
    return same


def arithmetic(contest: Contest) -> dict[str, float]:
    """Of one window: operations (a multiplication and an addition are two), rate, and peak memory of the device."""
    model = contest.model()
    window_XYZ = torch.zeros(contest.preset.window, device=contest.device)
    with FlopCounterMode(display=False) as counter:
        model.network.features(window_XYZ)
    is_cuda = contest.device.type == "cuda"
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(contest.device)
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        model.network.features(window_XYZ)
        if is_cuda:
            torch.cuda.synchronize(contest.device)
        seconds.append(time.perf_counter() - began)
    fastest = min(seconds)
    peak = torch.cuda.max_memory_allocated(contest.device) / 1e9 if is_cuda else 0.0
    operations = counter.get_total_flops() / 1e12
    return {"tflop": operations, "seconds": fastest, "tflop_per_s": operations / fastest, "peak_gb": peak}


def batches(contest: Contest) -> dict[str, dict[str, float]]:
    """Windows a second and peak memory: one by one, in batches, and both with the launches recorded.

    Their features must be those of single windows, but for rounding.
    """
    generator = torch.Generator().manual_seed(0)
    windows = list(torch.rand((16, *contest.preset.window), generator=generator).to(contest.device))
    is_cuda, found = contest.device.type == "cuda", {}
    plain, recorded = contest.model().network, contest.model().network
    recorded.compute = replace(recorded.compute, cuda_graphs=is_cuda)
    alone = plain.features(windows[5]).float()
    for name, network in {"as planned": plain, **({"recorded": recorded} if is_cuda else {})}.items():
        for batch in sorted({1, 2, network.batch}):
            network.batch = batch
            together = list(network.stream(windows))[5].float()  # a warm-up, too
            error = float((together - alone).abs().max() / alone.std())
            if error > DIFFERENT:
                raise AssertionError(f"{name}, {batch} at once: features differ by {error:.3f}")
            if is_cuda:
                torch.cuda.reset_peak_memory_stats(contest.device)
            seconds = timed(contest, lambda network=network: deque(network.stream(windows), maxlen=0))
            peak = torch.cuda.max_memory_allocated(contest.device) / 1e9 if is_cuda else 0.0
            row = {"windows_per_s": len(windows) / seconds, "peak_gb": peak, "error": error}
            found[f"{name}, {batch} at once"] = row
    return found


def timed(contest: Contest, work: Callable[[], Any]) -> float:
    """Seconds until the device is done with it."""
    began = time.perf_counter()
    work()
    if contest.device.type == "cuda":
        torch.cuda.synchronize(contest.device)
    return time.perf_counter() - began


def several_scans(contest: Contest, rounds: int) -> dict[str, float]:
    """Files to files: seconds of four scans one by one, and with the next being read and the last one written."""
    model, names = contest.model(), [f"ct{index}.nii.gz" for index in range(4)]
    shape = contest.sizes.shape
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index, ct in enumerate(names):
            write_scan(body_scan((*shape[:2], shape[2] // 2 + index), contest.sizes.spacing), folder / ct)

        def pipeline(out: Path) -> Pipeline[str, Any, Any]:
            out.mkdir(exist_ok=True)
            return Pipeline(
                lambda ct, room: (ct, model.prepare(read_scan(folder / ct), "best", room)),
                lambda one: (one[0], model.segment(one[1], contest.class_ids)),
                lambda one: one[1].save(out / one[0]),
                raise_it,
            )

        apart, together = pipeline(folder / "apart"), pipeline(folder / "together")
        seconds = [
            (timed(contest, lambda: apart.one_by_one(names)), timed(contest, lambda: together.run(names)))
            for _ in range(rounds)
        ]
        for ct in names:
            one, other = (read_labels(folder / out / ct)[0] for out in ("apart", "together"))
            if not np.array_equal(one, other):
                raise AssertionError(f"{ct}: the labels differ")
    apart_s, together_s = (median(side) for side in zip(*seconds, strict=True))
    return {"one_by_one_s": apart_s, "in_hand_s": together_s, "ratio": apart_s / together_s}


def raise_it(item: str, error: Exception | None) -> None:
    if error is not None:
        raise error


def bench(contest: Contest, part: str, rounds: int) -> list[dict[str, Any]]:
    """Rows of ``openvista bench``, with the device's peak memory of the whole part, both sides."""
    rows = [row.model_dump() for row in PARTS[part](contest, rounds)]
    if contest.device.type == "cuda":
        rows.append({"peak_gb": torch.cuda.max_memory_allocated(contest.device) / 1e9})
        torch.cuda.reset_peak_memory_stats(contest.device)
    return rows


def under_torchrun(device: str) -> dict[str, float]:
    """The loss of a step in a group of one process, and alone."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1", __file__]
    done = subprocess.run([*command, "--one-process", "--device", device], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr.strip().splitlines()[-1])
    losses: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    if abs(losses["alone"] - losses["group"]) > 1e-4 * abs(losses["alone"]):
        raise AssertionError(f"the losses differ: {losses}")
    return losses


def step_in_a_group(device: str) -> dict[str, float]:
    """What :func:`under_torchrun` starts."""
    where = torch.device(device, int(os.environ["LOCAL_RANK"])) if device == "cuda" else torch.device(device)
    if device == "cuda":
        torch.cuda.set_device(where)
    contest = Contest(SMALL, None, device)
    dtype = getattr(torch, training_precision(where))
    batch, recipe = training_batch(contest), training_recipe(contest)
    alone = OurSteps(contest, recipe, dtype).step(*batch)
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    in_group = OurSteps(contest, recipe, dtype)
    learner: Learner = in_group.learner
    learner.objective = torch.nn.parallel.DistributedDataParallel(learner.objective)
    learner.ranks = Ranks(0, distributed.get_world_size(), where)
    loss = in_group.step(*batch)
    distributed.destroy_process_group()
    return {"alone": alone, "group": loss}


def marked_tests(device: torch.device) -> str:
    """Last line of ``pytest -m gpu``."""
    if device.type != "cuda":
        return "left out: no GPU"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", str(TESTS / "inference")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TESTS.parent)
    last = done.stdout.strip().splitlines()[-1]
    if done.returncode:
        raise AssertionError(last)
    return last


if __name__ == "__main__":
    main()
