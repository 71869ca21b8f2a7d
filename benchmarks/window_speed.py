"""One window through the network: MONAI's vista3d132 as shipped, under autocast, and ours. Random weights.

All ways take turns in one process, and the median counts, so that ratios hold even where the machine's speed drifts.

    python benchmarks/window_speed.py                 # preset vista3d, 128³
    python benchmarks/window_speed.py --retain-heap   # as load_model does on a CPU
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from monai.networks.nets import vista3d132

from openvista.inference.device import cpu_has_bfloat16, plan_compute
from openvista.inference.window_network import WindowNetwork
from openvista.memory import retain_heap
from openvista.network import VISTA3D, build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=128, help="voxels of the window per axis")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--retain-heap", action="store_true")
    arguments = parser.parse_args()
    if arguments.retain_heap:
        print("retained heap:", retain_heap())
    torch.manual_seed(0)
    window_XYZ = torch.rand((arguments.side,) * 3)
    ways = {**peers(window_XYZ), **ours(window_XYZ)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(arguments.rounds + 1):
        for name, run in ways.items():
            began = time.perf_counter()
            run()
            if number > 0:  # the first round warms up
                seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    reference = next(iter(medians.values()))
    for name, median in medians.items():
        spread = f"{min(seconds[name]):.2f} to {max(seconds[name]):.2f}"
        print(f"{name:<28} {median:7.2f} s ({spread}), {reference / median:5.2f} times the peer's speed")


def peers(window_XYZ: torch.Tensor) -> dict[str, Callable[[], object]]:
    network = vista3d132(in_channels=1).eval()
    image, prompt = window_XYZ[None, None], torch.tensor([[1]])

    @torch.no_grad()
    def run(autocast: bool) -> object:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return network(image, class_vector=prompt)

    ways: dict[str, Callable[[], object]] = {"peer float32 (as shipped)": lambda: run(False)}
    if cpu_has_bfloat16():  # emulated, it takes minutes
        ways["peer bfloat16 autocast"] = lambda: run(True)
    return ways


def ours(window_XYZ: torch.Tensor) -> dict[str, Callable[[], object]]:
    def ready(precision: str) -> Callable[[], object]:
        network = WindowNetwork(build(VISTA3D, seed=0), plan_compute("cpu", precision))
        embeddings_KC = network.embeddings([1])
        return lambda: network.logits(embeddings_KC, window_XYZ)

    chosen = plan_compute("cpu", "auto")
    print("planned here:", chosen)
    precisions = ["float32", *(["bfloat16"] if chosen.dtype == torch.bfloat16 else [])]
    return {f"ours {precision}": ready(precision) for precision in precisions}


if __name__ == "__main__":
    main()
