"""Model: from names to a segmentation, with a real (random) network and a real model folder."""

import hashlib
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import openvista
from openvista.anatomy.ctmr import card_classes
from openvista.errors import AnatomyError, DeviceError, InputError, ModelError
from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.inference.device import Compute, cpu_has_bfloat16
from openvista.inference.profiles import find_profile
from openvista.io import read_scan
from openvista.model import Model, load_model
from openvista.network import build
from openvista.scan import Scan
from openvista.weights import ModelCard, find_model
from openvista.weights.store import load_network, save_model
from small_inference import DENSER_THAN_ANYTHING, FLOAT32, TINY, TINY_CTMR, make_scan

CARD = ModelCard.from_preset(TINY, classes=(1, 5, 14, 121), extra_classes={133: "brainstem"})
DEMO_CT = Path(__file__).parents[1] / "examples/data/head_neck_ct.nii.gz"
AFFINE = np.diag([-2.1, -2.1, 3.0, 1.0])


@pytest.fixture
def model(tiny) -> Model:
    return Model(tiny, CARD, FLOAT32)


def test_every_class_is_asked_for_unless_some_are_named(model):
    scan = make_scan((20, 20, 8), AFFINE)
    everything = model.segment(scan)
    assert set(everything.names) == {1, 5, 14, 121, 133}
    assert everything.names[133] == "brainstem"
    assert everything.labels.shape == scan.voxels.shape
    assert everything.grid is scan.grid
    assert everything.scan is scan
    assert list(model.segment(scan, ["brainstem", 1]).names) == [133, 1]


