"""Probabilities and logits of every class on the scan's grid, against MONAI's functions on the same weights."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import SpatialResample

from openvista.errors import AnatomyError, InputError
from openvista.inference.automatic import ask, label_windowed, segment_scan
from openvista.inference.class_maps import ClassMapFiller, empty_class_maps
from openvista.inference.profiles import BEST, BUNDLE
from openvista.inference.stitching import Storage, stitch
from openvista.inference.window_network import WindowNetwork
from openvista.inference.windows import cut_windows
from openvista.prepare import prepare
from openvista.scan import UNSEEN_LOGIT
from small_inference import FLOAT32, HALF_STORAGE, TINY, make_scan, peer_windows

FEW, MANY = (5,), (5, 9, 1, 121, 17, 130, 3, 7, 11, 12)  # logits are stitched, features are
NAMES = {class_id: f"class {class_id}" for class_id in MANY}
MODEL_GRID = np.diag([2.0, 2.0, 2.0, 1.0])


def named(class_ids):
    return {class_id: NAMES[class_id] for class_id in class_ids}


def our_maps(network, scan, class_ids, profile, kind="probabilities"):
    maps = empty_class_maps(kind, scan, named(class_ids))
    return maps, segment_scan(network, scan, class_ids, profile, maps=maps)


def peer_logits(network, scan, class_ids, profile):
    """MONAI: sliding window over logits, and the logits back to the scan."""
    logits, prepared = peer_windows(network, scan, class_ids, profile)
    how = "bilinear" if profile.mode == "smooth" else "nearest"
    back = SpatialResample(mode=how, padding_mode="border", align_corners=True)
    on_model_grid = MetaTensor(logits, affine=torch.from_numpy(prepared.grid.affine.copy()))
    return back(on_model_grid, dst_affine=scan.grid.affine, spatial_size=scan.grid.shape).numpy()


@pytest.mark.parametrize("class_ids", [FEW, MANY], ids=["few", "many"])
@pytest.mark.parametrize("mode", ["smooth", "exact"])
@pytest.mark.parametrize("shape", [(31, 24, 19), (20, 7, 30)], ids=["several-windows", "thin"])
@pytest.mark.parametrize("model_grid", [True, False])
def test_probabilities_are_the_peers_to_their_rounding(tiny, lps_affine, shape, model_grid, mode, class_ids):
    scan = make_scan(shape, MODEL_GRID if model_grid else lps_affine)
    profile = BUNDLE.override(mode=mode)
    maps, labels = our_maps(WindowNetwork(tiny, FLOAT32), scan, class_ids, profile)
    theirs = 1 / (1 + np.exp(-peer_logits(tiny, scan, class_ids, profile).astype(np.float64)))
    assert np.ptp(theirs) > 0.2, "a flat map proves nothing"
    assert maps.values_KXYZ.dtype == np.uint8
    assert np.abs(maps.values_KXYZ / 255 - theirs).max() < 0.505 / 255
    best = np.array(class_ids)[theirs.argmax(0)]
    assert np.array_equal(labels, np.where(theirs.max(0) > 0.5, best, 0))


def test_logits_are_the_peers(tiny, lps_affine):
    scan, profile = make_scan((31, 24, 19), lps_affine), BUNDLE.override(mode="smooth")
    maps, _ = our_maps(WindowNetwork(tiny, FLOAT32), scan, MANY, profile, "logits")
    np.testing.assert_allclose(maps.values_KXYZ, peer_logits(tiny, scan, MANY, profile), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mode", ["smooth", "exact"])
def test_row_by_row_is_the_same(tiny, lps_affine, mode):
    scan, network = make_scan((31, 24, 19), lps_affine), WindowNetwork(tiny, FLOAT32)
    profile = BEST.override(mode=mode)
    windowed = cut_windows(prepare(scan, TINY.spacing, TINY.hu_window), TINY, profile)
    question, storage = ask(network, MANY), Storage(torch.device("cpu"), torch.float32)
    whole, by_row = (empty_class_maps("logits", scan, named(MANY)) for _ in range(2))
    label_windowed(windowed, question, storage, maps=whole)
    filler = ClassMapFiller(windowed, question.decision, by_row)
    for slab in stitch(windowed, question.encode, question.channels, storage):
        for row in slab.parts(windowed.plan.streaming_axis, 1):
            filler.add(row)
    np.testing.assert_allclose(by_row.values_KXYZ, whole.values_KXYZ, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("mode", ["smooth", "exact"])
def test_where_no_window_lay_there_is_nothing(tiny, mode):
    scan = make_scan((60, 24, 24), MODEL_GRID)
    scan.voxels[20:] = -1000
    network = WindowNetwork(tiny, HALF_STORAGE)
    profile = BEST.override(mode=mode, skip_air=True)
    logits, _ = our_maps(network, scan, MANY, profile, "logits")
    probabilities, labels = our_maps(network, scan, MANY, profile)
    assert (logits.values_KXYZ[:, 50:] == UNSEEN_LOGIT).all()
    assert (probabilities.values_KXYZ[:, 50:] == 0).all()
    assert (logits.values_KXYZ[:, :20] > UNSEEN_LOGIT).all()
    assert not labels[50:].any()


def test_files_hold_what_the_maps_say(tiny_windows, lps_affine, tmp_path):
    scan = make_scan((21, 14, 19), lps_affine)
    for kind in ("probabilities", "logits"):
        maps, _ = our_maps(tiny_windows, scan, (5, 9), BEST, kind)
        written = replace(maps, names={5: "class 5", 9: "what / this"}).save(tmp_path / kind)
        assert [file.name for file in written] == ["class_5.nii.gz", "what_this.nii.gz"]
        for file, name in zip(written, maps.names.values(), strict=True):
            image = nib.load(file)
            assert np.allclose(image.affine, scan.grid.affine)
            np.testing.assert_allclose(image.get_fdata(dtype=np.float32), maps.of(name), atol=1e-6)
    assert {file.name for file in (tmp_path / "logits").iterdir()} == {"class_5.nii.gz", "what_this.nii.gz"}


def test_mistakes(tiny_windows):
    scan = make_scan((8, 8, 8), MODEL_GRID)
    with pytest.raises(InputError, match="probabilities and logits"):
        empty_class_maps("odds", scan, named(FEW))
    maps, _ = our_maps(tiny_windows, scan, FEW, BEST)
    assert maps.of(5).max() <= 1
    with pytest.raises(AnatomyError, match="no map of 'liver', only of class 5"):
        maps.of("liver")
