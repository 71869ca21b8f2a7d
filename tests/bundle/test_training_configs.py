"""MONAI runs the official commands for fine-tuning and evaluation."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from openvista.bundle.command import cause_of
from openvista.bundle.export import export_bundle
from openvista.bundle.preparation import augmenting_of
from openvista.errors import DataListError, InputError, OpenVistaError, RecipeError
from openvista.train.run_folder import TRAIN_COLUMNS
from openvista.weights import read_card

bundle = pytest.importorskip("monai.bundle")

FINETUNE = ["configs/train.json", "configs/train_continual.json"]
EVALUATE = [*FINETUNE, "configs/evaluate.json"]
SMALL: dict[str, Any] = {"patch_size": [32, 32, 32], "epochs": 1}


def run(configs: list[str], cases: Path, **override: Any) -> None:
    data = {"data_list_file_path": str(cases / "dataset.json"), "dataset_dir": str(cases)}
    bundle.run(config_file=configs, logging_file=False, **{**SMALL, **data, **override})


def refused(configs: list[str], cases: Path, **override: Any) -> OpenVistaError:
    """What of ours MONAI's error was made from."""
    with pytest.raises((RuntimeError, OpenVistaError)) as caught:
        run(configs, cases, **override)
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
        run(
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
    run(EVALUATE, cases, output_dir=str(tmp_path))
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
    run(FINETUNE[:1], cases, output_dir=str(tmp_path), **override, **saver)
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


def official_override(folder: Path, name: str) -> str:
    """What the official files of this name override, by ids, for a machine without GPU; the words are ours."""
    wrapped = {"_target_": "torch.nn.parallel.DistributedDataParallel", "module": "$@network_def.to(@device)"}
    start = [
        "$import torch.distributed as dist",
        "$dist.is_initialized() or dist.init_process_group(backend='gloo')",
        "$monai.utils.set_determinism(seed=123)",
    ]
    common = {
        "device": "$torch.device('cpu')",
        "network": wrapped,
        "validate#sampler": {
            "_target_": "DistributedSampler",
            "dataset": "@validate#dataset",
            "even_divisible": False,
            "shuffle": False,
        },
        "validate#dataloader#sampler": "@validate#sampler",
        "initialize": start,
        "finalize": ["$dist.is_initialized() and dist.destroy_process_group()"],
    }
    contents = {
        "multi_gpu_train": {
            **common,
            "use_tensorboard": "$dist.get_rank() == 0",
            "train#sampler": {
                "_target_": "DistributedSampler",
                "dataset": "@train#dataset",
                "even_divisible": True,
                "shuffle": True,
            },
            "train#dataloader#sampler": "@train#sampler",
            "train#dataloader#shuffle": False,
            "train#trainer#train_handlers": "$@train#handlers[: -2 if dist.get_rank() > 0 else None]",
            "run": [
                "$@validate#handlers#0.set_trainer(trainer=@train#trainer) if @early_stop else None",
                "$@train#trainer.run()",
            ],
        },
        "mgpu_evaluate": {
            **common,
            "validate#handlers#1#_disabled_": "$dist.get_rank() > 0",
            "run": ["$@validate#evaluator.run()"],
        },
    }
    return written(folder, name, contents[name])


def written(folder: Path, name: str, content: dict[str, Any]) -> str:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return str(path)


RELABEL = {"_target_": "monai.apps.vista3d.transforms.Relabeld", "dtype": "$torch.uint8"}
BOTH = ["image", "label"]
FINETUNED: dict[str, Any] = {
    "finetune": True,
    "val_at_start": True,
    "n_train_samples": 2,
    "n_val_samples": 1,
    "val_interval": 1,
    "learning_rate": 0.0001,
    "lr_schedule#activate": False,
    "loss#smooth_dr": 0.01,
    "loss#smooth_nr": 0.0001,
    "train_dataset_cache_rate": 1.0,
    "val_dataset_cache_rate": 1.0,
    "num_cache_workers": 4,
    "label_mappings": {"default": [[1, 3]]},
    "label_set": "$[0] + list(x[1] for x in @label_mappings#default)",
    "val_label_set": "$[0] + list(x[0] for x in @label_mappings#default)",
    "num_classes": 255,
    "output_classes": "$len(@label_set)",
    "optimizer": {"_target_": "Novograd", "lr": "@learning_rate", "params": "$@network.parameters()"},
    "show_cache_progress": True,
    "cache_cls_idx": {"activate": True, "indices_key": "$'label_cls_indices' if @cache_cls_idx#activate else None"},
    "train#random_transforms": [
        {"_target_": "ClassesToIndicesd", "keys": "label", "num_classes": "@num_classes"},
        {
            "_target_": "RandCropByLabelClassesd",
            "keys": BOTH,
            "label_key": "label",
            "num_classes": "@num_classes",
            "spatial_size": "@patch_size",
            "num_samples": "@num_patches_per_image",
            "ratios": "$tuple(float(i >= 0) for i in range(@num_classes))",
            "indices_key": "$@cache_cls_idx#indices_key",
        },
        {**RELABEL, "keys": "label", "label_mappings": "@label_mappings"},
    ],
    "train#handlers#0#strict": False,
    **{
        f"{part}#dataset": {
            "_target_": "CacheDataset",
            "data": f"$@{short}_datalist[:@n_{short}_samples]",
            "transform": f"@{part}#preprocessing",
            "cache_rate": f"@{short}_dataset_cache_rate",
            "hash_as_key": True,
            "num_workers": "@num_cache_workers",
            "progress": "@show_cache_progress",
        }
        for part, short in (("train", "train"), ("validate", "val"))
    },
    "validate#preprocessing#transforms": "$@train#deterministic_transforms + [@valid_remap]",
    "valid_remap": {
        **RELABEL,
        "keys": "label",
        "label_mappings": "${'default': [[c, i] for i, c in enumerate(@val_label_set)]}",
    },
    "validate#handlers#3#key_metric_filename": "model_finetune.pt",
}
"""What the official train_continual.json overrides, by ids."""
SCALED = {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -963.8, "a_max": 1053.7, "b_min": 0.0}
EVALUATED: dict[str, Any] = {
    "label_mappings": {"default": [[1, 3]]},
    "label_set": "$list(x[1] for x in @label_mappings#default)",
    "validate#evaluator#hyper_kwargs#val_head": "auto",
    "validate#preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": BOTH, "image_only": True, "ensure_channel_first": True},
            {"_target_": "CropForegroundd", "keys": ["image"], "source_key": "image", "margin": 10}
            | {"allow_smaller": True, "start_coord_key": None, "end_coord_key": None},
            SCALED | {"b_max": 1.0, "clip": True},
            {"_target_": "Orientationd", "keys": ["image"], "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": ["image"], "pixdim": "$@resample_to_spacing", "mode": ["bilinear"]},
            {"_target_": "CastToTyped", "keys": BOTH, "dtype": ["$torch.float32", "$torch.uint8"]},
            {**RELABEL, "keys": "label", "label_mappings": "@label_mappings"},
        ],
    },
    "validate#postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "EnsureTyped", "keys": ["pred", "label"], "device": "cpu", "_disabled_": True},
            {"_target_": "monai.apps.vista3d.transforms.VistaPostTransformd", "keys": "pred"},
            {"_target_": "Invertd", "keys": "pred", "transform": "$copy.deepcopy(@validate#preprocessing)"}
            | {"orig_keys": "image", "nearest_interp": True, "to_tensor": True},
            {"_target_": "Lambdad", "func": "$lambda x: torch.nan_to_num(x, nan=255)", "keys": "pred"},
            {"_target_": "SaveImaged", "keys": "pred", "resample": False, "output_dir": "@output_dir"},
            {**RELABEL, "keys": ["pred", "label"]}
            | {"label_mappings": "${'default': [[c, i + 1] for i, c in enumerate(@label_set)]}"},
        ],
    },
    "validate#handlers": [
        {"_target_": "CheckpointLoader", "load_path": "@ckpt_path", "load_dict": {"model": "@network"}},
        {"_target_": "StatsHandler", "iteration_log": True},
        {"_target_": "MetricsSaver", "save_dir": "@output_dir", "metrics": ["val_mean_dice"], "metric_details": "*"}
        | {"batch_transform": "$lambda x: [xx['image'].meta for xx in x]", "summary_ops": "*"},
    ],
    "validate#dataset": {"_target_": "Dataset", "data": "$list(@val_datalist)", "transform": "@validate#preprocessing"},
    "run": ["$@validate#evaluator.run()"],
}
"""What the official evaluate.json overrides, by ids."""


