"""Data lists of a recipe: by names of data sets, with the list's own mapping, with roots; mistakes are one line."""

import json

import pytest
from tiny_training import load, tiny_recipe

from openvista.errors import DataListError, RecipeError
from openvista.train.recipe_file import make_recipe, read_recipe

ENTRY = {"image": "a.nii.gz", "label": "b.nii.gz", "fold": 0}
MAPPINGS = {"Task06": [[0, 0], [1, 23]], "AMOS22": [[1, 3], [15, 16]]}


@pytest.fixture
def folder(tmp_path):
    """Three data sets as the research repository has them; only NLST has no labels."""
    (tmp_path / "jsons").mkdir()
    for name in ("Task06", "AMOS22", "NLST"):
        entry = ENTRY if name in MAPPINGS else {"image": "a.nii.gz", "label_sv": "a.nii.gz"}
        write(tmp_path / "jsons" / f"{name}_5_folds.json", {"training": [entry]})
    write(tmp_path / "jsons" / "label_mappings.json", MAPPINGS)
    return tmp_path


def write(path, content):
    path.write_text(json.dumps(content))  # JSON is YAML
    return path


def read(folder, **keys):
    return read_recipe(write(folder / "recipe.yaml", {"augmentation": {"mirror": False}} | keys))


def test_a_list_brings_its_own_classes(folder):
    recipe = read(folder, datalist="jsons/AMOS22_5_folds.json", more_data=[{"datalist": "jsons/NLST_5_folds.json"}])
    assert recipe.classes == {1: 3, 15: 16}  # 16: no published model supports it, yet it can be trained
    assert recipe.sources[1].classes == {}
    assert read(folder, datalist="jsons/AMOS22_5_folds.json", classes={2: "liver"}).classes == {2: 1}


def test_a_list_brings_its_own_names(folder):
    listed = write(folder / "named.json", {"labels": {"1": "spleen"}, "training": [ENTRY]})
    assert read(folder, datalist=str(listed)).classes == {1: 3}


def test_data_sets_of_a_folder_of_lists(folder):
    recipe = read(folder, json_dir="jsons", train_datasets=["Task06", "NLST"], root="/data", supervoxel_root="/sv")
    assert [one.datalist.name for one in recipe.sources] == ["Task06_5_folds.json", "NLST_5_folds.json"]
    assert [str(one.root) for one in recipe.sources] == ["/data/Task06", "/data/NLST"]
    assert [str(one.supervoxel_root) for one in recipe.sources] == ["/sv/Task06", "/sv/NLST"]
    assert recipe.classes == {1: 23}


def test_a_registry_in_the_recipe_wins_over_the_file(folder):
    (folder / "own").mkdir()
    entries = {name: {"json": f"jsons/{name}_5_folds.json", "root": "own"} for name in ("AMOS22", "Task06")}
    write(folder / "sets.yaml", {"datasets": entries})
    own = {"Task06": {"json": "jsons/Task06_5_folds.json", "root": "/elsewhere", "classes": {1: 20}}}
    recipe = read(folder, registry="sets.yaml", datasets=own)
    assert [str(one.root) for one in recipe.sources] == [str(folder / "own"), "/elsewhere"]
    assert recipe.sources[1].classes == {1: 20}
    assert read(folder, registry="sets.yaml", train_datasets=["Task06"]).classes == {1: 23}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"json_dir": "jsons", "train_datasets": ["Task99"]}, "has no list of 'Task99'"),
        ({"datasets": {"Task06": {"root": "/data"}}}, "'Task06' has no json"),
        ({"datasets": {"Task06": {"jsn": "x"}}}, "'Task06' has 'jsn': write"),
        ({"datasets": {"Task06": 3}}, "'Task06' has 3: write"),
        ({"datasets": {"Task06": {"json": "x"}}, "train_datasets": ["Task6"]}, "nearest: 'Task06'"),
        ({"datasets": {"Task06": {"json": "x"}}, "datalist": "y.json"}, "datalist and datasets exclude each other"),
        ({"datasets": []}, "datasets must be"),
        ({"json_dir": "jsons", "train_datasets": ["NLST", "NLST"]}, "names NLST twice"),
        ({"json_dir": "jsons"}, "train_datasets must be a list of names"),
        ({"registry": "none.yaml"}, "registry .*none.yaml does not exist"),
        ({"registry": "recipe.yaml"}, "must have 'datasets"),
    ],
)
def test_a_mistake_is_one_line(folder, keys, words):
    with pytest.raises(RecipeError, match=words) as caught:
        read(folder, **keys)
    assert "\n" not in str(caught.value)


def test_a_list_with_labels_must_say_what_they_are(folder):
    write(folder / "bare.json", {"training": [ENTRY]})
    with pytest.raises(DataListError, match="names no labels: say which class each is"):
        read(folder, datalist="bare.json")


def test_a_root_that_is_no_folder_is_said(tiny_list, tmp_path):
    with pytest.raises(DataListError, match=r"below .*gone, which is no folder"):
        load(tiny_recipe(tiny_list, root=str(tmp_path / "gone")))


def test_maps_that_a_run_does_not_read_need_not_be_there(tiny_list, tmp_path):
    """The original's lists name pseudo-labels and supervoxels of folders that few people have."""
    content = json.loads(tiny_list.read_text())
    for entry in content["training"]:
        entry |= {"pseudo_label": "none.nii.gz", "label_sv": "none.nii.gz"}
    listed = write(tmp_path / "list.json", content)
    more = {"root": str(tiny_list.parent)}
    assert len(load(tiny_recipe(listed, **more)).training) == 2
    with pytest.raises(DataListError, match=r"none\.nii\.gz, which does not exist"):
        load(tiny_recipe(listed, labels="manual+pseudo", **more))


def test_supervoxels_alone_need_no_class(tiny_list):
    stage = {"datalist": str(tiny_list), "preset": "tiny", "classes": {}}
    assert make_recipe({"stage": "stage1", **stage}, "here").class_ids == ()
    for name in ("stage2", "stage4"):
        with pytest.raises(RecipeError, match="classes is empty"):
            make_recipe({"stage": name, "start_from": "starter", **stage}, "here")
