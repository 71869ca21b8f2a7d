"""The official override files for fine-tuning and evaluation, laid on top of our configurations as they are."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from openvista.bundle.preparation import augmenting_of
from openvista.errors import RecipeError
from openvista.weights import read_card
from small_bundle import EVALUATE, FINETUNE, run_on_cases


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


@pytest.mark.slow
def test_the_official_fine_tune_on_top_trains(
    in_starter: Path, cases: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    below = ["configs/train.json", written(tmp_path, "train_continual", FINETUNED)]
    run_on_cases(below, cases, output_dir=str(tmp_path / "out"), **{"validate#handlers#3#save_dir": str(tmp_path)})
    recipe = json.loads((tmp_path / "out/run-1/recipe.json").read_text())
    assert (recipe["schedule"], recipe["classes"], recipe["learning_rate"]) == ("constant", {"1": 3}, 1e-4)
    assert (recipe["augmentation"]["chance"], recipe["augmentation"]["spatial_share"]) == (0, 0)
    assert read_card(tmp_path / "model_finetune.json").classes == (3,)
    assert warned(caplog) == ["optimizer is Novograd", "train#random_transforms"]


@pytest.mark.slow
def test_the_official_evaluation_on_top_scores_as_ours(
    in_tiny: Path, cases: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With random weights that find class 3 somewhere. The official steps crop, and resample after they turn."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    below = ["configs/train.json", written(tmp_path, "train_continual", FINETUNED)]
    weights = {"ckpt_path": "models/model.pt"}
    run_on_cases([*below, written(tmp_path, "evaluate", EVALUATED)], cases, output_dir=str(theirs), **weights)
    assert warned(caplog) == ["preprocessing", "validate#handlers"]
    run_on_cases(EVALUATE, cases, output_dir=str(ours), **weights)
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


@pytest.mark.usefixtures("as_torchrun", "in_starter")
@pytest.mark.parametrize("whose", ["ours", "official"])
def test_a_process_among_others(cases: Path, tmp_path: Path, whose: str) -> None:
    """Training and evaluation as torchrun would start them, alone in their group."""

    def top(name: str) -> str:
        return f"configs/{name}.json" if whose == "ours" else official_override(tmp_path, name)

    saver = {"validate#handlers#3#save_dir": str(tmp_path)}
    run_on_cases(
        [*FINETUNE, top("multi_gpu_train")], cases, output_dir=str(tmp_path / "train"), early_stop=True, **saver
    )
    assert json.loads((tmp_path / "train/run-1/recipe.json").read_text())["patience"] == 5
    weights = str(tmp_path / "model_finetune.pt")
    run_on_cases([*EVALUATE, top("mgpu_evaluate")], cases, output_dir=str(tmp_path / "scores"), ckpt_path=weights)
    assert (tmp_path / "scores/val_mean_dice_raw.csv").read_text().count("\n") == 2
