"""``train.json``, ``evaluate.json`` and what is laid on top of them, with the ids of the official bundle.

The training loop is that of :mod:`openvista.train`, so lists that hold MONAI's handlers and transforms in the official
bundle hold settings here (:mod:`openvista.bundle.settings`), in the same places.
"""

from dataclasses import fields

from openvista.bundle.choices import TrainingChoices
from openvista.bundle.inference_configs import (
    IMPORTS,
    OURS,
    SEED_ALL,
    Config,
    dataloader,
    evaluator,
    inferer,
    network_def,
    on_several_gpus,
    postprocessing,
    preprocessing,
)
from openvista.weights import ModelCard

SETTINGS, PREPARATION = f"{OURS}.settings", f"{OURS}.preparation"
_LABEL_MAPPINGS = "$@label_mappings or {'default': list(zip(@val_label_set, @label_set))[1:]}"
"""The mapping, or what the two label sets say."""
_EVERYTHING = "$[one for one in @label_set if one != 0]"
"""The official evaluate.json has a ``label_set`` without 0."""


def train(card: ModelCard) -> Config:
    """From random weights, or with train_continual.json on top a fine-tune."""
    return {
        "imports": [f"$import {name}" for name in IMPORTS],
        "bundle_root": ".",
        "ckpt_dir": "$@bundle_root + '/models'",
        "output_dir": "$@bundle_root + '/eval'",
        "data_list_file_path": "$@bundle_root + '/dataset.json'",
        "dataset_dir": "$@bundle_root + '/data'",
        "image_key": "image",
        "use_tensorboard": True,
        "finetune": False,
        "finetune_model_path": "$@ckpt_dir + '/model.pt'",
        "early_stop": False,
        "use_mlflow": False,
        "mlflow_dir": None,
        "fold": 0,
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "epochs": 5,
        "val_interval": 1,
        "val_at_start": False,
        "sw_overlap": 0.625,
        "sw_batch_size": 1,
        "use_point_window": True,
        "learning_rate": 1e-4,
        "num_patches_per_image": 1,
        "input_channels": 1,
        "output_classes": 2,
        "max_point": 5,
        "max_prompt": None,
        "max_backprompt": None,
        "max_foreprompt": None,
        "drop_label_prob": 0.25,
        "drop_point_prob": 0.25,
        "exclude_background": True,
        "n_train_samples": None,
        "n_val_samples": None,
        "train_dataset_cache_rate": 1.0,
        "val_dataset_cache_rate": 1.0,
        "num_cache_workers": 4,
        "show_cache_progress": False,
        "num_classes": 255,
        "label_mappings": None,
        "label_set": "$list(range(@output_classes))",
        "val_label_set": "$list(range(@output_classes))",
        "amp": True,
        "train_datalist": _cases(held_out=False),
        "val_datalist": _cases(held_out=True),
        "patch_size": list(card.window),
        "patch_size_valid": "@patch_size",
        "resample_to_spacing": list(card.spacing),
        "subclass": None,
        "labels_dict": None,
        **_learning(card),
        "train": _train(card),
        "validate": _validate(card),
        "initialize": [SEED_ALL],
        "run": ["$@train#trainer.run()"],
    }


def _learning(card: ModelCard) -> Config:
    """The network and how it learns."""
    return {
        "network_def": network_def(card),
        "network": "$@network_def.to(@device)",
        "loss": {
            "_target_": f"{SETTINGS}.DiceCrossEntropy",
            "include_background": False,
            "sigmoid": True,
            "smooth_dr": 1e-5,
            "smooth_nr": 0.0,
            "softmax": False,
            "squared_pred": True,
            "to_onehot_y": False,
        },
        "optimizer": {
            "_target_": "torch.optim.AdamW",
            "params": "$@network.parameters()",
            "weight_decay": 1e-5,
            "lr": "@learning_rate",
        },
        "lr_schedule": {"activate": True},
    }


