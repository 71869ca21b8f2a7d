"""Seconds per training step: MONAI's vista3d132 and ours, equal weights, equal batch, one process.

A step is forward, Dice + cross-entropy, backward, clipping and AdamW over a batch of windows, each asked for the same
classes. The peer takes one window at a time, as its forward demands, and sums the gradients; ours takes the batch.
Neither prepares data. The first losses are compared: they have to agree.

    python benchmarks/train_speed.py                          # 16 filters, 64³, 2 windows, 8 classes
    python benchmarks/train_speed.py --precision bfloat16     # both under autocast; for CPUs with bfloat16 instructions
    python benchmarks/train_speed.py --precision bfloat16 --peers-precision float32   # each as it runs by default
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

import torch
from monai.networks.nets import vista3d132
from torch import Tensor, nn

from openvista.memory import retain_heap
from openvista.network import Vista3D, build_empty
from openvista.network.class_head import dot_logits
from openvista.train.objective import dice_bce_loss
from openvista.weights.naming import UNREAD
from openvista.weights.official import adapt

Step = Callable[[], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--window", type=int, default=64, help="voxels per axis, a multiple of 16")
    parser.add_argument("--batch", type=int, default=2, help="windows per step")
    parser.add_argument("--classes", type=int, default=8, help="asked of each window")
    parser.add_argument("--steps", type=int, default=5, help="of each, taking turns; medians are compared")
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--peers-precision", choices=("float32", "bfloat16"), help="if another than ours")
    parser.add_argument("--plain-heap", action="store_true", help="do not keep freed memory; 'openvista train' does")
    arguments = parser.parse_args()
    if not arguments.plain_heap:
        retain_heap()
    torch.manual_seed(0)
    images_N1XYZ = torch.rand(arguments.batch, 1, *(arguments.window,) * 3)
    ids_K = torch.arange(1, arguments.classes + 1)
    targets_NKXYZ = torch.rand(arguments.batch, arguments.classes, *(arguments.window,) * 3) > 0.9
    official = vista3d132(in_channels=1, encoder_embed_dim=arguments.filters).train()
    mine = same_weights(official, arguments.window)

    peers_precision = arguments.peers_precision or arguments.precision
    peer = peers_step(official, images_N1XYZ, ids_K, targets_NKXYZ, partial(autocast, peers_precision))
    ours = our_step(mine, images_N1XYZ, ids_K, targets_NKXYZ, partial(autocast, arguments.precision))
    print(f"first loss: peer {peer():.5f}, ours {ours():.5f}")
    seconds: dict[str, list[float]] = {"peer": [], "ours": []}
    for _ in range(arguments.steps):
        for name, step in (("peer", peer), ("ours", ours)):
            began = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - began)
            print(f"  {name}: {seconds[name][-1]:.2f} s", flush=True)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"seconds per step: {medians}; peer / ours {medians['peer'] / medians['ours']:.2f}")


def autocast(precision: str) -> AbstractContextManager[None]:
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")


def same_weights(official: nn.Module, side: int) -> Vista3D:
    """Our network with the peer's weights, ready to train as ``openvista train`` has it."""
    checkpoint = adapt(official.state_dict())
    network = build_empty(replace(checkpoint.preset, window=(side,) * 3))
    tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items() if not name.startswith(UNREAD)}
    network.load_state_dict(tensors, strict=True, assign=True)
    network.requires_grad_(True)
    return network.train().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


def peers_step(
    network: nn.Module, images_N1XYZ: Tensor, ids_K: Tensor, targets_NKXYZ: Tensor, precision: Callable
) -> Step:
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def step() -> float:
        total = 0.0
        for image_1XYZ, targets_KXYZ in zip(images_N1XYZ, targets_NKXYZ, strict=True):
            with precision():
                logits_K1XYZ = network(image_1XYZ[None], class_vector=ids_K[:, None])
            loss = dice_bce_loss(logits_K1XYZ[:, 0].float(), targets_KXYZ) / len(images_N1XYZ)
            loss.backward()
            total += loss.item()
        update(network, optimiser)
        return total

    return step


def our_step(network: Vista3D, images_N1XYZ: Tensor, ids_K: Tensor, targets_NKXYZ: Tensor, precision: Callable) -> Step:
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    images = images_N1XYZ.contiguous(memory_format=torch.channels_last_3d)

    def step() -> float:
        with precision():
            features_NCXYZ = network.automatic_features(images)
        embeddings_KC = network.class_embeddings(ids_K)
        losses = [
            dice_bce_loss(dot_logits(embeddings_KC, features_1CXYZ.float())[0], targets_KXYZ)
            for features_1CXYZ, targets_KXYZ in zip(features_NCXYZ.split(1), targets_NKXYZ, strict=True)
        ]
        loss = torch.stack(losses).mean()
        loss.backward()
        update(network, optimiser)
        return loss.item()

    return step


def update(network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    nn.utils.clip_grad_norm_([one for one in network.parameters() if one.grad is not None], 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


if __name__ == "__main__":
    main()
