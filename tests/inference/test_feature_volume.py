import numpy as np
import pytest
import torch

from openvista.geometry.resample import resample_crop
from openvista.inference.automatic import segment_scan
from openvista.inference.feature_volume import compute_features
from openvista.inference.profiles import BEST, BUNDLE
from openvista.prepare import prepare
from small_inference import TINY, make_scan


@pytest.mark.parametrize("budget", [None, 0], ids=["memory", "disk"])
@pytest.mark.parametrize("profile", [BEST, BUNDLE], ids=lambda profile: profile.name)
def test_answers_are_those_of_automatic_segmentation(tiny_windows, lps_affine, budget, profile):
    scan = make_scan((21, 13, 17), lps_affine)
    prepared = prepare(scan, TINY.spacing, TINY.hu_window, orient_first=profile.orient_first)
    volume = compute_features(tiny_windows, prepared, profile, budget)
    assert isinstance(volume.values_XYZC, np.memmap) == (budget == 0)
    for class_id, crop in zip((5, 9), volume.logits_of(tiny_windows.embeddings([5, 9])), strict=True):
        expected = segment_scan(tiny_windows, scan, [class_id], profile) > 0
        shown = resample_crop(crop, prepared.grid, scan.grid, -1.0, profile.mode)
        ours = np.zeros(scan.grid.shape, bool)
        ours[shown.slices] = shown.values_XYZ > 0
        assert (ours == expected).mean() > 0.999
        assert 0 < ours.mean() < 1


def test_many_classes_are_answered_in_groups_and_empty_ones_are_empty(tiny_windows, lps_affine):
    prepared = prepare(make_scan((21, 13, 17), lps_affine), TINY.spacing, TINY.hu_window)
    volume = compute_features(tiny_windows, prepared, BEST)
    embeddings = torch.cat((tiny_windows.embeddings(list(range(1, 20))), torch.zeros(1, TINY.filters)))
    steps = []
    crops = volume.logits_of(embeddings, steps.append)
    assert len(crops) == 20
    assert crops[-1].values_XYZ.size == 0
    single = volume.logits_of(embeddings[11:12])[0]
    assert single.start == crops[11].start
    np.testing.assert_allclose(single.values_XYZ, crops[11].values_XYZ, atol=1e-4)
    assert steps[-1].done == steps[-1].total
