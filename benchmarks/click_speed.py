"""Seconds per click: MONAI's point_based_window_inferer, as the bundle calls it, and a session of ours. Equal weights.

Random weights, one object, all clicks inside one window, one run. The peer looks at one window per click in the list,
every time; ours looks at the window once. Ours includes everything up to the finished mask (components, merging); the
peer's time is the inferer's alone. The first answer is also compared in value: there both windows coincide.

    python benchmarks/click_speed.py                              # 48 filters, 128³: the published size
    python benchmarks/click_speed.py --filters 16 --window 64     # a smaller one
    python benchmarks/click_speed.py --retain-heap                # as load_model does on a CPU; serves both
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from monai.apps.vista3d.inferer import point_based_window_inferer
from monai.data import MetaTensor
from monai.networks.nets import vista3d132

from openvista.geometry.grid import Grid
from openvista.inference.device import plan_compute
from openvista.memory import retain_heap
from openvista.model import Model
from openvista.network import Vista3D, build_empty
from openvista.prompts import Click
from openvista.scan import Scan
from openvista.session.click_engine import GridClick
from openvista.session.session import Session
from openvista.weights import ModelCard
from openvista.weights.naming import UNREAD
from openvista.weights.official import adapt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filters", type=int, default=48)
    parser.add_argument("--window", type=int, default=128, help="voxels per axis, a multiple of 16")
    parser.add_argument("--clicks", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1, help="medians are taken")
    parser.add_argument("--precision", default="auto", help="of ours; the peer computes in float32, as shipped")
    parser.add_argument("--retain-heap", action="store_true")
    parser.add_argument("--cpu-time", action="store_true", help="seconds of processor instead of wall (busy machines)")
    arguments = parser.parse_args()
    if arguments.retain_heap:
        print("retained heap:", retain_heap())
    torch.manual_seed(0)
    official = vista3d132(in_channels=1, encoder_embed_dim=arguments.filters).eval()
    model, scan = ours(official, arguments.window, arguments.precision), made_up(arguments.window)
    clicks = clicks_in_one_window(arguments.window, arguments.clicks)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    peer_rounds, our_rounds = [], []
    warm_up(official, model, scan, arguments.window, clicks[:1])
    for _ in range(arguments.rounds):
        session = model.open(scan)
        image = session.open_scan.prepared.image_XYZ  # both start from the prepared image
        our_rounds.append(time_ours(session, clicks, clock))
        theirs, seconds = time_peer(official, image, arguments.window, clicks, clock)
        peer_rounds.append(seconds)
    agreement(session, theirs, clicks[0])
    report(medians(peer_rounds), medians(our_rounds))


def ours(official: torch.nn.Module, side: int, precision: str) -> Model:
    """Our model with the peer's weights, seeing voxels of 1.5 mm and HU as the bundle does."""
    checkpoint = adapt(official.state_dict())
    preset = replace(checkpoint.preset, window=(side,) * 3)
    network: Vista3D = build_empty(preset)
    tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items() if not name.startswith(UNREAD)}
    network.load_state_dict(tensors, strict=True, assign=True)
    compute = plan_compute("cpu", precision)
    print("ours computes on:", compute)
    return Model(network, ModelCard.from_preset(preset, name="random", classes=(1,)), compute)


def made_up(side: int) -> Scan:
    """Noisy soft tissue, a quarter larger than a window, with voxels of 1.5 mm."""
    shape = (side + side // 4,) * 3
    voxels = np.random.default_rng(0).normal(40, 60, shape).astype(np.int16)
    return Scan(voxels, Grid(shape, np.diag([1.5, 1.5, 1.5, 1.0])))


def clicks_in_one_window(side: int, count: int) -> list[Click]:
    """The first where the window of both is the one at the origin; the others near it."""
    random = np.random.default_rng(1)
    places = [np.full(3, side // 2)] + [side // 2 + random.integers(-side // 5, side // 5, 3) for _ in range(count - 1)]
    return [Click(tuple(float(x) for x in place), number != 1) for number, place in enumerate(places)]


def warm_up(network: torch.nn.Module, model: Model, scan: Scan, side: int, clicks: list[Click]) -> None:
    """Imports, kernels and memory of both, outside the times."""
    session = model.open(scan)
    time_ours(session, clicks, time.perf_counter)
    time_peer(network, session.open_scan.prepared.image_XYZ, side, clicks, time.perf_counter)
    print("  (that was the warm-up)")


def time_ours(session: Session, clicks: list[Click], clock: Callable[[], float]) -> list[float]:
    seconds = []
    for click in clicks:
        began = clock()
        session.clicks([click], grow=False)
        seconds.append(clock() - began)
        print(f"  ours, click {len(seconds)}: {seconds[-1]:.2f} s", flush=True)
    return seconds


@torch.no_grad()
def time_peer(
    network: torch.nn.Module, image_XYZ: torch.Tensor, side: int, clicks: list[Click], clock: Callable[[], float]
) -> tuple[torch.Tensor, list[float]]:
    """Seconds per click, and the logits after the first."""
    image, seconds, first = MetaTensor(image_XYZ[None, None]), [], torch.empty(0)
    for count in range(1, len(clicks) + 1):
        points = torch.tensor([[click.voxel for click in clicks[:count]]])
        labels = torch.tensor([[int(click.positive) for click in clicks[:count]]])
        began = clock()
        logits = point_based_window_inferer(
            inputs=image,
            roi_size=(side,) * 3,
            predictor=network,
            point_coords=points,
            point_labels=labels,
            transpose=True,
        )
        seconds.append(clock() - began)
        print(f"  peer, click {count}: {seconds[-1]:.2f} s", flush=True)
        first = logits[0, 0] if count == 1 else first
    return first.as_tensor(), seconds  # type: ignore[attr-defined]


def agreement(session: Session, theirs_XYZ: torch.Tensor, click: Click) -> None:
    """How far the answers to the first click are from each other."""
    while len(session.object("object").clicks) > 1:
        session.undo()
    engine = session.open_scan.object_masks.engine
    window = session.object("object").state.inputs.windows[0]
    placed = [GridClick(session.open_scan.to_model(click.voxel), click.positive)]
    part = engine.answer(window, placed, special=False, zero_shot=False)
    expected = theirs_XYZ[part.slices].numpy()
    difference = np.abs(part.values_XYZ.astype(np.float32) - expected).max() / np.abs(expected).max()
    print(
        f"first answer: largest difference {difference:.1e} of the largest logit (answers are kept in half precision)"
    )


def medians(rounds: list[list[float]]) -> list[float]:
    return [statistics.median(values) for values in zip(*rounds, strict=True)]


def report(peer: list[float], own: list[float]) -> None:
    print(f"{'click':>5} {'peer s':>8} {'ours s':>8} {'ours / peer':>12}")
    for number, (theirs, mine) in enumerate(zip(peer, own, strict=True), start=1):
        print(f"{number:>5} {theirs:>8.2f} {mine:>8.2f} {'1/' + format(theirs / mine, '.1f'):>12}")


if __name__ == "__main__":
    main()
