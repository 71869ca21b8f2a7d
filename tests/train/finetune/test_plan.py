"""Fine-tuning planned and exported: ids, names, embeddings, branches, and a card that says where it all came from."""

import json
import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from openvista.datalist import read_datalist
from openvista.distributed import Ranks
from openvista.errors import AnatomyError, DataListError, OutputError, RecipeError
from openvista.io import read_labels
from openvista.network import STARTER, build
from openvista.train.data import list_cases, load_data
from openvista.train.finetune.cases import one_value_each
from openvista.train.finetune.plan import export_finetuned, model_name, plan_finetune, planned_recipe
from openvista.train.finetune.recipe import FinetuneRequest
from openvista.train.loop import Trainer
from openvista.train.starting_network import starting_network
from openvista.weights import ModelCard, find_model
from openvista.weights.store import load_network, save_model

BOTH = ("automatic", "point")


@pytest.fixture(scope="module")
def datalist(tmp_path_factory):
    """Three small scans of two balls; the last one is held out."""
    folder = tmp_path_factory.mktemp("data")
    entries = []
    places = np.stack(np.meshgrid(*[np.arange(24)] * 3, indexing="ij"), -1)
    for number in range(3):
        labels = np.zeros((24, 24, 24), np.uint8)
        for value, centre in ((1, (8, 12, 12)), (2, (17, 12, 12))):
            labels[((places - centre) ** 2).sum(-1) < 20] = value
        hu = np.random.default_rng(number).normal(0, 20, labels.shape) + 100 * (labels > 0)
        for kind, volume in (("ct", hu.astype(np.int16)), ("seg", labels)):
            nib.save(nib.Nifti1Image(volume, np.diag([4.0, 4.0, 3.0, 1.0])), folder / f"c{number}_{kind}.nii.gz")
        fold = 0 if number == 2 else 1
        entries.append({"image": f"c{number}_ct.nii.gz", "label": f"c{number}_seg.nii.gz", "fold": fold})
    content = {"labels": {"1": "right plum", "2": "left plum"}, "training": entries}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder / "dataset.json"


@pytest.fixture(scope="module")
def two_branches(tmp_path_factory):
    """A model of the starter's size with both branches, a spacing of its own, and random weights."""
    preset = replace(STARTER, spacing=(4.0, 4.0, 4.0))
    card = ModelCard.from_preset(preset, name="two", classes=(3,), extra_classes={140: "mast"}, licence="CC0")
    return save_model(build(preset, seed=1), card, tmp_path_factory.mktemp("two")).path


def request_for(datalist, **more):
    settings = {"mapping": ["right plum=mandible"], "steps": 1, "patch": (32, 32, 32), **more}
    return FinetuneRequest(datalist=datalist, **settings)


def test_the_run_folder_has_its_own_list_and_recipe(datalist, tmp_path):
    plan = plan_finetune(request_for(datalist, shots=1), tmp_path / "my run")
    assert planned_recipe(tmp_path / "my run") == plan.recipe
    used = read_datalist(tmp_path / "my run" / "datalist.json")
    training, held_out = used.split(plan.recipe.fold)
    assert [len(training), [case.name for case in held_out]] == [1, ["c2_ct"]]
    assert plan.recipe.name == "my-run"
    assert plan.recipe.stage == "joint"  # the starter has both branches
    assert plan.recipe.one_piece == (137,)  # so has its mandible


def test_new_structures_are_in_one_piece_where_the_user_says_so(datalist, tmp_path, caplog):
    caplog.set_level("INFO", "openvista")
    named = request_for(datalist, mapping=["1=new", "2=new"], one_piece="right plum")
    plan = plan_finetune(named, tmp_path / "named")
    assert plan.recipe.one_piece == (138,)
    assert "'left plum' is in one piece in all scans looked at (2)" in caplog.text
    assert "'right plum' is in one piece" not in caplog.text


@pytest.mark.parametrize("branches", ["automatic", "point", "both"])
def test_rarely_marked_structures_are_drawn_more_often_unless_one_says_no(datalist, tmp_path, branches):
    assert plan_finetune(request_for(datalist, branches=branches), tmp_path / "run").recipe.balance
    plain = request_for(datalist, branches=branches, settings={"balance": False})
    assert not plan_finetune(plain, tmp_path / "plain").recipe.balance


