"""From HU to supervoxels on the scan's own grid."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from small_phantoms import ball, make_phantom

pytest.importorskip("skimage")

from openvista.errors import InputError, ScanError
from openvista.geometry.grid import Grid
from openvista.inference.progress import Progress
from openvista.scan import Scan
from openvista.supervoxels import Clustering
from openvista.supervoxels.cluster import main_directions, smooth_inside
from openvista.supervoxels.make import make_supervoxels
from openvista.supervoxels.source import IntensityFeatures
from openvista.supervoxels.volume import GridFeatures

FORTY = Clustering(segments=40, compactness=0.1, sigma_mm=2.0)


def made(scan, clustering=FORTY, **rest):
    return make_supervoxels(scan, IntensityFeatures(), clustering, **rest)


def purity(labels, truth):
    """Share of the voxels that belong to the truth that most of their supervoxel belongs to."""
    right = sum(max(np.bincount(truth[labels == n].astype(int))) for n in range(1, labels.max() + 1))
    return right / (labels > 0).sum()


def assert_whole(labels):
    assert np.array_equal(np.unique(labels[labels > 0]), np.arange(1, labels.max() + 1))
    for number in range(1, labels.max() + 1):
        assert ndimage.label(labels == number)[1] == 1


@pytest.mark.parametrize("most_voxels", [4_000_000, 6_000])
def test_supervoxels_of_a_phantom(phantom, most_voxels):
    result = made(phantom, most_voxels=most_voxels)
    labels = result.labels
    assert labels.dtype == np.uint16
    assert result.grid is phantom.grid
    body = phantom.voxels > -500
    assert np.array_equal(labels > 0, body)
    assert 25 <= labels.max() <= 70
    assert_whole(labels)
    structures = (phantom.voxels > 90) * 2 + ((phantom.voxels > -35) & (phantom.voxels <= 90))
    assert purity(labels, structures) > (0.97 if most_voxels > 10_000 else 0.92)


def test_more_are_made_where_more_are_wished_for(phantom):
    counts = [made(phantom, Clustering(segments=n, compactness=0.1, sigma_mm=2)).labels.max() for n in (10, 60, 200)]
    for count, wish in zip(counts, (10, 60, 200), strict=True):
        assert 0.6 * wish <= count <= 1.8 * wish


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_the_same_scan_gives_the_same_labels_whatever_its_orientation(phantom, axes):
    straight = made(phantom).labels
    turned_voxels = np.ascontiguousarray(np.transpose(phantom.voxels, axes)[::-1])
    affine = phantom.grid.affine[:, [*axes, 3]].copy()
    affine[:3, 3] += affine[:3, 0] * (turned_voxels.shape[0] - 1)
    affine[:3, 0] *= -1
    turned = made(Scan(turned_voxels, Grid(turned_voxels.shape, affine))).labels
    assert np.array_equal(turned, np.transpose(straight, axes)[::-1])


def test_the_same_input_gives_the_same_labels(phantom):
    assert np.array_equal(made(phantom).labels, made(make_phantom()).labels)


def test_two_bodies_never_share_a_supervoxel_and_a_speck_in_the_air_is_0():
    voxels = np.full((60, 30, 20), -1000, np.int16)
    voxels[ball(voxels.shape, (14, 15, 10), 8)] = 40
    voxels[ball(voxels.shape, (44, 15, 10), 8)] = 40
    voxels[29, 3, 3] = 200
    labels = made(Scan(voxels, Grid(voxels.shape, np.diag([2.0, 2, 2, 1])))).labels
    assert labels[29, 3, 3] == 0
    assert not set(np.unique(labels[:29])) & set(np.unique(labels[30:])) - {0}
    assert_whole(labels)


@pytest.mark.parametrize("shape", [(1, 30, 30), (30, 30, 1), (2, 2, 2), (1, 1, 1), (40, 3, 5)])
def test_thin_and_tiny_scans(shape):
    voxels = np.random.default_rng(0).integers(-50, 80, shape).astype(np.int16)
    labels = made(Scan(voxels, Grid(shape, np.diag([3.0, 3, 3, 1])))).labels
    assert (labels > 0).all()
    assert_whole(labels)


def test_nothing_but_air_is_an_error():
    voxels = np.full((20, 20, 20), -1000, np.int16)
    with pytest.raises(ScanError, match="nothing above -500 HU"):
        made(Scan(voxels, Grid(voxels.shape, np.eye(4)), "empty"))


def test_a_constant_body_is_cut_by_place_alone():
    voxels = np.full((20, 20, 20), 40, np.int16)
    labels = made(Scan(voxels, Grid(voxels.shape, np.diag([3.0, 3, 3, 1]))), Clustering(segments=8)).labels
    assert 4 <= labels.max() <= 12


def test_progress_and_provenance(phantom):
    steps = []
    result = made(phantom, progress=steps.append)
    assert [step.stage for step in steps] == ["encode", "encode", "cluster", "cluster"]
    assert steps[-1] == Progress("cluster", 1, 1)
    described = result.provenance["supervoxels"]
    assert described["features"] == "intensity"
    assert (described["segments"], described["compactness"], described["sigma_mm"]) == (40, 0.1, 2.0)


def test_smoothing_sees_the_body_only(phantom):
    body = phantom.voxels > -500
    values = torch.rand((*body.shape, 3), generator=torch.Generator().manual_seed(0)).half()
    wild = values.clone()
    wild[torch.as_tensor(~body)] = 1000
    one, other = (smooth_inside(GridFeatures(v, phantom.grid), body, 6.0) for v in (values, wild))
    assert np.array_equal(one, other)
    constant = smooth_inside(GridFeatures(torch.full_like(values, 0.5), phantom.grid), body, 6.0)
    assert np.allclose(constant, 0.5, atol=1e-5)


def test_main_directions_keep_distances_and_range():
    random = np.random.default_rng(0)
    values = (random.normal(size=(500, 3)) @ random.normal(size=(3, 12))).astype(np.float32)
    rotated, scale = main_directions(values)
    assert rotated.shape[1] <= 3
    old = np.linalg.norm(values[:-1] - values[1:], axis=1)
    new = np.linalg.norm(rotated[:-1] - rotated[1:], axis=1)
    assert np.corrcoef(old, new)[0, 1] > 0.97
    assert scale == pytest.approx(np.ptp(values) / np.ptp(rotated))


@pytest.mark.parametrize(
    ("choices", "word"),
    [
        ({"segments": 1}, "segments"),
        ({"segments": 20_000}, "10000"),
        ({"compactness": 0.0}, "compactness"),
        ({"compactness": float("nan")}, "compactness"),
        ({"sigma_mm": -1.0}, "sigma"),
    ],
)
def test_impossible_choices_are_refused(choices, word):
    with pytest.raises(InputError, match=word):
        Clustering(**choices)
