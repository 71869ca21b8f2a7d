"""Configs of the research repository, with its keys and values of our own, become recipes and commands."""

import json
import shlex

import pytest
import yaml

from openvista.errors import DataListError, RecipeError
from openvista.train.original_config import migrate_config, recipe_text

STAGE = {
    "amp": True,
    "bundle_root": "./project",
    "json_dir": "./jsons",
    "ckpt_path": "$@bundle_root + '/fold' + str(@fold)",
    "model": "vista3d_segresnet_d",
    "weighted_sampling": False,
    "drop_label_prob": 0,
    "drop_point_prob": 1,
    "finetune": {"activate": True, "exclude_vars": None, "pretrained_ckpt_name": "$@bundle_root + '/before.pt'"},
    "fold": 2,
    "image_key": "image",
    "iter_num": 5,
    "learning_rate": 0.00002,
    "loss": {"_target_": "DiceCELoss", "sigmoid": True, "smooth_dr": 1e-5, "smooth_nr": 0, "squared_pred": True},
    "lr_scheduler": {"_target_": "monai.optimizers.WarmupCosineSchedule", "optimizer": "$@optimizer"},
    "max_backprompt": 4,
    "max_foreprompt": 32,
    "max_point": 3,
    "max_prompt": None,
    "num_epochs": 200,
    "freeze_epoch": 1000,
    "freeze_head": "point",
    "num_images_per_batch": 1,
    "num_patches_per_image": 2,
    "optimizer": {"_target_": "torch.optim.AdamW", "lr": "@learning_rate", "weight_decay": 1e-5},
    "patch_size": [128, 128, 128],
    "random_seed": 7,
    "resample_to_spacing": [1.5, 1.5, 1.5],
    "train_datasets": ["Task06", "NLST"],
    "transforms_train": {"_target_": "Compose", "transforms": ["$torch.float32"]},
}
WORD = {
    "data_list_file_path": "WORD.json",
    "data_file_base_dir": "/data/WORD",
    "label_set": [0, 1, 2],
    "mapped_label_set": [0, 1, 3],
    "train_number": 5,
    "freeze_epoch": 0,
    "json_dir": None,
    "train_datasets": None,
}
EVALUATION = {
    "amp": False,
    "exps": "models",
    "output_path": "$'/runs/' + @exps",
    "ckpt": "$@output_path + '/model.pt'",
    "label_set": [0, 1],
    "mapped_label_set": [0, 3],
    "val_auto": True,
    "overlap": 0.625,
    "data_list_file_path": "$'./jsons/' + @json_name",
    "json_name": "Task09_5_folds.json",
    "data_file_base_dir": "/data/Task09",
    "list_key": "testing",
    "patch_size": [128, 128, 128],
}
INFER = {
    "bundle_root": "./models",
    "infer": {"ckpt_name": "$@bundle_root + '/model.pt'", "output_path": "$@bundle_root"},
}


def migrate(folder, content, **overrides):
    path = folder / "config.yaml"
    path.write_text(json.dumps(content))  # JSON is YAML
    return migrate_config(path, **overrides)


def test_a_stage(tmp_path):
    migrated = migrate(tmp_path, STAGE)
    assert migrated.recipe == {
        "stage": "stage3",
        "class_probability": 1,
        "click_probability": 0.0,
        "trained": ["automatic"],
        "json_dir": "./jsons",
        "train_datasets": ["Task06", "NLST"],
        "preset": "vista3d",
        "epochs": 200,
        "fold": 2,
        "seed": 7,
        "patches_per_case": 2,
        "most_clicks": 3,
        "most_absent": 4,
        "learning_rate": 2e-5,
        "window": [128, 128, 128],
        "spacing": [1.5, 1.5, 1.5],
        "start_from": "./project/before.pt",
        "most_present": 32,
        "rounds": 4,
        "precision": "bfloat16",
        "weight_decay": 1e-5,
        "loss": {"squared": True, "smooth": 1e-5},
    }
    assert migrated.commands == (("openvista", "train", "RECIPE", "-o", "./project"),)
    assert migrated.left_out == ("ckpt_path", "transforms_train")
    assert yaml.safe_load(recipe_text(migrated)) == migrated.recipe


