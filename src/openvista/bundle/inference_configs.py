"""``inference.json`` and what is laid on top of it, with the ids and the order of lists of the official bundle.

Ids are those of NV-Segment-CT 0.6.0 (bundle facts §3); ``dataset_dir``, ``unseen_value`` and ``displayable_configs``
are new: MONAI's tools ask for the first and the last. A step that we do not want keeps its place, disabled.
"""

from typing import Any

from openvista.anatomy.catalogue import GROUPS
from openvista.bundle.network import everything
from openvista.weights import ModelCard

Config = dict[str, Any]

OURS = "openvista.bundle"
IMPORTS = ("glob", "os", "scripts", "numpy as np", "copy", "json", "pathlib")
SEED_ALL = "$monai.utils.set_determinism(seed=123)"


def inference(card: ModelCard) -> Config:
    """One scan, one prompt."""
    return {
        "imports": [f"$import {name}" for name in IMPORTS],
        "bundle_root": "./",
        "dataset_dir": "@bundle_root",
        "image_key": "image",
        "output_dir": "$@bundle_root + '/eval'",
        "output_ext": ".nii.gz",
        "output_dtype": "$np.float32",
        "output_postfix": "trans",
        "separate_folder": True,
        "unseen_value": 0,
        "input_dict": {"image": "$@bundle_root + '/ct.nii.gz'"},
        "everything_labels": everything(card),
        "metadata_path": "$@bundle_root + '/configs/metadata.json'",
        "metadata": "$json.loads(pathlib.Path(@metadata_path).read_text())",
        "labels_dict": "$@metadata['network_data_format']['outputs']['pred']['channel_def']",
        "subclass": {str(group): list(parts) for group, parts in GROUPS.items()},
        "input_channels": 1,
        "resample_spacing": list(card.spacing),
        "sw_batch_size": 1,
        "patch_size": list(card.window),
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "use_point_window": True,
        "displayable_configs": {"overlap": 0.3},
        "network_def": network_def(card),
        "network": "$@network_def.to(@device)",
        "preprocessing_transforms": preprocessing(card),
        "preprocessing": {"_target_": "Compose", "transforms": "$@preprocessing_transforms"},
        "dataset": {"_target_": "Dataset", "data": "$@input_dict if isinstance(@input_dict, list) else [@input_dict]"}
        | {"transform": "@preprocessing"},
        "dataloader": dataloader("@dataset"),
        "inferer": inferer("@displayable_configs#overlap", "@everything_labels"),
        "postprocessing": {"_target_": "Compose", "transforms": postprocessing()},
        "handlers": [
            {"_target_": "StatsHandler", "iteration_log": False, "epoch_log": False},
            {"_target_": f"{OURS}.side_files.SideFiles", "network": "@network", "inferer": "@inferer"},
        ],
        "checkpointloader": {
            "_target_": f"{OURS}.evaluator.CheckpointLoader",
            "load_path": "$@bundle_root + '/models/model.pt'",
            "load_dict": {"model": "@network"},
        },
        "evaluator": evaluator("@dataloader", "@inferer", "@postprocessing", "@handlers")
        | {
            "checkpoint": "@checkpointloader",
            "hyper_kwargs": {
                "user_prompt": True,
                "everything_labels": "@everything_labels",
                "image_key": "@image_key",
            },
        },
        "initialize": [SEED_ALL, "$@checkpointloader(@evaluator)"],
        "run": ["$@evaluator.run()"],
    }


def batch_inference() -> Config:
    """Every scan of a folder (not of those below it), everything in each."""
    return {
        "input_dir": "@bundle_root",
        "input_suffix": "*.nii.gz",
        "input_list": "$sorted(glob.glob(os.path.join(@input_dir, @input_suffix)))",
        "input_dicts": "$[{'image': file, 'label_prompt': @everything_labels} for file in @input_list]",
        "dataset#data": "@input_dicts",
    }


def mgpu_inference() -> Config:
    """Scans shared out by rank; unlike the official file it leaves the loading of weights where it was."""
    own = {
        "sampler": {"_target_": f"{OURS}.processes.RankSampler", "dataset": "@dataset"},
        "dataloader#sampler": "@sampler",
    }
    return on_several_gpus(own, [SEED_ALL, "$@checkpointloader(@evaluator)"], ["$@evaluator.run()"])


