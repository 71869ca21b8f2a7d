"""Profile ``bundle`` against MONAI's whole pipeline, from LoadImage to Invert, in files of several orientations.

The crop to voxels above 0 HU is left out on both sides: docs/sources.md says what it changes.
"""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from monai.transforms import Compose, LoadImaged, Orientationd, ScaleIntensityRanged, Spacingd

from openvista.inference.automatic import segment_scan
from openvista.inference.profiles import BUNDLE
from openvista.inference.window_network import WindowNetwork
from openvista.io import read_scan
from small_inference import FLOAT32, TINY, make_scan
from small_monai import monai_labels, smooth_network

PRESET = replace(TINY, window=(32, 32, 32), spacing=(1.5, 1.5, 1.5))
IDS = (5, 9, 1, 121, 17, 130)
VOXEL = np.diag([1.21, 1.33, 2.1])


def turned(degrees):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def agreement(folder, directions):
    """Share of voxels with the same label, on a made-up scan in a file with these directions."""
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions @ VOXEL, (11, -7, 23)
    file, network = folder / "ct.nii.gz", smooth_network(PRESET)
    nib.save(nib.Nifti1Image(make_scan((58, 51, 35), affine).voxels, affine), file)
    ours = segment_scan(WindowNetwork(network, FLOAT32), read_scan(file), IDS, BUNDLE)
    assert len(np.unique(ours)) > 3
    before = Compose(
        [
            LoadImaged("image", ensure_channel_first=True, image_only=True),
            Spacingd("image", pixdim=PRESET.spacing, mode="bilinear"),
            ScaleIntensityRanged("image", *PRESET.hu_window, 0, 1, clip=True),
            Orientationd("image", "RAS", labels=None),
        ]
    )
    return float((ours == monai_labels(network, before, file, IDS, PRESET.window)).mean())


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (-1, -1, -1)], ids=["RAS", "LPS", "LPI"])
def test_along_the_axes_label_maps_are_the_same(tmp_path, signs):
    assert agreement(tmp_path, np.diag(signs)) >= 0.9999


def test_oblique_files_are_the_same_but_for_a_shift_of_the_peer(tmp_path):
    """At 15 degrees its grid starts where ours does. At 5 its rounding moves it by a part of a voxel, which with random
    weights changes a tenth of the labels."""
    assert agreement(tmp_path, turned(15)) >= 0.9999
    assert agreement(tmp_path, turned(5)) > 0.8
