"""From how many classes on is stitching features cheaper than stitching logits? The network's time is left out.

python benchmarks/crossover.py
"""

import argparse
import time
from functools import partial

import torch
from stand_ins import StandIn, made_up_scan

from openvista.inference.automatic import WindowQuestion, label_windowed
from openvista.inference.labelling import Decision
from openvista.inference.profiles import BEST
from openvista.inference.stitching import Storage
from openvista.inference.windows import cut_windows
from openvista.network import VISTA3D
from openvista.prepare import prepare

CHANNELS = VISTA3D.filters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(300, 300, 120))
    parser.add_argument("--classes", type=int, nargs="+", default=(1, 4, 16, 32, 48, 64, 117))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    prepared = prepare(made_up_scan(tuple(arguments.shape), (1.0, 1.0, 2.0)), VISTA3D.spacing, VISTA3D.hu_window)
    windowed = cut_windows(prepared, VISTA3D, BEST)
    plan = windowed.plan
    stand_in = StandIn(plan, CHANNELS, torch.bfloat16)
    window_XYZC = stand_in.features(plan.starts[0])[0].permute(1, 2, 3, 0)
    storage = Storage(torch.device("cpu"), torch.float16)
    print(f"{len(plan.starts)} windows, model grid {prepared.grid.shape}, seconds without the network")
    print(f"{'classes':>7} {'features':>9} {'logits':>9} {'features / logits':>18}")
    for classes in arguments.classes:
        embeddings_KC = torch.randn((classes, CHANNELS), generator=torch.Generator().manual_seed(1))
        questions = questions_of(window_XYZC, embeddings_KC)
        seconds = [best_time(lambda q=q: label_windowed(windowed, q, storage), arguments.repeats) for q in questions]
        print(f"{classes:>7} {seconds[0]:>9.2f} {seconds[1]:>9.2f} {seconds[0] / seconds[1]:>18.2f}")


def questions_of(window_XYZC: torch.Tensor, embeddings_KC: torch.Tensor) -> tuple[WindowQuestion, WindowQuestion]:
    """The same question by features and by logits."""

    def logits(_: torch.Tensor) -> torch.Tensor:
        return torch.stack([plane_YZC.float() @ embeddings_KC.T for plane_YZC in window_XYZC])

    ids = tuple(range(1, len(embeddings_KC) + 1))
    known = partial(map, lambda _: window_XYZC)
    by_features = WindowQuestion(ids, known, CHANNELS, Decision(embeddings_KC, 1 << 16))
    return by_features, WindowQuestion(ids, partial(map, logits), len(ids), Decision(None, 1 << 16))


def best_time(run: object, repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()  # type: ignore[operator]
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    main()
