"""Single layers the ordinary way and ours: what the choices in ``openvista.network`` rest on.

Random numbers in float32, medians of rounds in which the two ways take turns; the results are compared.

    python benchmarks/layers.py                  # one thread
    python benchmarks/layers.py --threads 2
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from openvista.memory import retain_heap
from openvista.network.blocks import InstanceNorm
from openvista.network.convolution import convolved
from openvista.network.phases import convolved_phases, upsampled_phases

Layer = Callable[[], Tensor]
INNERMOST = torch.channels_last_3d


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    retain_heap()
    torch.manual_seed(0)
    for name, make in LAYERS.items():
        ordinary, ours, difference = compared(*make(), rounds=arguments.rounds)
        print(f"{name}: {1e3 * ordinary:.1f} ms, ours {1e3 * ours:.1f} ms; they differ by {difference:.0e} at most")


@torch.no_grad()
def compared(ordinary: Layer, ours: Layer, rounds: int) -> tuple[float, float, float]:
    """Median seconds of both, and the largest difference relative to the largest value."""
    expected = ordinary()
    difference = float((ours() - expected).abs().max() / expected.abs().max())
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for layer, times in zip((ordinary, ours), seconds, strict=True):
            began = time.perf_counter()
            layer()
            times.append(time.perf_counter() - began)
    return statistics.median(seconds[0]), statistics.median(seconds[1]), difference


def small_convolution() -> tuple[Layer, Layer]:
    image, kernel = torch.rand(1, 32, 24, 24, 24), torch.rand(32, 32, 3, 3, 3)
    return lambda: functional.conv3d(image, kernel, padding=1), lambda: convolved(image, kernel, padding=1)


def instance_norm() -> tuple[Layer, Layer]:
    image = torch.rand(1, 48, 64, 64, 64).contiguous(memory_format=INNERMOST)
    theirs, ours = nn.InstanceNorm3d(48, affine=True), InstanceNorm(48)
    return lambda: theirs(image), lambda: ours(image)


def upsampling() -> tuple[Layer, Layer]:
    image, kernel = torch.rand(1, 48, 64, 64, 64), torch.rand(48, 48, 3, 3, 3)

    def ordinary() -> Tensor:
        return functional.conv_transpose3d(image, kernel, stride=2, padding=1, output_padding=1)[:, :, ::2, ::2, ::2]

    return ordinary, lambda: upsampled_phases(image, kernel)[0]


def last_convolution() -> tuple[Layer, Layer]:
    volume, kernel = torch.rand(1, 48, 128, 128, 128), torch.rand(1, 48, 3, 3, 3)
    phases = [
        volume[:, :, x::2, y::2, z::2].contiguous(memory_format=INNERMOST)
        for x in (0, 1)
        for y in (0, 1)
        for z in (0, 1)
    ]
    return lambda: functional.conv3d(volume, kernel, padding=1), lambda: convolved_phases(phases, kernel[0])


LAYERS = {
    "3³ convolution of a single image, 32 to 32 channels, 24³": small_convolution,
    "instance norm, channels innermost, 48 channels, 64³": instance_norm,
    "transposed convolution, 48 channels, 64³ to 128³ (ours in eight phases)": upsampling,
    "3³ convolution, 48 channels to 1, 128³ (ours in eight phases)": last_convolution,
}

if __name__ == "__main__":
    main()