def train_continual(card: ModelCard) -> Config:
    """A fine-tune of the bundle's own weights; to be laid on top of train.json."""
    return {
        "data_list_file_path": "$@bundle_root + '/dataset.json'",
        "dataset_dir": "$@bundle_root + '/data'",
        "finetune": True,
        "val_at_start": False,
        "finetune_model_path": "$@bundle_root + '/models/model.pt'",
        "n_train_samples": None,
        "n_val_samples": None,
        "val_interval": 1,
        "learning_rate": 5e-5,
        "lr_schedule#activate": False,
        "train_dataset_cache_rate": 1.0,
        "val_dataset_cache_rate": 1.0,
        "num_cache_workers": 4,
        "label_mappings": {"default": [[1, 3]]},
        "patch_size": list(card.window),
        "label_set": "$[0] + list(pair[1] for pair in @label_mappings#default)",
        "val_label_set": "$[0] + list(pair[0] for pair in @label_mappings#default)",
        "num_classes": 255,
        "output_classes": "$len(@label_set)",
        "show_cache_progress": False,
        "resample_to_spacing": list(card.spacing),
        "cache_cls_idx": {"activate": False, "indices_key": "label_class_indices"},
        "train#handlers#0#strict": False,
        "validate#handlers#3#key_metric_filename": "model_finetune.pt",
    }


def multi_gpu_train() -> Config:
    """Processes that train together; the loop shares out cases and gradients by itself."""
    return on_several_gpus(
        {"use_tensorboard": "$os.environ.get('RANK', '0') == '0'"}, [SEED_ALL], ["$@train#trainer.run()"]
    )


def evaluate() -> Config:
    """Scores of a checkpoint on the held-out cases; to be laid on top of train.json and train_continual.json."""
    return {
        "data_list_file_path": "$@bundle_root + '/dataset.json'",
        "dataset_dir": "$@bundle_root + '/data'",
        "output_dir": "$@bundle_root + '/eval'",
        "output_ext": ".nii.gz",
        "output_dtype": "$np.float32",
        "output_postfix": "trans",
        "separate_folder": True,
        "unseen_value": 0,
        "ckpt_path": "$@ckpt_dir + '/model_finetune.pt'",
        "label_mappings": {"default": [[1, 3]]},
        "label_set": "$[0] + list(pair[1] for pair in @label_mappings#default)",
        "validate#postprocessing": {"_target_": "Compose", "transforms": _evaluated()},
        "validate#handlers": [
            {
                "_target_": f"{OURS}.evaluator.CheckpointLoader",
                "load_path": "@ckpt_path",
                "load_dict": {"model": "@network"},
            },
            {"_target_": "StatsHandler", "iteration_log": False},
            {"_target_": f"{OURS}.scoring.DiceTable", "label_mappings": _LABEL_MAPPINGS, "save_dir": "@output_dir"},
        ],
        "initialize": [SEED_ALL],
        "run": ["$@validate#evaluator.run()"],
    }


def mgpu_evaluate() -> Config:
    """Cases shared out by rank; the first process writes the table."""
    own = {
        "validate#sampler": {"_target_": f"{OURS}.processes.RankSampler", "dataset": "@validate#dataset"},
        "validate#dataloader#sampler": "@validate#sampler",
        "validate#handlers#1#_disabled_": "$os.environ.get('RANK', '0') != '0'",
    }
    return on_several_gpus(own, [SEED_ALL], ["$@validate#evaluator.run()"])


def _preparation(card: ModelCard) -> Config:
    """One entry. Its steps serve ``validate#preprocessing`` where the official train_continual.json is on top."""
    label = {"keys": "label", "allow_missing_keys": True}
    return {
        "_target_": f"{PREPARATION}.Preparation",
        "spacing": "@resample_to_spacing",
        "steps": [
            *preprocessing(card, "@resample_to_spacing"),
            {"_target_": "LoadImaged", "image_only": True, "ensure_channel_first": True, **label},
        ],
    }


