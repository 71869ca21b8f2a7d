"""A peer trained on the same data: MONAI's SegResNet as Auto3DSeg configures it, for as long as ours was.

It gets what our recipe gives: cases, patches with their augmentations, the loss that leaves out what is not known, the
learning rate (Auto3DSeg's own is 2e-4). Its own are the network (with deep supervision left out), AdamW, warm-up and
cosine, and MONAI's sliding window. It has one output per structure. The testing list is scored as
``openvista evaluate --protocol auto`` does.

    python benchmarks/peer_segresnet.py recipes/starter.yaml --datalist openkbp/dataset.json --minutes 25 -o runs/peer
    openvista train recipes/starter.yaml --datalist openkbp/dataset.json --set minutes=25 -o runs/ours     # ours
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from monai.networks.nets import SegResNetDS
from numpy.typing import NDArray
from peer_scores import score, write
from torch import Tensor, nn

from openvista.distributed import Ranks
from openvista.evaluate.labelled_scan import LabelledScan
from openvista.geometry.resample import resample_linear
from openvista.memory import retain_heap
from openvista.prepare import prepare
from openvista.train.data import list_cases, load_data
from openvista.train.objective import dice_bce_loss
from openvista.train.recipe import Recipe
from openvista.train.recipe_file import read_recipe
from openvista.train.samples import ClassPrompts, draw_sample

WARM_UP = 0.03
"""Share of the time."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--datalist", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="of training; reading the cases does not count")
    parser.add_argument("--filters", type=int, default=32, help="Auto3DSeg has 32; the starter has 16")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    retain_heap()
    torch.manual_seed(0)
    recipe = read_recipe(arguments.recipe, datalist=arguments.datalist)
    channels = {class_id: index for index, class_id in enumerate(recipe.class_ids)}
    network = SegResNetDS(
        init_filters=arguments.filters,
        blocks_down=(1, 2, 2, 4, 4),
        norm="INSTANCE",
        out_channels=len(channels),
        dsdepth=1,
    )
    train(network, recipe, channels, 60 * arguments.minutes)
    network.eval()
    write(list(score(lambda case, labelled: segment(network, labelled, recipe, channels), recipe)), arguments.output)


def train(network: nn.Module, recipe: Recipe, channels: dict[int, int], seconds: float) -> None:
    """Train for some seconds; the learning rate follows the time."""
    data = load_data(list_cases(recipe), recipe, recipe.network_preset, Ranks())
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=1e-5)
    began, step = time.perf_counter(), 0
    while (done := (time.perf_counter() - began) / seconds) < 1:
        factor = done / WARM_UP if done < WARM_UP else (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * max(factor, 1e-3)
        samples = [draw_sample(data, recipe, step, index) for index in range(recipe.patches_per_step)]
        logits_NCXYZ = network(torch.stack([sample.image_XYZ for sample in samples])[:, None])
        logits_NCXYZ = logits_NCXYZ[0] if isinstance(logits_NCXYZ, list) else logits_NCXYZ
        asked = [
            loss_of(logits_CXYZ, sample.classes, channels)
            for logits_CXYZ, sample in zip(logits_NCXYZ, samples, strict=True)
            if sample.classes is not None
        ]
        if asked:
            optimiser.zero_grad()
            loss = torch.stack(asked).mean()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
            optimiser.step()
        step += 1
        if step % 20 == 0:
            print(f"step {step}, {time.perf_counter() - began:.0f} s, loss {float(loss):.3f}", flush=True)
    print(f"{step} steps of {recipe.patches_per_step} patches")


def loss_of(logits_CXYZ: Tensor, prompts: ClassPrompts, channels: dict[int, int]) -> Tensor:
    """Of the structures that are asked, where they are known."""
    asked_KXYZ = logits_CXYZ[[channels[int(class_id)] for class_id in prompts.ids_K]]
    return dice_bce_loss(asked_KXYZ, prompts.targets_KXYZ, prompts.known_KXYZ)


@torch.no_grad()
def segment(
    network: nn.Module, labelled: LabelledScan, recipe: Recipe, channels: dict[int, int]
) -> NDArray[np.integer]:
    """[X, Y, Z] of the scan: class id of the strongest structure, 0 where none is above a half."""
    preset = recipe.network_preset
    prepared = prepare(labelled.scan, preset.spacing, preset.hu_window)
    logits_CXYZ = sliding_window_inference(
        prepared.image_XYZ[None, None].float(), preset.window, 4, network, overlap=0.5, mode="gaussian"
    )[0]
    best_XYZ, labels_XYZ = (
        torch.zeros(labelled.scan.grid.shape),
        torch.zeros(labelled.scan.grid.shape, dtype=torch.int16),
    )
    for class_id, channel in channels.items():
        there_XYZ = resample_linear(logits_CXYZ[channel], prepared.grid, labelled.scan.grid)
        labels_XYZ[there_XYZ > best_XYZ] = class_id
        best_XYZ = torch.maximum(best_XYZ, there_XYZ)
    return labels_XYZ.numpy()


if __name__ == "__main__":
    main()
