"""MONAI's pipeline from LoadImage to Invert as a judge of whole label maps, and a network whose answers are smooth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import sliding_window_inference
from monai.transforms import Compose, Invertd
from numpy.typing import NDArray

from openvista.inference.profiles import BUNDLE
from openvista.network import Preset, Vista3D, build


def smooth_network(preset: Preset) -> Vista3D:
    """Random weights whose kernels are means: logits change from voxel to voxel as little as a trained network's."""
    network = build(preset, seed=3)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.shape[2:] == (3, 3, 3):
                parameter.copy_(parameter.mean((2, 3, 4), keepdim=True).expand_as(parameter))
        network.class_head.linear2.weight *= 5
    return network.eval()


def monai_labels(
    network: Vista3D, before: Compose, file: Path, ids: Sequence[int], window: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Class ids on the file's voxels, [X, Y, Z].

    Args:
        network: gives the logits.
        before: transforms of the key "image", which are inverted in the end.
        file: of the image.
        ids: classes that are asked for.
        window: voxels.
    """
    item = before({"image": str(file)})
    image, ids_K = item["image"], torch.tensor(ids)
    with torch.no_grad():
        logits = sliding_window_inference(
            image.as_tensor()[None],
            window,
            1,
            lambda window: network.class_logits(window, ids_K),
            overlap=BUNDLE.overlap,
            mode=BUNDLE.weighting,
            padding_mode=BUNDLE.padding,
        )[0]
    best, index = logits.max(0, keepdim=True)
    labels = torch.where(best > 0, ids_K[index], 0).float()
    item["pred"] = MetaTensor(labels, meta=image.meta, applied_operations=image.applied_operations)
    back = Invertd("pred", transform=before, orig_keys="image", nearest_interp=True, to_tensor=True)
    return back(item)["pred"][0].numpy()
