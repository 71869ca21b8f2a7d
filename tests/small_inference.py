"""Small networks and scans that every test of inference shares."""

from dataclasses import replace

import numpy as np
import torch
from monai.inferers import sliding_window_inference

from openvista.geometry.grid import Grid
from openvista.inference.device import Compute
from openvista.inference.profiles import Profile
from openvista.network import Preset, Vista3D
from openvista.plausibility import ClassRanges, SeenRange
from openvista.prepare import Prepared, prepare
from openvista.scan import Scan

TINY = Preset(
    name="tiny",
    filters=4,
    blocks_per_level=(1, 1),
    window=(16, 16, 16),
    spacing=(2.0, 2.0, 2.0),
    class_rows=140,
    branches=("automatic",),
)
TINY_CTMR = replace(TINY, name="tiny-ctmr", class_rows=346, family="ctmr")
FLOAT32 = Compute(torch.device("cpu"), torch.float32, torch.float32)
HALF_STORAGE = Compute(torch.device("cpu"), torch.float32, torch.float16)


DENSER_THAN_ANYTHING = ClassRanges(mean_hu=SeenRange(100, 4000.0, 4001.0, 4000.5, 0.1))
"""Ranges that make whatever is found unlikely."""


def make_scan(shape: tuple[int, int, int], affine: np.ndarray, seed: int = 0) -> Scan:
    """Smooth random tissue between -900 and 900 HU: something for a network to find everywhere."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, 1, *(max(n // 3, 1) for n in shape)), generator=generator)
    voxels = torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear")[0, 0] * 1800 - 900
    return Scan(voxels.numpy().astype(np.int16), Grid(shape, affine), name="made-up")


def peer_windows(
    network: Vista3D, scan: Scan, class_ids: tuple[int, ...], profile: Profile
) -> tuple[torch.Tensor, Prepared]:
    """MONAI's sliding window over logits [class, X, Y, Z], on the model grid of the tiny network."""
    prepared = prepare(scan, TINY.spacing, TINY.hu_window, orient_first=profile.orient_first)
    with torch.no_grad():
        logits_1KXYZ = sliding_window_inference(
            prepared.image_XYZ[None, None],
            TINY.window,
            1,
            lambda window: network.class_logits(window, torch.tensor(class_ids)),
            overlap=profile.overlap,
            mode=profile.weighting,
            padding_mode=profile.padding,
        )
    return logits_1KXYZ[0], prepared