def test_a_region_on_another_grid(model):
    """All that belongs to the result lies on the grid, and what the region cuts touches the border."""
    scan = make_scan((24, 20, 12), AFFINE)
    grid, region = scan.grid.with_spacing((3.0, 4.0, 2.0)), Box((4, 0, 0), (18, 20, 12))
    result = model.segment(scan, [1, 5], class_maps="logits", grid=grid, region=region)
    assert result.grid == result.scan.grid == result.class_maps.grid == grid
    assert result.provenance["region"] == [(4, 0, 0), (18, 20, 12)]
    assert result.looked_at == Box((3, 0, 0), (13, *grid.shape[1:]))
    assert {row.name: row.touches_border for row in result.table() if row.voxels} == {
        "liver": True,
        "right kidney": True,
    }
    assert result.cropped(Box((1, 0, 0), (9, 2, 2))).looked_at == Box((2, 0, 0), (8, 2, 2))
    turned = Grid(grid.shape, grid.affine @ np.array([[1, 0.2, 0, 0], [-0.2, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    result = model.segment(scan, [1, 5], class_maps="logits", grid=turned)
    assert result.grid == result.scan.grid == result.class_maps.grid == turned
    assert result.labels.any()
    assert model.segment(scan, [1], grid=scan.grid.part((0, 0, 0), scan.grid.shape)).scan is scan


def test_a_group_gives_way_to_its_parts(model):
    assert set(model.segment(make_scan((20, 20, 8), AFFINE), "kidney").names) == {5, 14}


def test_what_the_card_calls_unlikely_is_flagged_and_a_scan_without_anything_else_is_said(tiny):
    scan = make_scan((20, 20, 8), AFFINE)
    plain = Model(tiny, CARD, FLOAT32)
    everything = plain.segment(scan)
    found = {row.id for row in everything.table() if row.voxels}
    assert everything.unlikely is None
    assert plain.region_warning(everything.names, everything.table()) is None
    one, *others = sorted(found)
    some = Model(tiny, replace(CARD, ranges=dict.fromkeys(others, DENSER_THAN_ANYTHING)), FLOAT32)
    judged = some.segment(scan)
    assert judged.unlikely == dict.fromkeys(others, ("HU",))
    assert some.region_warning(judged.names, judged.table()) is None
    none = Model(tiny, replace(CARD, ranges=dict.fromkeys(found, DENSER_THAN_ANYTHING)), FLOAT32)
    judged = none.segment(scan)
    assert "does the scan show the part of the body that model 'tiny' knows" in none.region_warning(
        judged.names, judged.table()
    )
    named = none.segment(scan, [one])
    assert none.region_warning(named.names, named.table()) is None, "not everything was asked for"
    assert plain.region_warning(everything.names, []).startswith("nothing was found")


def test_a_segmentation_records_what_it_takes_to_make_it_again(model):
    made = model.segment(make_scan((20, 20, 8), AFFINE), ["liver", "brainstem"], profile="bundle", overlap=0.5)
    assert made.provenance == {
        "model": "tiny",
        "weights_sha256": CARD.weights_sha256,
        "profile": "custom",
        "mode": "exact",
        "overlap": 0.5,
        "placement": "official",
        "weighting": "gaussian",
        "skip_air": False,
        "padding": "replicate",
        "drop_strays": False,
        "everywhere": True,
        "precision": "cpu, float32 network, float32 storage",
        "version": openvista.__version__,
        "prompts": {"classes": [1, 133]},
    }


def test_the_same_request_gives_the_same_labels(model):
    scan = make_scan((24, 20, 12), AFFINE)
    assert np.array_equal(model.segment(scan).labels, model.segment(scan).labels)


def test_ids_above_255_fit():
    wide = replace(TINY, class_rows=300)
    card = ModelCard.from_preset(wide, extra_classes={299: "own"})
    labels = Model(build(wide, seed=1), card, FLOAT32).segment(make_scan((20, 20, 8), AFFINE)).labels
    assert labels.dtype == np.uint16
    assert set(np.unique(labels)) == {0, 299}


@pytest.fixture(scope="module")
def ctmr_folder(tmp_path_factory) -> Path:
    network = build(TINY_CTMR, seed=3)
    with torch.no_grad():
        network.class_head.linear2.weight *= 5
    card = ModelCard.from_preset(TINY_CTMR, **card_classes(TINY_CTMR.class_rows))
    return save_model(network, card, tmp_path_factory.mktemp("models") / "tiny-ctmr").path


def mr_scan() -> Scan:
    scan = make_scan((20, 20, 8), AFFINE)
    return replace(scan, voxels=scan.voxels + 900)


@pytest.mark.parametrize(("modality", "count"), [("CT_BODY", 117), ("mri_body", 50), ("MRI_BRAIN", 132)])
def test_a_model_for_ct_and_mr_finds_what_the_modality_has(ctmr_folder, modality, count):
    model = load_model(ctmr_folder, "cpu", "float32", modality=modality)
    result = model.segment(mr_scan())
    assert len(result.names) == count
    assert set(np.unique(result.labels)) - {0} <= set(result.names)
    assert len(np.unique(result.labels)) > 5
    assert result.labels.dtype == np.uint16
    assert result.provenance["modality"] == model.modality == modality.upper()
    assert model.unseen_warning(result.names) is None
    assert model.region_warning(result.names, [replace(row, voxels=0) for row in result.table()]).startswith("nothing")


def test_without_a_modality_a_model_for_ct_and_mr_wants_names(ctmr_folder):
    model = load_model(ctmr_folder, "cpu", "float32")
    with pytest.raises(AnatomyError, match="what 'all' is depends on the image"):
        model.segment(mr_scan())
    result = model.segment(mr_scan(), "liver, brain stem")
    assert (list(result.names), result.labels.dtype) == ([1, 220], np.uint16)
    assert (result.provenance["modality"], model.modality) == (None, None)
    assert model.unseen_warning([18]) is None
    assert model.region_warning([1], []) is None


def test_modalities_that_do_not_fit(ctmr_folder):
    with pytest.raises(InputError, match="no modality 'PET'"):
        load_model(ctmr_folder, modality="PET")
    with pytest.raises(ModelError, match="model 'starter' knows CT alone"):
        load_model("starter", modality="MRI_BODY")
    model = load_model(ctmr_folder, "cpu", "float32", modality="MRI_BODY")
    assert model.unseen_warning([1, 18, 23, 24, 28]) == (
        "no MRI of the training had rectum, lung tumor, pancreatic tumor and 1 more: do not expect much"
    )


def test_a_session_of_a_model_for_ct_and_mr_takes_no_clicks(ctmr_folder):
    """Its automatic results are those of the model itself."""
    model, scan = load_model(ctmr_folder, "cpu", "float32"), mr_scan()
    session = model.open(scan)
    with pytest.raises(ModelError, match="answers class prompts only, not clicks") as caught:
        session.click((9, 9, 4), object=session.new_object("lesion"))
    assert "\n" not in str(caught.value)
    session.segment("brain stem")
    assert np.array_equal(session.mask("Brain-Stem"), model.segment(scan, "brain stem").mask(220))


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"classes": "livr"}, AnatomyError),
        ({"classes": "spleen"}, AnatomyError),
        ({"profile": "fastest"}, InputError),
        ({"overlap": 1.5}, InputError),
        ({"mode": "cubic"}, InputError),
    ],
)
def test_bad_requests_fail_before_anything_is_computed(model, request_, error):
    steps = []
    with pytest.raises(error):
        model.segment(make_scan((20, 20, 8), AFFINE), **request_, progress=steps.append)
    assert steps == []


