"""A model for CT and MR against MONAI's pipeline with the transforms of NV-Segment-CTMR, from LoadImage to Invert."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.transforms import (
    Compose,
    CropForegroundd,
    LoadImaged,
    Orientationd,
    ScaleIntensityRangePercentilesd,
    Spacingd,
)

from openvista.inference.automatic import segment_scan
from openvista.inference.profiles import BEST, BUNDLE
from openvista.inference.window_network import WindowNetwork
from openvista.io import read_scan
from openvista.network import CTMR, Vista3D
from openvista.prepare import prepare
from small_inference import FLOAT32, TINY, make_scan
from small_monai import monai_labels, smooth_network

PRESET = replace(TINY, window=(16, 24, 8), spacing=CTMR.spacing, class_rows=346, family="ctmr")
IDS = (*range(1, 30), *range(214, 260))
SHAPE = (46, 41, 31)
DIRECTIONS = {"RAS": (1, 1, 1), "LPS": (-1, -1, 1), "LPI": (-1, -1, -1)}


def mr_file(path, signs, values):
    """Smooth random values in a part of a volume; around it nothing above 0."""
    affine = np.diag([1.21, 1.33, 2.1, 1.0]) @ np.diag([*signs, 1])
    affine[:3, 3] = (11, -7, 23)
    volume = make_scan(SHAPE, affine).voxels.astype(np.float32)
    inside = np.zeros(SHAPE, bool)
    inside[20:38, 14:40, 16:25] = True
    values = {"mr": volume + 950, "hu": volume, "normalised": (volume + 950) / 2000}[values]
    nib.save(nib.Nifti1Image(np.where(inside, values, min(values.min(), 0)).astype(np.float32), affine), path)
    return path


def transforms():
    """As its inference.json has them; the crop takes what lies above 0, and 10 voxels around it."""
    return Compose(
        [
            LoadImaged("image", ensure_channel_first=True, image_only=True),
            Spacingd("image", pixdim=PRESET.spacing, mode="bilinear"),
            CropForegroundd("image", allow_smaller=True, margin=10, source_key="image"),
            ScaleIntensityRangePercentilesd("image", lower=1, upper=99, b_min=0, b_max=1, clip=True),
            Orientationd("image", "RAS", labels=None),
        ]
    )


@pytest.fixture(scope="module")
def network() -> Vista3D:
    return smooth_network(PRESET)


@pytest.mark.parametrize("signs", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize("values", ["mr", "hu", "normalised"])
def test_the_prepared_image_is_the_same(tmp_path, signs, values):
    file = mr_file(tmp_path / "mr.nii.gz", signs, values)
    theirs = transforms()({"image": str(file)})["image"]
    ours = prepare(read_scan(file), PRESET.spacing, PRESET.scaling, orient_first=False)
    assert ours.foreground.shape < ours.grid.shape
    np.testing.assert_allclose(ours.image_XYZ[ours.foreground.slices()], theirs[0], atol=2e-5)
    np.testing.assert_allclose(ours.grid.part(*ours.foreground).affine[:3, 3], theirs.affine[:3, 3], atol=1e-3)


def test_label_maps_are_the_same(tmp_path, network):
    file = mr_file(tmp_path / "mr.nii.gz", DIRECTIONS["LPI"], "mr")
    ours = segment_scan(WindowNetwork(network, FLOAT32), read_scan(file), IDS, BUNDLE)
    assert len(np.unique(ours)) > 3
    assert (ours == monai_labels(network, transforms(), file, IDS, PRESET.window)).mean() >= 0.9999


def test_nothing_is_found_outside_the_foreground(tmp_path, network):
    """In no profile: there is no image there that training had."""
    scan = read_scan(mr_file(tmp_path / "mr.nii.gz", (1, 1, 1), "mr"))
    labels = segment_scan(WindowNetwork(network, FLOAT32), scan, IDS, BEST)
    assert labels[20:38, 14:40, 16:25].any()
    assert not labels[:8].any()
    assert not labels[..., :6].any()


def test_a_part_of_a_scan_is_scaled_by_what_it_shows(tmp_path):
    """As in the original: percentiles are those of the foreground that is there."""
    scan = read_scan(mr_file(tmp_path / "mr.nii.gz", (1, 1, 1), "mr"))
    some = prepare(replace(scan, voxels=np.where(scan.voxels < 900, scan.voxels, 0)), None, PRESET.scaling)
    whole = prepare(scan, None, PRESET.scaling)
    darkest_XYZ = torch.as_tensor((scan.voxels > 400) & (scan.voxels < 600))
    assert some.image_XYZ[darkest_XYZ].mean() > whole.image_XYZ[darkest_XYZ].mean() + 0.1


@pytest.mark.parametrize("value", [0.0, 7.0, -3.0])
def test_one_value_everywhere_is_no_division_by_nothing(value):
    scan = make_scan((12, 11, 10), np.eye(4))
    prepared = prepare(replace(scan, voxels=np.full((12, 11, 10), value, np.float32)), None, PRESET.scaling)
    assert prepared.foreground.shape == (12, 11, 10)
    assert torch.isfinite(prepared.image_XYZ).all()
