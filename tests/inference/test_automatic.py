"""A whole scan through a small random network, against MONAI's functions on the same weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import SpatialResample

from openvista.errors import DeviceError
from openvista.inference.automatic import segment_scan, with_room_on_host
from openvista.inference.profiles import BEST, BUNDLE, RESEARCH
from openvista.inference.progress import Progress
from openvista.inference.window_network import WindowNetwork
from small_inference import FLOAT32, HALF_STORAGE, make_scan, peer_windows

FEW, MANY = (5, 9, 1), (5, 9, 1, 121, 17, 130)  # fewer and more classes than the network has channels
TWO_MM = np.diag([2.0, 2.0, 2.0, 1.0])
PEERS = [BUNDLE, RESEARCH, replace(BUNDLE, overlap=0.25, weighting="constant")]


@pytest.fixture
def logits_for_few(monkeypatch):
    """Let classes that are fewer than the channels go by logits, so that both ways are tried."""
    monkeypatch.setattr("openvista.inference.automatic.CHANNELS_PER_CLASS", 1)


def peer_labels(network, scan, class_ids, profile):
    """MONAI: sliding window over logits of all classes, argmax, nearest back to the scan."""
    logits, prepared = peer_windows(network, scan, class_ids, profile)
    best, index = logits.max(0)
    labels = torch.where(best > 0, torch.tensor(class_ids)[index], 0)
    on_model_grid = MetaTensor(labels[None].float(), affine=torch.from_numpy(prepared.grid.affine.copy()))
    back = SpatialResample(mode="nearest", padding_mode="border", align_corners=True)
    return back(on_model_grid, dst_affine=scan.grid.affine, spatial_size=scan.grid.shape)[0].numpy()


@pytest.mark.parametrize("profile", PEERS, ids=["bundle", "research", "bundle-as-run"])
@pytest.mark.parametrize("class_ids", [FEW, MANY, (9,)], ids=["few", "many", "one"])
@pytest.mark.parametrize("shape", [(31, 24, 19), (20, 7, 30)], ids=["several-windows", "thin"])
@pytest.mark.usefixtures("logits_for_few")
def test_exact_mode_is_the_peers_pipeline(tiny, lps_affine, shape, class_ids, profile):
    scan = make_scan(shape, lps_affine)
    theirs = peer_labels(tiny, scan, class_ids, profile)
    assert len(np.unique(theirs)) > min(len(class_ids), 3), "a test on an empty map proves nothing"
    assert np.array_equal(segment_scan(WindowNetwork(tiny, FLOAT32), scan, class_ids, profile), theirs)


@pytest.mark.parametrize("class_ids", [FEW, MANY], ids=["few", "many"])
@pytest.mark.usefixtures("logits_for_few")
def test_half_storage_agrees_on_999_of_1000_voxels(tiny, lps_affine, class_ids):
    scan = make_scan((45, 30, 22), lps_affine)
    theirs = peer_labels(tiny, scan, class_ids, BUNDLE)
    ours = segment_scan(WindowNetwork(tiny, HALF_STORAGE), scan, class_ids, BUNDLE)
    assert (ours == theirs).mean() >= 0.999


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((40, 40, 1), (1.0, 1.0, 3.0)),
        ((1, 1, 1), (1.0, 1.0, 1.0)),
        ((90, 80, 9), (0.5, 0.5, 5.0)),
        ((5, 6, 7), (2, 2, 2)),
    ],
    ids=["one-slice", "one-voxel", "anisotropic", "small"],
)
@pytest.mark.parametrize("profile", [BEST, BUNDLE], ids=["best", "bundle"])
def test_odd_shapes_work_and_land_on_the_scans_grid(tiny_windows, shape, spacing, profile):
    scan = make_scan(shape, np.diag([*spacing, 1.0]))
    labels = segment_scan(tiny_windows, scan, MANY, profile)
    assert labels.shape == shape
    assert set(np.unique(labels)) <= {0, *MANY}


def test_anisotropic_scans_equal_the_peer(tiny):
    scan = make_scan((90, 81, 9), np.diag([0.51, 0.53, 5.0, 1.0]))
    ours = segment_scan(WindowNetwork(tiny, FLOAT32), scan, MANY, BUNDLE)
    assert np.array_equal(ours, peer_labels(tiny, scan, MANY, BUNDLE))


@pytest.mark.parametrize("mode", ["exact", "smooth"])
def test_orientation_of_the_file_does_not_matter(tiny_windows, mode):
    scan = make_scan((31, 24, 19), np.diag([1.7, 2.3, 3.1, 1.0]))
    flipped = replace(scan, voxels=scan.voxels[::-1, :, ::-1].transpose(2, 0, 1), grid=flipped_grid(scan.grid))
    profile = BEST.override(mode=mode)
    labels = segment_scan(tiny_windows, scan, MANY, profile)
    again = segment_scan(tiny_windows, flipped, MANY, profile)
    agreement = (again.transpose(1, 2, 0)[::-1, :, ::-1] == labels).mean()
    assert agreement > 0.999  # half-way voxels may round to the other side


def flipped_grid(grid):
    from openvista.geometry.grid import Grid

    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world(np.array([[grid.shape[0] - 1, 0, grid.shape[2] - 1]]))[0]
    affine[:3, 0] *= -1
    affine[:3, 2] *= -1
    return Grid((grid.shape[2], grid.shape[0], grid.shape[1]), affine[:, [2, 0, 1, 3]])


def test_smooth_and_exact_differ_at_edges_only(tiny_windows):
    scan = make_scan((31, 24, 19), np.diag([1.7, 2.3, 3.1, 1.0]))
    smooth, exact = (segment_scan(tiny_windows, scan, MANY, BEST.override(mode=mode)) for mode in ("smooth", "exact"))
    assert 0.5 < (smooth == exact).mean() < 1


def test_leaving_air_out_changes_nothing_in_the_body(tiny_windows):
    scan = make_scan((20, 80, 20), TWO_MM)
    voxels = scan.voxels.clip(0)
    voxels[:, 16:64] = -1000  # two pieces of tissue, and more than a window of air between them
    scan, totals, labels = replace(scan, voxels=voxels), [], []
    for profile in (BUNDLE.override(skip_air=True), BUNDLE):
        seen: list[Progress] = []
        labels.append(segment_scan(tiny_windows, scan, MANY, profile, seen.append))
        totals.append(next(p.total for p in seen if p.stage == "encode"))
    assert totals[0] < totals[1]
    body = voxels > -300
    assert np.array_equal(labels[0][body], labels[1][body])


def test_air_around_the_body_costs_no_windows(tiny_windows):
    scan = make_scan((60, 40, 20), TWO_MM)
    voxels = np.full_like(scan.voxels, -1000)
    voxels[40:48, 14:26, 4:16] = 40
    totals = []
    for profile in (BUNDLE.override(skip_air=True), BUNDLE):
        seen: list[Progress] = []
        segment_scan(tiny_windows, replace(scan, voxels=voxels), MANY, profile, seen.append)
        totals.append(next(p.total for p in seen if p.stage == "encode"))
    assert totals[0] < totals[1] / 1.5


def test_progress_tells_every_stage_to_its_end(tiny_windows):
    seen = []
    segment_scan(tiny_windows, make_scan((30, 20, 16), TWO_MM), MANY, BUNDLE, seen.append)
    assert list(dict.fromkeys(seen))[:2] == [Progress("prepare", 0, 1), Progress("prepare", 1, 1)]
    for stage in ("encode", "label"):
        done = [p.done for p in seen if p.stage == stage]
        assert done == sorted(set(done))
        assert done[-1] == next(p.total for p in seen if p.stage == stage)


def test_a_callback_can_stop_the_run(tiny_windows):
    def interrupt(progress):
        if progress.stage == "encode":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_scan(tiny_windows, make_scan((30, 20, 16), TWO_MM), MANY, BUNDLE, interrupt)


def test_without_room_on_the_gpu_sums_move_to_the_host_and_it_is_said(caplog):
    tried = []

    def run(device):
        tried.append(device.type)
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nlong story")
        return "labels"

    assert with_room_on_host(run, torch.device("cuda")) == "labels"
    assert tried == ["cuda", "cpu"]
    assert "starting again with sums on the host" in caplog.text


def test_a_gpu_too_small_for_one_window_is_an_error_with_a_remedy():
    def run(device):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(DeviceError, match=r"too small for one window \(CUDA out of memory\); use --device cpu"):
        with_room_on_host(run, torch.device("cuda"))


@pytest.mark.parametrize("mode", ["exact", "smooth"])
def test_rows_labelled_one_by_one_give_the_same_labels(tiny_windows, mode, monkeypatch):
    scan = make_scan((31, 24, 40), np.diag([1.7, 2.3, 3.1, 1.0]))
    labels = segment_scan(tiny_windows, scan, MANY, BEST.override(mode=mode))
    monkeypatch.setattr("openvista.inference.automatic.plan_slab_rows", lambda *_: 1)
    again = segment_scan(tiny_windows, scan, MANY, BEST.override(mode=mode))
    assert np.array_equal(labels, again)


@pytest.mark.parametrize("profile", [BEST, BUNDLE, RESEARCH], ids=["best", "bundle", "research"])
@pytest.mark.parametrize("class_ids", [FEW, MANY], ids=["few", "many"])
@pytest.mark.usefixtures("logits_for_few")
def test_windows_in_batches_give_the_same_labels(tiny, class_ids, profile):
    scan, network = make_scan((45, 30, 22), TWO_MM), WindowNetwork(tiny, FLOAT32)
    one_by_one = segment_scan(network, scan, class_ids, profile, one_piece_ids=class_ids)
    assert len(np.unique(one_by_one)) > 2
    network.batch = 4
    in_batches = segment_scan(network, scan, class_ids, profile, one_piece_ids=class_ids)
    assert (in_batches == one_by_one).mean() >= 0.9999  # sums of many windows may be rounded in another order
