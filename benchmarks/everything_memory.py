"""Time and peak memory of everything around the network, for 117 classes: ours, and the peer's way.

The network is a stand-in (smooth random 48-channel features) and its time is subtracted. The peer's way: MONAI's
sliding_window_inference over float32 logits of all classes, argmax, nearest back to the scan's grid. Each design runs
in a process of its own.

    python benchmarks/everything_memory.py --shape 512 512 600                 # ours only
    python benchmarks/everything_memory.py --shape 512 512 200 --peer          # both, with the ratio
    python benchmarks/everything_memory.py --shape 512 512 200 --network       # both, file to file, with the network
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from stand_ins import StandIn, made_up_scan

from openvista.bench.contest import FULL, Contest, body_scan
from openvista.geometry.grid import Axis3, Float3
from openvista.inference.automatic import WindowQuestion, label_windowed
from openvista.inference.labelling import Decision
from openvista.inference.profiles import BEST
from openvista.inference.stitching import Storage
from openvista.inference.windows import cut_windows
from openvista.io import read_scan, write_scan
from openvista.memory import retain_heap
from openvista.network import VISTA3D
from openvista.prepare import Prepared, prepare

CPU = torch.device("cpu")
CHANNELS = VISTA3D.filters
WHOLE = ("whole-ours", "whole-peer", "whole-autocast")


@dataclass(frozen=True)
class Measured:
    """One run: seconds without the stand-in, and the process's peak memory."""

    design: str
    windows: int
    prepare_seconds: float
    label_seconds: float
    peak_gb: float
    labels_found: int


def main() -> None:
    arguments = parse()
    if arguments.design in WHOLE:
        print(measure_whole(arguments))
        return
    if arguments.design:
        print(json.dumps(asdict(measure(arguments))))
        return
    if arguments.network:
        compare_whole()
        return
    designs = ["ours-exact", "ours-smooth", *(["peer"] if arguments.peer else [])]
    results = [run_alone(design) for design in designs]
    print(f"{'design':<12} {'windows':>7} {'prepare s':>9} {'rest s':>7} {'peak GB':>8} {'classes':>8}")
    for one in results:
        numbers = f"{one.windows:>7} {one.prepare_seconds:>9.1f} {one.label_seconds:>7.1f} {one.peak_gb:>8.2f}"
        print(f"{one.design:<12} {numbers} {one.labels_found:>8}")
    if arguments.peer:
        for one in results[:-1]:
            time_ratio, memory_ratio = results[-1].label_seconds / one.label_seconds, results[-1].peak_gb / one.peak_gb
            print(f"peer / {one.design}: {time_ratio:.1f} in time without prepare, {memory_ratio:.1f} in peak memory")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 200))
    parser.add_argument("--spacing", type=float, nargs=3, default=(0.8, 0.8, 2.0))
    parser.add_argument("--classes", type=int, default=117)
    parser.add_argument("--overlap", type=float, default=0.3)
    parser.add_argument("--storage", choices=("float16", "float32"), default="float16")
    parser.add_argument("--keep-air", action="store_true", help="look at the whole frame, as the peer does")
    parser.add_argument("--retain-heap", action="store_true")
    parser.add_argument("--peer", action="store_true", help="run the peer's way as well and print the ratio")
    parser.add_argument("--network", action="store_true", help="peak memory from file to file, 48 filters, both sides")
    parser.add_argument("--design", choices=("ours-exact", "ours-smooth", "peer", *WHOLE), help=argparse.SUPPRESS)
    return parser.parse_args()


def compare_whole() -> None:
    """Peak memory of the processes that ``openvista bench --full --only everything`` times."""
    peaks = {}
    for design in WHOLE:
        command = [sys.executable, *sys.argv, "--design", design]
        peaks[design] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{design:<16} {peaks[design]:>6.2f} GB {peaks[design] / peaks[WHOLE[0]]:>5.1f} times ours", flush=True)