def _train(card: ModelCard) -> Config:
    return {
        "deterministic_transforms": [_preparation(card)],
        "random_transforms": [{"_target_": f"{PREPARATION}.Augmenting", "chance": 0.2, "zoom": 0.2}],
        "inferer": {"_target_": "SimpleInferer"},
        "preprocessing": {
            "_target_": "Compose",
            "transforms": "$@train#deterministic_transforms + @train#random_transforms",
        },
        "dataset": {"_target_": f"{OURS}.cases.CaseSet", "data": "@train_datalist"},
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@train#dataset",
            "batch_size": 1,
            "shuffle": False,
            "num_workers": 0,
        },
        "handlers": [
            {"_target_": f"{SETTINGS}.StartWeights", "load_path": "@finetune_model_path", "strict": True},
            {"_target_": f"{SETTINGS}.LearningRates", "activate": "@lr_schedule#activate"},
            {
                "_target_": f"{SETTINGS}.Validation",
                "interval": "@val_interval",
                "validator": "$@validate#evaluator if @val_at_start else None",
            },
            {"_target_": f"{SETTINGS}.Log", "tag_name": "train_loss"},
            {"_target_": f"{SETTINGS}.EventFiles", "log_dir": None},
        ],
        "key_metric": None,
        "trainer": {
            "_target_": f"{OURS}.trainer.BundleTrainer",
            "device": "@device",
            "max_epochs": "@epochs",
            "train_data_loader": "@train#dataloader",
            "network": "@network",
            "optimizer": "@optimizer",
            "loss_function": "@loss",
            "inferer": "@train#inferer",
            "train_handlers": "@train#handlers",
            "val_handlers": "@validate#handlers",
            "transforms": "$@train#deterministic_transforms + @train#random_transforms",
            "amp": "@amp",
            "hyper_kwargs": {choice.name: f"@{choice.name}" for choice in fields(TrainingChoices)},
        },
    }


def _validate(card: ModelCard) -> Config:
    scored: Config = {
        **evaluator("@validate#dataloader", "@validate#inferer", "@validate#postprocessing", "@validate#handlers"),
        "amp": "@amp",
        "checkpoint": {
            "_target_": f"{OURS}.evaluator.CheckpointLoader",
            "load_path": "@finetune_model_path",
            "load_dict": {"model": "@network"},
        },
        "hyper_kwargs": {
            "everything_labels": _EVERYTHING,
            "val_head": "auto",
            "val_label_set": "@val_label_set",
            "label_set": "@label_set",
            "image_key": "@image_key",
            "label_mappings": _LABEL_MAPPINGS,
        },
    }
    return {
        "preprocessing": {"_target_": "Compose", "transforms": preprocessing(card, "@resample_to_spacing")},
        "postprocessing": {"_target_": "Compose", "transforms": _evaluated()[:-1]},
        "dataset": {"_target_": "Dataset", "data": "@val_datalist", "transform": "@validate#preprocessing"},
        "dataloader": dataloader("@validate#dataset"),
        "inferer": inferer("@sw_overlap", _EVERYTHING) | {"roi_size": "@patch_size_valid"},
        "handlers": [
            {"_target_": f"{SETTINGS}.EarlyStop", "patience": 5},
            {"_target_": f"{OURS}.scoring.DiceTable", "label_mappings": _LABEL_MAPPINGS},
            {"_target_": f"{SETTINGS}.EventFiles", "log_dir": None},
            {
                "_target_": f"{SETTINGS}.BestWeights",
                "save_dir": "@ckpt_dir",
                "key_metric_filename": "model.pt",
            },
        ],
        "key_metric": None,
        "evaluator": scored,
    }


def _evaluated() -> list[Config]:
    """``postprocessing`` with label values of the user's files at the end."""
    steps = postprocessing("@validate#preprocessing")
    steps[3] = steps[3] | {"value": 0}
    mapped = {
        "_target_": f"{OURS}.transforms.ToUserLabelsd",
        "keys": "pred",
        "label_mappings": _LABEL_MAPPINGS,
    }
    return [*steps[:4], mapped, *steps[4:]]


def _cases(held_out: bool) -> Config:
    return {
        "_target_": f"{OURS}.cases.FoldCases",
        "data_list_file_path": "@data_list_file_path",
        "dataset_dir": "@dataset_dir",
        "fold": "@fold",
        "held_out": held_out,
        "first": "@n_val_samples" if held_out else "@n_train_samples",
    }