def on_several_gpus(own: Config, initialize: list[str], run: list[str]) -> Config:
    """For processes that torchrun starts, to be laid on top: they meet first and part at the end."""
    return {
        "device": {"_target_": f"{OURS}.processes.local_device"},
        **own,
        "initialize": [{"_target_": f"{OURS}.processes.join", "device": "@device"}, *initialize],
        "run": run,
        "finalize": [{"_target_": f"{OURS}.processes.leave"}],
    }


def network_def(card: ModelCard) -> Config:
    """Of the size of the card."""
    return {
        "_target_": f"{OURS}.network.build_network",
        "bundle_root": "@bundle_root",
        "encoder_embed_dim": card.filters,
        "in_channels": "@input_channels",
    }


def preprocessing(card: ModelCard, spacing: str = "@resample_spacing", key: str = "@image_key") -> list[Config]:
    """The nine steps, in the official order: resampled before turned, so grids are those of the official bundle.

    The crop to voxels above 0 HU is switched off: a click outside of it would have no voxel, and scans whose air is
    not negative lose parts (bundle facts §5).
    """
    low, high = card.hu_window
    return [
        {"_target_": "LoadImaged", "keys": key, "image_only": True},
        {"_target_": "EnsureChannelFirstd", "keys": key},
        {"_target_": "EnsureTyped", "keys": key, "device": "@device", "track_meta": True},
        {"_target_": "Spacingd", "keys": key, "pixdim": spacing, "mode": "bilinear"},
        {"_target_": "CropForegroundd", "_disabled_": True, "keys": key, "source_key": key, "margin": 10},
        {
            "_target_": f"{OURS}.prompts.PromptTransformd",
            "keys": key,
            "subclass": "@subclass",
            "labels_dict": "@labels_dict",
        },
        {
            "_target_": "ScaleIntensityRanged",
            "keys": key,
            "a_min": low,
            "a_max": high,
            "b_min": 0.0,
            "b_max": 1.0,
            "clip": True,
        },
        {"_target_": "Orientationd", "keys": key, "axcodes": "RAS"},
        {"_target_": "CastToTyped", "keys": key, "dtype": "$torch.float32"},
    ]


def dataloader(dataset: str) -> Config:
    """One item at a time."""
    return {"_target_": "ThreadDataLoader", "dataset": dataset, "batch_size": 1, "shuffle": False, "num_workers": 0}


def inferer(overlap: str | float, labels: str) -> Config:
    """Windows of ``patch_size``."""
    return {
        "_target_": f"{OURS}.inferer.BundleInferer",
        "roi_size": "@patch_size",
        "overlap": overlap,
        "sw_batch_size": "@sw_batch_size",
        "use_point_window": "@use_point_window",
        "everything_labels": labels,
    }


def postprocessing(chain: str = "@preprocessing", key: str = "@image_key") -> list[Config]:
    """The five steps, in the official order."""
    return [
        {"_target_": "ToDeviced", "_disabled_": True, "keys": "pred", "device": "cpu"},
        {"_target_": f"{OURS}.transforms.LabelMapd", "keys": "pred"},
        {
            "_target_": "Invertd",
            "keys": "pred",
            "transform": chain,
            "orig_keys": key,
            "nearest_interp": True,
            "to_tensor": True,
        },
        {"_target_": f"{OURS}.transforms.FillUnseend", "keys": "pred", "value": "@unseen_value"},
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "resample": False,
            "output_dir": "@output_dir",
            "output_ext": "@output_ext",
            "output_dtype": "@output_dtype",
            "output_postfix": "@output_postfix",
            "separate_folder": "@separate_folder",
            "savepath_in_metadict": True,
            "print_log": False,
        },
    ]


def evaluator(loader: str, inferer_id: str, chain: str, handlers: str) -> Config:
    """MONAI's engine around ours."""
    return {
        "_target_": f"{OURS}.evaluator.BundleEvaluator",
        "device": "@device",
        "val_data_loader": loader,
        "network": "@network",
        "inferer": inferer_id,
        "postprocessing": chain,
        "val_handlers": handlers,
        "amp": True,
    }