def measure_whole(arguments: argparse.Namespace) -> float:
    """GB at most, from a file with a made-up CT to a file with its labels."""
    contest = Contest(FULL, device="cpu")
    is_ours, class_ids = arguments.design == "whole-ours", contest.class_ids
    side = contest.model() if is_ours else contest.peer()
    del contest  # it has copies of the weights that users have not
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # making it takes more memory than reading it
            path = folder / "ct.nii.gz"
            apart.submit(write_body, tuple(arguments.shape), tuple(arguments.spacing), path).result()
        if is_ours:
            retain_heap()  # as load_model does
            side.segment(read_scan(path), class_ids).save(folder / "labels.nii.gz")
        else:
            side.segment(path, class_ids, arguments.design == "whole-autocast", folder)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def write_body(shape: Axis3, spacing: Float3, path: Path) -> None:
    write_scan(body_scan(shape, spacing), path)


def run_alone(design: str) -> Measured:
    command = [sys.executable, *sys.argv, "--design", design]
    return Measured(**json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def measure(arguments: argparse.Namespace) -> Measured:
    if arguments.retain_heap:
        retain_heap()
    scan = made_up_scan(tuple(arguments.shape), tuple(arguments.spacing))
    began = time.perf_counter()
    prepared = prepare(scan, VISTA3D.spacing, VISTA3D.hu_window)
    ready = time.perf_counter()
    embeddings_KC = torch.randn((arguments.classes, CHANNELS), generator=torch.Generator().manual_seed(1))
    run = peer if arguments.design == "peer" else ours
    labels, windows, stand_in_seconds = run(prepared, embeddings_KC, arguments)
    return Measured(
        design=arguments.design,
        windows=windows,
        prepare_seconds=ready - began,
        label_seconds=time.perf_counter() - ready - stand_in_seconds,
        peak_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        labels_found=len(np.unique(labels)) - 1,
    )


def ours(
    prepared: Prepared, embeddings_KC: torch.Tensor, arguments: argparse.Namespace
) -> tuple[np.ndarray, int, float]:
    profile = BEST.override(
        overlap=arguments.overlap, mode=arguments.design.removeprefix("ours-"), skip_air=not arguments.keep_air
    )
    windowed = cut_windows(prepared, VISTA3D, profile)
    stand_in = StandIn(windowed.plan, CHANNELS, torch.bfloat16)
    spent = [0.0]

    def features(_: torch.Tensor) -> torch.Tensor:
        began = time.perf_counter()
        features_XYZC = stand_in.features(next(stand_in.starts))[0].permute(1, 2, 3, 0)
        spent[0] += time.perf_counter() - began
        return features_XYZC

    ids = tuple(range(1, len(embeddings_KC) + 1))
    question = WindowQuestion(ids, partial(map, features), CHANNELS, Decision(embeddings_KC, 1 << 16))
    storage = Storage(CPU, getattr(torch, arguments.storage))
    labels = label_windowed(windowed, question, storage)
    return labels, len(windowed.plan.starts), spent[0]


def peer(
    prepared: Prepared, embeddings_KC: torch.Tensor, arguments: argparse.Namespace
) -> tuple[np.ndarray, int, float]:
    from monai.data import MetaTensor
    from monai.inferers import sliding_window_inference
    from monai.transforms import SpatialResample

    plan = cut_windows(prepared, VISTA3D, BEST.override(overlap=arguments.overlap, skip_air=False)).plan
    stand_in = StandIn(plan, CHANNELS, torch.float32)
    starts = iter(plan.starts)  # MONAI visits windows in this order
    spent = [0.0]

    def predict(_: torch.Tensor) -> torch.Tensor:
        began = time.perf_counter()
        features = stand_in.features(next(starts))
        logits = torch.einsum("kc,ncxyz->nkxyz", embeddings_KC, features)  # inside the peer's network
        spent[0] += time.perf_counter() - began
        return logits

    logits = sliding_window_inference(
        prepared.image_XYZ[None, None], VISTA3D.window, 1, predict, overlap=arguments.overlap, mode="gaussian"
    )[0]
    best, index = logits.max(0)
    labels = MetaTensor(torch.where(best > 0, index + 1, 0)[None].float(), affine=torch.tensor(prepared.grid.affine))
    back = SpatialResample(mode="nearest", padding_mode="border", align_corners=True)
    restored = back(labels, dst_affine=prepared.scan_grid.affine, spatial_size=prepared.scan_grid.shape)
    return restored[0].numpy(), len(plan.starts), spent[0]


if __name__ == "__main__":
    main()