@pytest.mark.skipif("OPENVISTA_SLOW" not in os.environ, reason="takes ten seconds; set OPENVISTA_SLOW=1")
def test_the_official_fine_tune_on_top_trains(
    own: Path, cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(own)
    below = ["configs/train.json", written(tmp_path, "train_continual", FINETUNED)]
    run(below, cases, output_dir=str(tmp_path / "out"), **{"validate#handlers#3#save_dir": str(tmp_path)})
    recipe = json.loads((tmp_path / "out/run-1/recipe.json").read_text())
    assert (recipe["schedule"], recipe["classes"], recipe["learning_rate"]) == ("constant", {"1": 3}, 1e-4)
    assert (recipe["augmentation"]["chance"], recipe["augmentation"]["spatial_share"]) == (0, 0)
    assert read_card(tmp_path / "model_finetune.json").classes == (3,)
    assert warned(caplog) == ["optimizer is Novograd", "train#random_transforms"]


@pytest.mark.skipif("OPENVISTA_SLOW" not in os.environ, reason="takes ten seconds; set OPENVISTA_SLOW=1")
def test_the_official_evaluation_on_top_scores_as_ours(
    in_tiny: Path, cases: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With random weights that find class 3 somewhere. The official steps crop, and resample after they turn."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    below = ["configs/train.json", written(tmp_path, "train_continual", FINETUNED)]
    weights = {"ckpt_path": "models/model.pt"}
    run([*below, written(tmp_path, "evaluate", EVALUATED)], cases, output_dir=str(theirs), **weights)
    assert warned(caplog) == ["preprocessing", "validate#handlers"]
    run(EVALUATE, cases, output_dir=str(ours), **weights)
    tables = [(folder / "val_mean_dice_raw.csv").read_text().split(",") for folder in (theirs, ours)]
    assert tables[0][:-2] == tables[1][:-2]
    assert float(tables[0][-1]) == pytest.approx(float(tables[1][-1]), abs=0.002) != 0
    saved = [np.asarray(nib.load(folder / "ct2/ct2_trans.nii.gz").dataobj) for folder in (theirs, ours)]
    assert [set(np.unique(labels)) for labels in saved] == [{0, 3}, {0, 1}], "theirs saves class ids"
    assert ((saved[0] == 3) == (saved[1] == 1)).mean() > 0.85


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    """How warnings of ours begin."""
    ours = [record for record in caplog.records if record.name.startswith("openvista.bundle.")]
    return [record.message.split(":")[0] for record in ours if record.levelname == "WARNING"]


def test_transforms_of_monai_say_how_strongly_patches_change() -> None:
    transforms = pytest.importorskip("monai.transforms")
    crop = transforms.RandCropByLabelClassesd(BOTH, "label", spatial_size=[16, 16, 16], num_classes=2)
    found = augmenting_of(
        [
            crop,
            transforms.RandZoomd(BOTH, prob=0.3, min_zoom=0.8, max_zoom=1.25),
            transforms.RandShiftIntensityd("image", offsets=0.1, prob=0.15),
        ],
        [16, 16, 16],
    )
    assert (found.chance, found.zoom, found.spatial_share, found.rotation_degrees) == (0.15, 0.25, 0.3, 0)
    with pytest.raises(RecipeError, match="change patch_size alone"):
        augmenting_of([crop], [32, 32, 32])


@pytest.mark.usefixtures("as_torchrun")
@pytest.mark.parametrize("whose", ["ours", "official"])
def test_a_process_among_others(
    trained: Path, cases: Path, tmp_path: Path, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training and evaluation as torchrun would start them, alone in their group."""
    monkeypatch.chdir(trained)

    def top(name: str) -> str:
        return f"configs/{name}.json" if whose == "ours" else official_override(tmp_path, name)

    saver = {"validate#handlers#3#save_dir": str(tmp_path)}
    run([*FINETUNE, top("multi_gpu_train")], cases, output_dir=str(tmp_path / "train"), early_stop=True, **saver)
    assert json.loads((tmp_path / "train/run-1/recipe.json").read_text())["patience"] == 5
    weights = str(tmp_path / "model_finetune.pt")
    run([*EVALUATE, top("mgpu_evaluate")], cases, output_dir=str(tmp_path / "scores"), ckpt_path=weights)
    assert (tmp_path / "scores/val_mean_dice_raw.csv").read_text().count("\n") == 2
