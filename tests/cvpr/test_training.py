"""Training on files of the challenge: what is read, what comes out, and that turned copies are answered alike."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from openvista.cvpr.case_file import read_case_file
from openvista.cvpr.evaluate import score_case
from openvista.cvpr.image import Reading
from openvista.cvpr.predict import Deadline, Predictor
from openvista.cvpr.training import RECIPE, ChallengeCase, export_challenge_model, list_challenge_cases
from openvista.distributed import Ranks
from openvista.errors import DataListError, RecipeError, ScanError
from openvista.model import load_model
from openvista.network import PRESETS, VISTA3D, build
from openvista.train.data import list_cases, load_data
from openvista.train.loop import Trainer
from openvista.train.recipe_file import make_recipe, read_recipe
from openvista.train.samples import draw_sample
from small_challenge import TINY, turned_copy, two_balls, write_capped_objects, write_case

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def tiny_preset(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", TINY)


@pytest.fixture
def cases(tmp_path):
    """A list of two cases, one with labels 2 and 7, and one that nobody labelled."""
    labels = two_balls()
    write_case(tmp_path / "CT_a.npz", labels, gts=labels)
    write_case(tmp_path / "MR_b.npz", labels, gts=np.array([0, 2, 7], np.uint8)[labels])
    write_case(tmp_path / "US_c.npz", labels)
    return write_list(tmp_path, ["CT_a.npz", "MR_b.npz", "US_c.npz"])


def write_list(folder, content):
    (folder / "list.json").write_text(json.dumps(content))
    return folder / "list.json"


def recipe_of(datalist, **more):
    small = {"preset": "tiny", "start_from": None, "epochs": None, "steps": 2, "precision": "float32"}
    return make_recipe(dict(RECIPE) | small | {"datalist": str(datalist)} | more, "the test's recipe")


def test_the_recipe_on_disk_is_the_one_that_is_built_in():
    on_disk = read_recipe(ROOT / "recipes" / "cvpr25.yaml")
    assert on_disk == make_recipe(dict(RECIPE), "built in")
    assert on_disk.trained == ("encoder", "point")
    assert on_disk.user == "challenge"


def test_a_case_is_shown_as_a_run_shows_it(tmp_path):
    labels = np.zeros((9, 12, 15), np.uint8)
    labels[1:4, 2:6, 3:9], labels[6:8, 8:11, 9:14] = 5, 9
    path = write_case(tmp_path / "a.npz", labels, gts=labels, spacing=(5.0, 1.0, 1.0))
    case = ChallengeCase(path, Reading(resample="never")).load(TINY)
    assert case.labels_XYZ.shape == (15, 12, 9)  # a voxel of the file is a voxel of the model
    assert case.annotated == (5, 9)
    assert (case.image_XYZ[case.labels_XYZ > 0] == 1).all()  # write_case lights what is labelled
    assert (case.image_XYZ[case.labels_XYZ == 0] == 0).all()
    for value in (5, 9):
        assert (case.labels_XYZ == value).sum() == (labels == value).sum()
        assert len(case.places[value]) == (labels == value).sum()


def test_percentiles_are_the_recipes(tmp_path):
    image = np.linspace(0, 255, 1000).astype(np.uint8).reshape(10, 10, 10)
    labels = np.zeros(image.shape, np.uint8)
    labels[5:, 5:] = 1
    np.savez_compressed(tmp_path / "a.npz", imgs=image, gts=labels, spacing=np.ones(3))
    datalist = write_list(tmp_path, ["a.npz"])
    recipe = recipe_of(datalist, challenge={"percentiles": [20, 80], "resample": "never"})
    (listed,) = list_challenge_cases(recipe, tmp_path).training
    shown = listed.load(TINY).image_XYZ.float()
    assert [(shown == end).float().mean().item() for end in (0, 1)] == pytest.approx([0.2, 0.2], abs=0.01)


def test_every_label_is_an_object_that_is_no_class(cases, tmp_path):
    recipe = recipe_of(cases)
    data = load_data(list_challenge_cases(recipe, tmp_path), recipe, TINY, Ranks())
    assert [case.name for case in data.training] == ["CT_a", "MR_b"]
    assert data.skipped == (f"US_c ({tmp_path / 'US_c.npz'}: has no 'gts' to learn from)",)
    samples = [draw_sample(data, recipe, 0, index) for index in range(20)]
    asked = [sample.clicks for sample in samples]
    assert all(sample.classes is None for sample in samples)
    assert {len(clicks.objects) for clicks in asked} == {2}  # both balls, in either case
    assert all(clicks.by_user and clicks.challenge for clicks in asked)
    assert not any(clicks.objects.class_ids_B.any() or clicks.objects.special_B.any() for clicks in asked)


def test_a_list_is_the_challenges_or_refused(tmp_path):
    for content in ([], {"training": []}, [{"image": "a.npz"}]):
        with pytest.raises(DataListError, match="is no list of case files: write"):
            list_challenge_cases(recipe_of(write_list(tmp_path, content)), tmp_path)
    with pytest.raises(DataListError, match="none of its 1 files lies below"):
        list_challenge_cases(recipe_of(write_list(tmp_path, ["a.npz"])), tmp_path)
    (tmp_path / "list.json").write_text("nothing")
    with pytest.raises(DataListError, match="is not JSON"):
        list_challenge_cases(recipe_of(tmp_path / "list.json"), tmp_path)
    with pytest.raises(ScanError, match="no such file"):
        ChallengeCase(tmp_path / "a.npz", Reading()).load(TINY)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"classes": {1: "liver"}}, "are no classes"),
        ({"trained": ["encoder", "automatic"], "class_probability": 1, "click_probability": 0}, "are no classes"),
        ({"fold": 0}, "no folds"),
        ({"challenge": {"percentiles": [99, 1]}}, "percentiles"),
        ({"challenge": {"window": 3}}, "challenge"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(cases, more, words):
    with pytest.raises(RecipeError, match=words) as caught:
        recipe_of(cases, **more)
    assert "\n" not in str(caught.value)


def test_a_recipe_of_the_challenge_is_not_for_data_lists(cases):
    with pytest.raises(RecipeError, match="use openvista cvpr train"):
        list_cases(recipe_of(cases))


def test_a_run_goes_on_exactly(cases, tmp_path):
    listing = partial(list_challenge_cases, root=tmp_path)

    def trained(folder, steps, resume=False):
        recipe = recipe_of(cases, steps=steps, schedule="constant", learning_rate=1e-3, cache=str(tmp_path / "kept"))
        return Trainer(recipe, tmp_path / folder, resume=resume, listing=listing).run().state_dict()

    whole = trained("whole", 3)
    trained("broken", 2)
    resumed = trained("broken", 3, resume=True)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_baseline_loads_what_is_exported(tmp_path):
    nets = pytest.importorskip("monai.networks.nets")
    network = build(replace(VISTA3D, filters=16, branches=("point",)), seed=0)
    (tmp_path / "best.json").write_text('{"step": 40}')
    recipe = make_recipe(dict(RECIPE), "built in")
    model, path = export_challenge_model(network, recipe, tmp_path)
    assert path.name == "model_epoch100.pth"
    stored = torch.load(path, weights_only=True)
    assert (stored["epoch"], stored["step"]) == (100, 40)
    official = nets.vista3d132(encoder_embed_dim=16)
    official.load_state_dict(stored["model"], strict=True)
    stem = next(name for name in stored["model"] if name.endswith("conv_init.weight"))
    assert torch.equal(stored["model"][stem], network.encoder.stem.weight)
    assert model.card.challenge == {"percentiles": [1.0, 99.0], "resample": "never"}
    assert model.card.branches == ("point",)


TURNS = (("reversed", (0, 1, 2), (1, 2)), ("rows are columns", (0, 2, 1), ()), ("columns are slices", (2, 1, 0), (1,)))


def final_dsc(model, path):
    """Mean Dice after a box and five clicks, read as the model's card says."""
    case = read_case_file(path)
    scan = Reading().for_model(model.card).scan(case.image_ZYX, case.spacing, model.network.network.preset)
    predictor = Predictor(model)
    outcome, _ = score_case(case, case.truth_ZYX, lambda request: predictor.answer(scan, request, Deadline(None)))
    return outcome.dsc[-1]