def test_new_structures_get_free_ids_and_start_from_a_class_the_model_knows(datalist, tmp_path):
    plan = plan_finetune(request_for(datalist, mapping=["1=new", "2=spleen"]), tmp_path / "run")
    assert plan.recipe.classes == {1: 138, 2: 3}
    assert plan.names == {138: "right plum", 3: "spleen"}
    known = find_model("starter").card.class_ids
    assert set(plan.recipe.embeddings_from) == {138, 3}  # the starter has no spleen either
    assert all(len(ids) == 1 and ids[0] in known for ids in plan.recipe.embeddings_from.values())
    assert plan.recipe.embeddings_from[138] != plan.recipe.embeddings_from[3], "they would have to part first"
    table = starting_network(plan.recipe).class_head.embedding_table.weight
    for class_id, (source,) in plan.recipe.embeddings_from.items():
        assert torch.equal(table[class_id], table[source])


def test_a_structure_that_only_a_late_case_shows_does_not_start_from_noise(datalist, tmp_path):
    content = json.loads(datalist.read_text())
    marking = [{**content["training"][0], "annotated": [2]} for _ in range(4)] + [content["training"][0]]
    for number, entry in enumerate(marking):
        for key in ("image", "label"):
            source = datalist.parent / entry[key]
            entry[key] = str(shutil.copy(source, tmp_path / f"{key}{number}.nii.gz"))
    (tmp_path / "late.json").write_text(json.dumps({**content, "training": marking}))
    choices = {"mapping": ["1=new", "2=new"], "fold": "none"}
    plan = plan_finetune(request_for(tmp_path / "late.json", **choices), tmp_path / "run")
    assert set(plan.recipe.embeddings_from) == {138, 139}


def test_a_class_the_model_knows_keeps_its_embedding(datalist, tmp_path):
    plan = plan_finetune(request_for(datalist, mapping=["1=mandible"]), tmp_path / "run")
    assert (plan.recipe.classes, plan.recipe.embeddings_from) == ({1: 137}, {})


def test_the_model_says_what_it_is_and_segments(datalist, tmp_path, two_branches):
    choices = {"mapping": ["right plum=new"], "spacing": (4.0, 4.0, 3.5), "settings": {"rounds": 0}}
    request = request_for(datalist, model=str(two_branches), **choices)
    plan = plan_finetune(request, tmp_path / "run")
    assert plan.recipe.stage == "joint"
    network = Trainer(plan.recipe, tmp_path / "run").run()
    written = export_finetuned(network, plan, tmp_path / "run")
    card = find_model(written.path).card
    assert card == written.card
    assert (card.spacing, card.window, card.branches) == ((4.0, 4.0, 3.5), (32, 32, 32), BOTH)
    assert load_network(written).preset.window == (32, 32, 32)
    assert card.preset().spacing == (4.0, 4.0, 3.5)
    assert (card.classes, card.extra_classes, card.licence) == ((), {133: "right plum"}, "CC0")
    origin = card.provenance
    assert (origin["base_model"], origin["base_sha256"]) == ("two", find_model(two_branches).card.weights_sha256)
    assert (origin["datalist"], origin["shots"], origin["shots_of"]) == ("dataset.json", 2, 2)
    assert origin["recipe"]["start_from"] == "two"
    assert str(tmp_path) not in card.to_json()
    again = request_for(datalist, model=str(written.path), mapping=["1=right plum"], branches="automatic")
    assert plan_finetune(again, tmp_path / "again").recipe.spacing == (4.0, 4.0, 3.5)


def test_a_branch_that_does_not_learn_with_the_encoder_is_left_out(datalist, tmp_path, two_branches):
    request = request_for(datalist, model=str(two_branches), mapping=["1=mast"], branches="automatic")
    plan = plan_finetune(request, tmp_path / "run")
    (tmp_path / "run" / "best.json").write_text(json.dumps({"step": 0}))
    network = starting_network(plan.recipe)
    assert set(network.preset.branches) == set(BOTH)
    written = export_finetuned(network, plan, tmp_path / "run", keep_classes=True)
    assert written.card.branches == ("automatic",)
    assert load_network(written).preset.branches == ("automatic",)
    assert (written.card.classes, written.card.extra_classes) == ((3,), {140: "mast"})


