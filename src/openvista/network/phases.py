"""The last steps of the point head in eight small volumes instead of one large one: exact, and faster on a CPU.

A transposed convolution with stride 2 fills the eight parities of the doubled grid independently: an even place sees
one tap of the kernel, an odd one two. Kept apart as "phases", each is an ordinary convolution at half the resolution.
Norm and activation do not care where a voxel lies, and the convolution C to 1 that follows is a matrix product per
phase whose 27 taps are added up where they belong. The doubled volume of C channels is never put together.

``benchmarks/layers.py`` times both. Kernels are 3³, padding 1, output padding 1.

Shape letters: C, D channels in and out; X Y Z voxels before doubling; P the eight phases, in the order of ``PHASES``.
"""

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from openvista.network.convolution import convolved

PHASES = tuple(product((0, 1), repeat=3))
"""Parity along X, Y, Z of the doubled grid's voxels."""


def upsampled_phases(image_1CXYZ: Tensor, kernel_CD333: Tensor) -> list[Tensor]:
    """Phases [1, D, X, Y, Z] of ``conv_transpose3d(image, kernel, stride=2, padding=1, output_padding=1)``."""
    padded = functional.pad(image_1CXYZ, (0, 1) * 3)
    kernel_DC333 = kernel_CD333.transpose(0, 1)
    phases = []
    for parities in PHASES:
        seen, kernel = padded, kernel_DC333
        for axis, parity in enumerate(parities, start=2):
            if parity:  # between two voxels: the taps of the nearer and of the next one
                kernel = torch.stack((kernel.select(axis, 2), kernel.select(axis, 0)), dim=axis)
            else:  # on a voxel: the middle tap alone
                seen, kernel = seen.narrow(axis, 0, image_1CXYZ.shape[axis]), kernel.narrow(axis, 1, 1)
        phases.append(convolved(seen, kernel.contiguous()))
    return phases


def normalised(phases: Sequence[Tensor], epsilon: float) -> list[Tensor]:
    """Instance norm without scale and shift of the volume that the phases make up. Phases may be changed in place."""
    count = len(phases) * phases[0][0, 0].numel()
    mean_D = torch.stack([phase.sum((0, 2, 3, 4)) for phase in phases]).sum(0) / count
    centred = [phase.sub_(mean_D[:, None, None, None]) for phase in phases]
    norms_PD = torch.stack([torch.linalg.vector_norm(phase, dim=(0, 2, 3, 4)) for phase in centred])
    scale_D = (norms_PD.square().sum(0) / count + epsilon).rsqrt()
    return [phase * scale_D[:, None, None, None] for phase in centred]


def convolved_phases(phases: Sequence[Tensor], kernel_D333: Tensor) -> Tensor:
    """``conv3d(volume, kernel[None], padding=1)`` of the volume that the phases make up; [1, 1, 2X, 2Y, 2Z]."""
    x, y, z = phases[0].shape[2:]
    taps_27D = kernel_D333.flatten(1).t()
    sums: dict[tuple[int, ...], Tensor] = {p: phases[0].new_zeros(x, y, z) for p in PHASES}
    for parities, phase in zip(PHASES, phases, strict=True):
        answers_333XYZ = (taps_27D @ phase[0].flatten(1)).view(3, 3, 3, x, y, z)
        for tap in product(range(3), repeat=3):
            moves = [divmod(parity + 1 - place, 2) for parity, place in zip(parities, tap, strict=True)]
            target = sums[tuple(parity for _, parity in moves)]
            answer = answers_333XYZ[tap]
            for axis, (shift, _) in enumerate(moves):  # what falls off the end has met the padding
                length = answer.shape[axis] - abs(shift)
                target = target.narrow(axis, max(shift, 0), length)
                answer = answer.narrow(axis, max(-shift, 0), length)
            target.add_(answer)
    stacked = torch.stack([sums[parities] for parities in PHASES]).view(2, 2, 2, x, y, z)
    return stacked.permute(3, 0, 4, 1, 5, 2).reshape(1, 1, 2 * x, 2 * y, 2 * z)