def test_a_model_for_clicks_only_says_so(tiny):
    card = ModelCard.from_preset(replace(TINY, branches=("point",)), classes=(1,), name="clicky")
    with pytest.raises(ModelError, match="'clicky' answers clicks only"):
        Model(tiny, card, FLOAT32).segment(make_scan((9, 9, 9), AFFINE))


def test_a_model_folder_loads_and_segments(tmp_path):
    save_model(build(TINY, seed=3), CARD, tmp_path / "mine", dtype=torch.float32)
    model = load_model(tmp_path / "mine", device="cpu", precision="float32")
    assert len(model.card.weights_sha256) == 64
    scan = make_scan((24, 20, 12), AFFINE)
    direct = Model(build(TINY, seed=3), CARD, FLOAT32).segment(scan)
    loaded = model.segment(scan)
    assert np.array_equal(loaded.labels, direct.labels)
    assert loaded.provenance["weights_sha256"] == model.card.weights_sha256


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA GPU")
def test_a_checkpoint_file_is_taken_as_it_is(tmp_path, tiny):
    torch.save(tiny.state_dict(), tmp_path / "model.pt")
    loaded = load_model(tmp_path / "model.pt", "cpu")
    made = loaded._provenance([1], find_profile("best"))
    assert made["model"] == "model"
    assert made["weights_sha256"] == hashlib.sha256((tmp_path / "model.pt").read_bytes()).hexdigest()
    assert loaded.network.network.state_dict().keys() == tiny.state_dict().keys()


def test_a_wrong_device_is_said_before_weights_are_looked_for():
    with pytest.raises(DeviceError):
        load_model("no-such-model", device="cuda")


def test_an_unknown_model_is_an_error():
    with pytest.raises(ModelError, match="no-such-model"):
        load_model("no-such-model", device="cpu")


def test_the_log_tells_what_was_planned(model, caplog):
    with caplog.at_level(logging.INFO, logger="openvista"):
        model.segment(make_scan((20, 20, 8), AFFINE))
    assert "stitching 4 features for 5 classes" in caplog.text
    assert "windows of (16, 16, 16)" in caplog.text


def starter() -> bool:
    try:
        find_model("starter")
    except ModelError:
        return False
    return True


@pytest.mark.skipif(
    not starter() or not DEMO_CT.is_file(), reason="starter weights or demo CT are not in this checkout"
)
@pytest.mark.skipif(not cpu_has_bfloat16(), reason="this CPU imitates bfloat16, which takes minutes and nobody uses")
def test_bfloat16_agrees_with_float32_on_real_weights():
    folder, demo = find_model("starter"), read_scan(DEMO_CT)
    corner = (20, 0, 30)
    affine = demo.grid.affine.copy()
    affine[:3, 3] = demo.grid.to_world(np.array([corner]))[0]
    voxels = demo.voxels[20:90, :, 30:80]  # a part of it, to be quick
    scan = Scan(voxels, Grid(voxels.shape, affine))
    labels = [
        Model(load_network(folder), folder.card, Compute(torch.device("cpu"), dtype, storage)).segment(scan).labels
        for dtype, storage in ((torch.float32, torch.float32), (torch.bfloat16, torch.float16))
    ]
    assert (labels[0] == labels[1]).mean() >= 0.999