def test_from_scratch_shares_everything_but_the_weights(datalist, tmp_path):
    base = plan_finetune(request_for(datalist, shots=1), tmp_path / "a").recipe
    scratch = plan_finetune(request_for(datalist, shots=1, from_scratch=True), tmp_path / "b").recipe
    differing = {key for key in type(base).model_fields if getattr(base, key) != getattr(scratch, key)}
    assert differing <= {"start_from", "embeddings_from", "learning_rate", "datalist", "name", "licence"}
    assert scratch.start_from is None
    one, other = (starting_network(recipe).encoder.state_dict() for recipe in (base, scratch))
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_a_share_of_the_models_weights_is_kept_in_what_learns_and_all_elsewhere(datalist, tmp_path):
    def start(folder, **choices):
        planned = plan_finetune(request_for(datalist, branches="automatic", **choices), tmp_path / folder).recipe
        return starting_network(planned).state_dict()

    whole, fresh = start("a"), start("b", from_scratch=True)
    quarter, none = (start(name, settings={"start_share": share}) for name, share in (("c", 0.25), ("d", 0.0)))
    for name, weights in quarter.items():
        if name.startswith("point"):
            assert torch.equal(weights, whole[name])
        elif "embedding_table" not in name:  # the new class's row starts from another row
            assert torch.allclose(weights, 0.25 * whole[name] + 0.75 * fresh[name], atol=1e-6)
            assert torch.allclose(none[name], fresh[name], atol=1e-6)


