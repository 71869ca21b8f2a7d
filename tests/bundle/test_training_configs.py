"""MONAI runs the official commands for fine-tuning and evaluation."""

import csv
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from openvista.bundle.command import cause_of
from openvista.bundle.export import export_bundle
from openvista.errors import DataListError, InputError, OpenVistaError, RecipeError
from openvista.train.run_folder import TRAIN_COLUMNS
from openvista.weights import read_card
from small_bundle import EVALUATE, FINETUNE, run_on_cases

bundle = pytest.importorskip("monai.bundle")


def refused(configs: list[str], cases: Path, **override: Any) -> OpenVistaError:
    """What of ours MONAI's error was made from."""
    with pytest.raises((RuntimeError, OpenVistaError)) as caught:
        run_on_cases(configs, cases, **override)
    ours = cause_of(caught.value)
    assert ours is not None, caught.value
    assert "\n" not in str(ours)
    return ours


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the starter that may be changed."""
    return export_bundle("starter", tmp_path_factory.mktemp("trained") / "starter")


@pytest.fixture(scope="module")
def trained(own: Path, cases: Path) -> Path:
    """The same after one epoch on two cases, by the official command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(own)
        run_on_cases(
            FINETUNE,
            cases,
            learning_rate=1e-4,
            max_foreprompt=1,
            max_backprompt=0,
            n_train_samples=2,
            val_at_start=True,
            **{"optimizer#weight_decay": 1e-4, "train#random_transforms#0#zoom": 0.1},
        )
    return own


def test_a_fine_tune_writes_weights_and_card(trained: Path) -> None:
    before = torch.load(trained / "models/model.pt", weights_only=True)
    after = torch.load(trained / "models/model_finetune.pt", weights_only=True)
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert read_card(trained / "models/model_finetune.json").classes == (3,)
    assert not list((trained / "eval").glob("*-start"))


def test_ids_became_a_recipe(trained: Path) -> None:
    recipe = json.loads((trained / "eval/run-1/recipe.json").read_text())
    expected = {
        "learning_rate": 1e-4,
        "weight_decay": 1e-4,
        "schedule": "constant",
        "most_present": 1,
        "most_absent": 0,
        "class_probability": 0.75,
        "click_probability": 0.75,
        "rounds": 4,
        "window": [32, 32, 32],
        "spacing": [3.9, 3.9, 2.5],
        "classes": {"1": 3},
        "validate_every": 2,
        "patches_per_step": 1,
    }
    assert {key: recipe[key] for key in expected} == expected
    assert recipe["augmentation"]["zoom"] == 0.1
    with (trained / "eval/run-1/train.csv").open() as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == TRAIN_COLUMNS
    assert len(rows) - 1 == 2, "one epoch is one patch of each of two cases"


def test_evaluation_scores_on_the_files_own_grid(
    trained: Path, cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    run_on_cases(EVALUATE, cases, output_dir=str(tmp_path))
    with (tmp_path / "val_mean_dice_raw.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["filename", "label 1", "mean"]
    assert [row[0] for row in rows[1:]] == ["label2"]
    predicted = np.asarray(nib.load(tmp_path / "ct2/ct2_trans.nii.gz").dataobj)
    truth = np.asarray(nib.load(cases / "label2.nii.gz").dataobj)
    assert set(np.unique(predicted)) <= {0, 1}
    both = ((predicted == 1) & (truth == 1)).sum()
    dice = 2 * both / ((predicted == 1).sum() + (truth == 1).sum())
    assert float(rows[1][1]) == pytest.approx(dice, abs=1e-4)
    assert (tmp_path / "metrics.csv").read_text().startswith("metric,mean,cases")


def test_fine_tuned_weights_answer_prompts(
    trained: Path, cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The starter itself does not know class 3: the card beside the weights says that these do."""
    monkeypatch.chdir(trained)
    bundle.run(
        config_file="configs/inference.json",
        logging_file=False,
        input_dict={"image": str(cases / "ct0.nii.gz"), "label_prompt": [3]},
        output_dir=str(tmp_path),
        **{"checkpointloader#load_path": "models/model_finetune.pt"},
    )
    assert set(np.unique(nib.load(tmp_path / "ct0/ct0_trans.nii.gz").dataobj)) <= {0, 3}


def test_from_random_weights_by_class_only(
    own: Path, cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """train.json alone, with label sets in the place of a mapping."""
    monkeypatch.chdir(own)
    override = {"label_set": [0, 121], "val_label_set": [0, 1], "drop_point_prob": 1.0, "drop_label_prob": 0.0}
    saver = {"validate#handlers#3#save_dir": str(tmp_path), "validate#handlers#3#key_metric_filename": "fresh.pt"}
    run_on_cases(FINETUNE[:1], cases, output_dir=str(tmp_path), **override, **saver)
    recipe = json.loads((tmp_path / "run-1/recipe.json").read_text())
    assert recipe["start_from"] is None
    assert recipe["trained"] == ["encoder", "automatic"]
    assert recipe["schedule"] == "cosine"
    assert read_card(tmp_path / "fresh.json").classes == (121,)


@pytest.mark.parametrize(
    ("override", "error", "words"),
    [
        ({"label_set": [0, 3, 5]}, DataListError, "contradict each other"),
        ({"label_set": [0, 5]}, DataListError, "contradicts label_set"),
        ({"output_classes": 3}, DataListError, "output_classes is 3"),
        ({"label_mappings": {"default": [[1, 3], [1, 5]]}}, DataListError, "mapped twice"),
        ({"label_mappings": {"default": [[1, 300]]}}, DataListError, "1..254"),
        (
            {"label_mappings": {"other": [[1, 3]]}, "label_set": [0, 3], "val_label_set": [0, 1]},
            DataListError,
            "'default'",
        ),
        ({"use_mlflow": True}, RecipeError, "MLflow"),
        ({"max_prompt": 4}, RecipeError, "max_foreprompt"),
        ({"exclude_background": False}, RecipeError, "background is no class"),
        ({"drop_label_prob": 2}, RecipeError, "share from 0 to 1"),
        ({"drop_label_prob": 1, "drop_point_prob": 1}, RecipeError, "nothing would be asked"),
        ({"loss#squared_pred": False}, RecipeError, "loss#squared_pred"),
        ({"train#trainer#hyper_kwargs#max_points": 3}, RecipeError, "nearest is 'max_point'"),
        ({"train#inferer": {"_target_": "SlidingWindowInferer", "roi_size": 8}}, RecipeError, "train#inferer"),
        ({"train#random_transforms": [{"_target_": "RandFlipd", "keys": "image"}]}, RecipeError, "random_transforms"),
        ({"train#deterministic_transforms#0#axcodes": "LPS"}, RecipeError, "RAS"),
        ({"train#dataset#data": "$@train_datalist[:1]"}, RecipeError, "n_train_samples alone"),
        ({"optimizer#_target_": "torch.optim.SGD"}, RecipeError, "AdamW"),
        ({"fold": 7}, DataListError, "no case has fold 7"),
        ({"validate#evaluator#hyper_kwargs#val_head": "point", "val_at_start": True}, InputError, "val_head"),
        ({"data_list_file_path": "nothing.json"}, DataListError, "does not exist"),
        ({"finetune_model_path": "models/nothing.pt"}, InputError, "not a file"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    own: Path,
    cases: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    override: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    monkeypatch.chdir(own)
    ours = refused(FINETUNE, cases, output_dir=str(tmp_path / "out"), **override)
    assert isinstance(ours, error)
    assert words in str(ours)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []
