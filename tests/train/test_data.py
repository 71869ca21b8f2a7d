"""The cases of a run: bad ones are named and left out, small sets are drawn more often, disk and memory agree."""

import json
import shutil

import pytest
import torch
from tiny_training import TINY, load, make_list, tiny_recipe

from openvista.distributed import Ranks
from openvista.errors import DataListError, OutputError
from openvista.train.data import MOST_REPEATS


@pytest.fixture
def own_list(tiny_list, tmp_path):
    """A copy of the list to damage."""
    shutil.copytree(tiny_list.parent, tmp_path / "own", ignore=shutil.ignore_patterns("maps"))
    return tmp_path / "own" / "list.json"


def edited(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_the_fold_is_held_out_and_shared_among_processes(tiny_list):
    data = load(tiny_recipe(tiny_list))
    assert [case.name for case in data.training] == ["ct1", "ct2"]
    assert [case.name for case in data.validation] == ["ct0"]
    held_out = [
        [case.name for case in load(tiny_recipe(tiny_list, fold=1), Ranks(rank, 3)).validation] for rank in range(3)
    ]
    assert held_out == [["ct1"], ["ct2"], []]  # uneven shares, one of them empty


def test_an_unreadable_case_is_skipped_and_named(own_list, caplog):
    (own_list.parent / "ct1.nii.gz").write_bytes(b"no image")
    shutil.copy(own_list.parent / "ct0.nii.gz", own_list.parent / "ct3.nii.gz")
    data = load(tiny_recipe(own_list))
    assert [case.name for case in data.training] == ["ct2"]
    assert len(data.skipped) == 1
    assert data.skipped[0].startswith("ct1")
    assert "skipped ct1" in caplog.text


def test_if_every_case_is_bad_there_is_an_error(own_list):
    for number in (1, 2):
        (own_list.parent / f"labels{number}.nii.gz").write_bytes(b"no labels")
    with pytest.raises(DataListError, match="every case was skipped, first ct1"):
        load(tiny_recipe(own_list))


def test_no_foreground_at_all_is_an_error(own_list):
    with pytest.raises(DataListError, match=r"no voxel .* check its classes \(7\)"):
        load(
            tiny_recipe(edited(own_list, lambda content: content["labels"].update({"7": "x"})), classes={7: "dim ball"})
        )


def test_one_case_only_needs_fold_null(tmp_path):
    path = make_list(tmp_path, cases=1)
    with pytest.raises(DataListError, match="set fold to null"):
        load(tiny_recipe(path))
    assert len(load(tiny_recipe(path, fold=None)).training) == 1


def test_small_lists_are_drawn_more_often(tiny_list, tmp_path):
    small = make_list(tmp_path, cases=1)
    more = [{"datalist": str(small), "classes": {1: "dim ball"}}]
    recipe = tiny_recipe(tiny_list, fold=None, more_data=more, oversample=6)
    data = load(recipe)
    assert data.weights.tolist() == [2, 2, 2, 6]
    assert data.training[3].annotated == (134,)
    assert load(tiny_recipe(tiny_list, fold=None, more_data=more)).weights.tolist() == [1, 1, 1, 1]


def test_balance_draws_rarely_marked_structures_more_often(own_list):
    edited(own_list, lambda content: [case.update({"annotated": [1]}) for case in content["training"][:2]])
    data = load(tiny_recipe(own_list, fold=None, balance=True))
    assert [case.annotated for case in data.training] == [(133,), (133,), (133, 134)]
    once, again, rare = data.weights.tolist()
    assert once == again
    assert rare / once == pytest.approx(3)  # one of three shows the dim ball
    assert once + again + rare == pytest.approx(3)  # in all as before
    assert data.repeats == {134: pytest.approx(3)}
    assert load(tiny_recipe(own_list, fold=None)).repeats == {}


def test_a_very_rare_structure_does_not_take_most_draws(tmp_path):
    path = make_list(tmp_path, cases=8)
    edited(path, lambda content: [case.update({"annotated": [1]}) for case in content["training"][1:]])
    weights = load(tiny_recipe(path, fold=None, balance=True)).weights
    assert weights[0] / weights[1] == pytest.approx(MOST_REPEATS)
    assert float(weights[0] / weights.sum()) < 0.5


def test_balance_changes_nothing_where_every_case_shows_the_same_and_leaves_unlabelled_cases_their_share(own_list):
    alike = load(tiny_recipe(own_list, fold=None, balance=True))
    assert alike.weights.tolist() == pytest.approx([1, 1, 1])
    assert alike.repeats == {}

    def change(content):
        content["training"][0]["annotated"] = [1]
        bare = {"image": content["training"][2]["image"], "label_sv": content["training"][2]["label"]}
        content["training"].append(bare)

    edited(own_list, change)
    recipe = tiny_recipe(own_list, fold=None, stage="stage1", start_from="x", balance=True)
    weights = load(recipe).weights.tolist()
    assert weights[3] == 1
    assert sum(weights) == pytest.approx(4)
    assert weights[0] < weights[1] == pytest.approx(weights[2])


def test_a_list_that_names_no_labels_is_trained_on_by_the_recipes_classes(own_list):
    nameless = edited(own_list, lambda content: content.pop("labels"))
    data = load(tiny_recipe(nameless))
    assert [case.annotated for case in data.training] == [(133, 134), (133, 134)]


def test_a_case_in_which_nobody_marked_anything_is_named(own_list, caplog):
    edited(own_list, lambda content: content["training"][2].update({"annotated": []}))
    data = load(tiny_recipe(own_list))
    assert [case.name for case in data.training] == ["ct1"]
    assert data.skipped == ("ct2 (nobody marked a structure of the recipe in it)",)
    assert "skipped ct2" in caplog.text


def test_what_no_case_has_is_said(own_list, caplog):
    for number in range(3):
        edited(own_list, lambda content, number=number: content["training"][number].update({"annotated": [1]}))
    load(tiny_recipe(own_list, stage="stage1", start_from="x", labels="manual+pseudo"))
    assert "no training case has supervoxels" in caplog.text
    assert "from a pseudo-label" in caplog.text
    assert "annotated for dim ball" in caplog.text
    caplog.clear()
    load(tiny_recipe(own_list, classes={1: "bright ball"}))
    assert caplog.text == ""


def test_transforms_of_a_research_list_are_named_and_left_out(own_list, caplog):
    transforms = [{"_target_": "RandCropByLabelClassesd", "num_classes": 3}, "$__import__('os').abort()"]
    edited(own_list, lambda content: content.update(training_transform=transforms))
    assert len(load(tiny_recipe(own_list)).training) == 2
    assert "training_transform (RandCropByLabelClassesd, $__import__" in caplog.text


def test_scans_without_labels_take_part_where_supervoxels_are_asked_for(own_list):
    def change(content):
        entry = content["training"].pop()
        content["training"].append({"image": entry["image"], "label_sv": entry["label"]})

    edited(own_list, change)
    assert [case.name for case in load(tiny_recipe(own_list)).training] == ["ct1"]
    asked = {"stage": "stage1", "start_from": "x", "labels": "manual"}
    data = load(tiny_recipe(own_list, **asked))
    assert [(case.name, case.annotated) for case in data.training] == [("ct1", (133, 134)), ("ct2", ())]
    assert data.training[1].supervoxels_XYZ.max() == 2


def test_disk_and_memory_hold_the_same(tiny_list, tmp_path):
    for cache in ("memory", str(tmp_path / "cache"), str(tmp_path / "cache")):
        data = load(tiny_recipe(tiny_list, cache=cache))
        image, places = data.training[0].image_XYZ, data.training[0].places[133]
        if cache == "memory":
            first = image.clone(), places.clone()
        assert torch.equal(image, first[0])
        assert torch.equal(places, first[1])
    assert len(list((tmp_path / "cache").iterdir())) == 3
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        load(tiny_recipe(tiny_list, cache=str(tmp_path / "file")))


def test_the_spacing_of_the_recipe_counts(tiny_list):
    assert load(tiny_recipe(tiny_list, spacing=(4, 4, 4))).training[0].spacing == (4, 4, 4)
    assert load(tiny_recipe(tiny_list)).training[0].spacing == TINY.spacing


def test_the_first_cases_of_a_list(tiny_list):
    assert [case.name for case in load(tiny_recipe(tiny_list, most_cases=1)).training] == ["ct1"]
