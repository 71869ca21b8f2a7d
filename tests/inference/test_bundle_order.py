"""Profile ``bundle`` against MONAI's whole pipeline, from LoadImage to Invert, in files of several orientations.

The crop to voxels above 0 HU is left out on both sides: docs/sources.md says what it changes.
"""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import sliding_window_inference
from monai.transforms import Compose, Invertd, LoadImaged, Orientationd, ScaleIntensityRanged, Spacingd

from openvista.inference.automatic import segment_scan
from openvista.inference.profiles import BUNDLE
from openvista.inference.window_network import WindowNetwork
from openvista.io import read_scan
from openvista.network import build
from small_inference import FLOAT32, TINY, make_scan

PRESET = replace(TINY, window=(32, 32, 32), spacing=(1.5, 1.5, 1.5))
IDS = (5, 9, 1, 121, 17, 130)
VOXEL = np.diag([1.21, 1.33, 2.1])


def turned(degrees):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def smooth_network():
    """Random weights whose kernels are means: logits change from voxel to voxel as little as a trained network's."""
    network = build(PRESET, seed=3)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.shape[2:] == (3, 3, 3):
                parameter.copy_(parameter.mean((2, 3, 4), keepdim=True).expand_as(parameter))
        network.class_head.linear2.weight *= 5
    return network.eval()


def agreement(folder, directions):
    """Share of voxels with the same label, on a made-up scan in a file with these directions."""
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions @ VOXEL, (11, -7, 23)
    file, network = folder / "ct.nii.gz", smooth_network()
    nib.save(nib.Nifti1Image(make_scan((58, 51, 35), affine).voxels, affine), file)
    ours = segment_scan(WindowNetwork(network, FLOAT32), read_scan(file), IDS, BUNDLE)
    assert len(np.unique(ours)) > 3
    return float((ours == their_labels(network, file)).mean())


def their_labels(network, file):
    before = Compose(
        [
            LoadImaged("image", ensure_channel_first=True, image_only=True),
            Spacingd("image", pixdim=PRESET.spacing, mode="bilinear"),
            ScaleIntensityRanged("image", *PRESET.hu_window, 0, 1, clip=True),
            Orientationd("image", "RAS", labels=None),
        ]
    )
    item = before({"image": str(file)})
    image, ids = item["image"], torch.tensor(IDS)
    with torch.no_grad():
        logits = sliding_window_inference(
            image.as_tensor()[None],
            PRESET.window,
            1,
            lambda window: network.class_logits(window, ids),
            overlap=BUNDLE.overlap,
            mode=BUNDLE.weighting,
            padding_mode=BUNDLE.padding,
        )[0]
    best, index = logits.max(0, keepdim=True)
    labels = torch.where(best > 0, ids[index], 0).float()
    item["pred"] = MetaTensor(labels, meta=image.meta, applied_operations=image.applied_operations)
    back = Invertd("pred", transform=before, orig_keys="image", nearest_interp=True, to_tensor=True)
    return back(item)["pred"][0].numpy()


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (-1, -1, -1)], ids=["RAS", "LPS", "LPI"])
def test_along_the_axes_label_maps_are_the_same(tmp_path, signs):
    assert agreement(tmp_path, np.diag(signs)) >= 0.9999


def test_oblique_files_are_the_same_but_for_a_shift_of_the_peer(tmp_path):
    """At 15 degrees its grid starts where ours does. At 5 its rounding moves it by a part of a voxel, which with random
    weights changes a tenth of the labels."""
    assert agreement(tmp_path, turned(15)) >= 0.9999
    assert agreement(tmp_path, turned(5)) > 0.8