def test_several_labels_of_one_class_become_one(datalist, tmp_path):
    plan = plan_finetune(request_for(datalist, mapping=["1=mandible", "2=mandible"]), tmp_path / "run")
    assert plan.recipe.classes == {1: 137}
    for case in read_datalist(tmp_path / "run" / "datalist.json").training:
        merged, grid = read_labels(case.label)
        original, own_grid = read_labels(datalist.parent / case.image.name.replace("ct", "seg"))
        assert np.array_equal(merged == 1, original > 0)
        assert grid.matches(own_grid)


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"mapping": ["right plumm=spleen"]}, DataListError, "nearest: 'right plum'"),
        ({"mapping": ["right plum=splen"]}, AnatomyError, "spleen"),
        ({"branches": "all"}, RecipeError, "automatic, point, both"),
        ({"patch": (40, 32, 32)}, RecipeError, "multiples of 16"),
        ({"settings": {"rounds_": 3}}, RecipeError, "nearest is 'rounds'"),
        ({"settings": {"augmentation": 3}}, RecipeError, "zoom: 0.1"),
        ({"mapping": ["right plum=left kidney"], "mirror": True}, AnatomyError, "'left kidney' would turn up"),
        ({"only_in_slices": "spleen"}, AnatomyError, "--only-in-slices: .*mandible"),
        ({"one_piece": "spleen"}, AnatomyError, "--one-piece: .*mandible"),
        ({"mapping": ["right plum=lung tumor"], "one_piece": "lung tumor"}, AnatomyError, "may be in several pieces"),
    ],
)
def test_what_cannot_be_planned_is_one_line_and_leaves_nothing(datalist, tmp_path, more, error, words):
    with pytest.raises(error, match=words) as caught:
        plan_finetune(request_for(datalist, **more), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_model_of_another_size_is_refused(datalist, tmp_path):
    preset = replace(STARTER, filters=8)
    save_model(build(preset), ModelCard.from_preset(preset, name="tiny", classes=(3,)), tmp_path / "tiny")
    with pytest.raises(RecipeError, match=r"8 filters.*as no preset has"):
        plan_finetune(request_for(datalist, model=str(tmp_path / "tiny")), tmp_path / "run")


def test_a_model_without_room_for_new_classes_is_refused(datalist, tmp_path):
    full = {class_id: f"thing {class_id}" for class_id in range(133, 512)}
    save_model(build(STARTER), ModelCard.from_preset(STARTER, name="full", extra_classes=full), tmp_path / "full")
    with pytest.raises(DataListError, match="no room for 'right plum'"):
        plan_finetune(request_for(datalist, model=str(tmp_path / "full"), mapping=["1=new"]), tmp_path / "run")


def test_a_folder_that_holds_something_is_left_alone(datalist, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds something"):
        plan_finetune(request_for(datalist), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("values", "mapping"), [((300, 65535), ["300=mandible"]), ((65535, 300), ["300=new:plum", "65535=new:plum"])]
)
def test_large_label_values(datalist, tmp_path, values, mapping):
    content = json.loads(datalist.read_text())
    content |= {"root": str(datalist.parent), "labels": {"300": "one plum", "65535": "another"}}
    for entry in content["training"]:
        labels, grid = read_labels(datalist.parent / entry["label"])
        large = np.select([labels == 1, labels == 2], values, 0).astype(np.uint16)
        entry["label"] = str(tmp_path / entry["label"])
        nib.save(nib.Nifti1Image(large, grid.affine), entry["label"])
    (tmp_path / "large.json").write_text(json.dumps(content))
    plan = plan_finetune(request_for(tmp_path / "large.json", mapping=mapping), tmp_path / "run")
    data = load_data(list_cases(plan.recipe), plan.recipe, plan.recipe.network_preset, Ranks())
    (class_id,) = plan.recipe.classes.values()
    assert len(data.training) == 2
    for case in data.training:
        assert set(case.labels_XYZ.unique().tolist()) == {0, class_id}


def test_a_restart_takes_the_plan_of_before(datalist, tmp_path, monkeypatch):
    content = json.loads(datalist.read_text()) | {"root": str(datalist.parent)}
    content["training"].append({"image": "lost.nii.gz", "label": "lost.nii.gz", "fold": 1})
    (tmp_path / "list.json").write_text(json.dumps(content))
    request = request_for(tmp_path / "list.json", mapping=["1=mandible", "2=new"], shots=1)

    def planned(restarts, launch):
        return plan_finetune(request, tmp_path / "run", ranks=Ranks(restarts=restarts, launch=launch))

    before = planned(0, "a")
    for other in ((0, "a"), (1, "b"), (1, None)):
        with pytest.raises(OutputError, match="holds something"):
            planned(*other)
    with monkeypatch.context() as patch:
        patch.setattr("openvista.train.finetune.plan.choose_shots", None)  # no case is read again
        after = planned(1, "a")
    assert (after.recipe, after.names, after.base) == (before.recipe, before.names, before.base)
    assert after.shots.skipped == before.shots.skipped != ()
    assert after.shots.available == before.shots.available == 2
    assert [case.image for case in after.shots.training] == [case.image for case in before.shots.training]
    assert [case.image for case in after.shots.held_out] == [case.image for case in before.shots.held_out]
    (tmp_path / "run" / "plan.json").unlink()  # as if it had died on the way
    assert planned(1, "a").recipe == before.recipe


def test_the_pace_is_that_of_all_processes(datalist, tmp_path):
    alone = plan_finetune(request_for(datalist, steps=None), tmp_path / "alone").recipe
    many = plan_finetune(request_for(datalist, steps=None), tmp_path / "many", ranks=Ranks(count=16)).recipe
    assert alone.validate_every == 40  # a tenth of 200 epochs of 2 patches of 2 cases, 2 in a step
    assert many.validate_every == 3
    assert many.validate_every < many.steps_for(2, processes=16) == 25


def test_the_plan_is_for_the_device_that_trains(datalist, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("openvista.train.finetune.recipe.free_memory", asked.append)
    ranks = Ranks(device=torch.device("meta"))
    recipe = plan_finetune(request_for(datalist, patch="auto"), tmp_path / "run", ranks=ranks).recipe
    assert asked == [ranks.device]
    assert recipe.precision == "float32"


def test_a_gpu_without_bfloat16_is_fine_tuned_on_in_float16(datalist, tmp_path, monkeypatch):
    monkeypatch.setattr("openvista.train.finetune.recipe.free_memory", lambda device: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    ranks = Ranks(device=torch.device("cuda"))
    assert plan_finetune(request_for(datalist), tmp_path / "run", ranks=ranks).recipe.precision == "float16"


def test_validation_takes_a_share_of_the_work_only(datalist, tmp_path):
    long = plan_finetune(request_for(datalist, steps=1000), tmp_path / "long").recipe
    assert long.validate_every == 100  # a tenth: one window to validate on is little
    timed = plan_finetune(request_for(datalist, steps=None, minutes=1.0), tmp_path / "timed").recipe
    assert (timed.validate_every, timed.average_decay) == (50, 0.98)
    fine = plan_finetune(request_for(datalist, steps=1000, spacing=(0.5, 0.5, 0.5)), tmp_path / "fine").recipe
    assert fine.validate_every == 120  # 6 x 6 x 5 windows, against a quarter of 3 passes for each of 2 patches


def test_one_value_for_each_class():
    assert one_value_each({7: 3, 2: 3, 5: 140}) == {2: 3, 5: 140}


@pytest.mark.parametrize(
    ("folder", "name"), [("spleen", "spleen"), ("über alles", "ber-alles"), ("...", "finetuned"), ("a" * 80, "a" * 64)]
)
def test_model_names(tmp_path, folder, name):
    assert model_name(tmp_path / folder) == name