@pytest.mark.slow
def test_turned_and_flipped_copies_of_a_case_score_alike(tmp_path):
    """In all training cases caps lie towards higher rows. Without flips and turns copies differ by 0.06."""
    names = [write_capped_objects(tmp_path / f"{seed}.npz", seed).name for seed in range(3)]
    often = dict(RECIPE["augmentation"]) | {"chance": 0, "flip": 0.5, "quarter_turn": 1}
    short = {"steps": 80, "warmup_steps": 5, "learning_rate": 1e-2, "average_decay": 0.9}
    short |= {"user_rounds": 1, "patches_per_step": 1}
    recipe = recipe_of(write_list(tmp_path, names), **short, augmentation=often)
    network = Trainer(recipe, tmp_path / "run", listing=partial(list_challenge_cases, root=tmp_path)).run()
    model = load_model(export_challenge_model(network, recipe, tmp_path / "run")[0].path, "cpu", "float32")
    new = [write_capped_objects(tmp_path / f"{seed}.npz", seed) for seed in (9, 10)]
    final = {"as it is": np.mean([final_dsc(model, path) for path in new])}
    for name, axes, flipped in TURNS:
        copies = [turned_copy(path, tmp_path / f"{name} {path.name}", axes, flipped) for path in new]
        final[name] = np.mean([final_dsc(model, path) for path in copies])
    assert min(final.values()) > 0.8
    assert max(final.values()) - min(final.values()) < 0.03, final