@pytest.mark.parametrize(
    ("keys", "stage"),
    [
        ({"drop_label_prob": 1, "drop_point_prob": 0, "freeze_epoch": 0}, "stage1"),
        ({"drop_label_prob": 1, "drop_point_prob": 0, "freeze_epoch": 0, "weighted_sampling": True}, "stage2"),
        ({"weighted_sampling": True}, "stage4"),
        ({"drop_label_prob": 0.25, "drop_point_prob": 0.25, "freeze_head": None}, "joint"),
    ],
)
def test_which_stage_it_is(tmp_path, keys, stage):
    migrated = migrate(tmp_path, STAGE | keys)
    assert migrated.recipe["stage"] == stage
    assert ("most_objects" in migrated.recipe) is (stage not in ("stage3", "stage4"))
    assert recipe_text(migrated)


def test_a_fine_tune_brings_its_list_and_label_sets(tmp_path):
    recipe = migrate(tmp_path, STAGE | WORD).recipe
    assert (recipe["stage"], recipe["most_cases"], recipe["oversample"]) == ("finetune", 5, None)
    assert (recipe["datalist"], recipe["root"], recipe["classes"]) == ("WORD.json", "/data/WORD", {1: 1, 2: 3})
    assert "trained" not in recipe


def test_an_evaluation_is_a_command(tmp_path):
    migrated = migrate(tmp_path, EVALUATION)
    assert shlex.join(*migrated.commands) == (
        "openvista evaluate ./jsons/Task09_5_folds.json --root /data/Task09 --model /runs/models/model.pt "
        "--split testing --label-set 1 --mapped-label-set 3 --protocol auto --profile research --precision float32"
    )
    zero_shot = migrate(tmp_path, EVALUATION | {"max_iter": 80, "val_auto": None, "mapped_label_set": None})
    assert "1=new:label 1" in zero_shot.commands[0]
    assert "zero-shot-iterative" in zero_shot.commands[0]


def test_a_model_of_another_spacing_is_imported_with_it(tmp_path):
    word = {"pixdim": [1, 1, 1], "patch_size": [224, 224, 144], "five_fold": False, "argmax_first": False}
    keys = EVALUATION | word | {"output_path": "$'/runs/word_' +  str(@train_number)", "train_number": 100}
    importing, evaluating = map(shlex.join, migrate(tmp_path, keys).commands)
    assert importing == (
        "openvista models import /runs/word_100/model.pt --name model --spacing 1,1,1 --window 224,224,144"
    )
    assert "--model model --split testing" in evaluating
    assert len(migrate(tmp_path, INFER, resample_to_spacing=[1.5, 1.5, 1.5]).commands) == 1


def test_inference_is_a_command(tmp_path):
    migrated = migrate(tmp_path, INFER, label_prompt=[1, 3], image_file="ct.nii.gz")
    assert shlex.join(*migrated.commands) == (
        "openvista segment ct.nii.gz --model ./models/model.pt --class 1 --class 3 -o ./models/ --profile research"
    )


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"num_epochs": "$__import__('os').system('touch x')"}, "not evaluated: give the values of num_epochs"),
        ({"json_dir": "$'a' * 9"}, "not evaluated: give the values of json_dir"),
        ({"json_dir": "@nowhere"}, "not evaluated: give the values of json_dir"),
        ({"json_dir": "@bundle_root", "bundle_root": "@json_dir"}, "not evaluated: give the values of"),
        ({"my_key": 3, "other": 4}, "nothing here honours my_key, other"),
        ({"max_prompt": 9}, "max_prompt 9 is not honoured here"),
        ({"loss": {"_target_": "FocalLoss"}}, "only DiceCELoss is"),
        ({"loss": {"include_background": True}}, "include_background is another loss"),
        ({"optimizer": {"_target_": "torch.optim.SGD"}}, "only AdamW is"),
        ({"freeze_epoch": 20}, "for the whole run, or not at all"),
        ({"freeze_head": "auto"}, "prompts for that head are asked"),
        ({"num_epochs": "many"}, "num_epochs is 'many', not a number"),
        ({"finetune": {"activate": True, "exclude_vars": "head"}}, "all weights are taken"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(tmp_path, monkeypatch, keys, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=words) as caught:
        migrate(tmp_path, STAGE | keys)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "x").exists(), "an expression was evaluated"


def test_an_expression_can_be_given_as_a_plain_value(tmp_path):
    assert migrate(tmp_path, STAGE | {"num_epochs": "$2 * 100"}, num_epochs=3).recipe["epochs"] == 3


def test_other_mistakes(tmp_path):
    with pytest.raises(RecipeError, match="of no kind that is known"):
        migrate(tmp_path, {"a": 1})
    with pytest.raises(RecipeError, match=r"pixdim .* three numbers are"):
        migrate(tmp_path, EVALUATION | {"pixdim": [1, 1]})
    with pytest.raises(DataListError, match="2 and 1 values"):
        migrate(tmp_path, EVALUATION | {"mapped_label_set": [0]})
