"""Configs of the original's research repository as recipes and commands here. They are data: nothing is evaluated.

Three kinds are told apart: training (its four stages, and fine-tuning), evaluation, inference. Each key of a config is
translated, left out because something here takes its place, or refused by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openvista.datalist import pair_label_sets
from openvista.errors import RecipeError, needs_extra
from openvista.network import PRESETS
from openvista.train.config_keys import ConfigKeys
from openvista.train.recipe_file import make_recipe
from openvista.train.yaml_keys import read_yaml_keys

_LOSS = {"_target_", "include_background", "sigmoid", "softmax", "to_onehot_y", "smooth_nr", "smooth_dr"} | {
    "squared_pred",
    "lambda_dice",
    "lambda_ce",
}


@dataclass(frozen=True)
class Migrated:
    """What a config says, in our words.

    Attributes:
        kind: "training", "evaluation" or "inference".
        recipe: keys of a recipe; empty where the command alone does.
        commands: their words, in order; "RECIPE" and "CT" stand for files that the user names.
        left_out: keys that have no counterpart because something here takes their place.
    """

    kind: str
    recipe: Mapping[str, Any]
    commands: tuple[tuple[str, ...], ...]
    left_out: tuple[str, ...]


def migrate_config(path: Path, **overrides: Any) -> Migrated:
    """Translate a config.

    Args:
        path: the YAML or JSON file.
        overrides: keys in place of the file's, as on the original's command line; for what is an expression there.

    Raises:
        RecipeError: no config of a known kind, an expression where a value is needed, or a key that nothing here
            honours.
        DataListError: label sets that contradict each other.
    """
    keys = ConfigKeys(read_yaml_keys(path, "config") | overrides, f"config {path}")
    if "num_epochs" in keys:
        kind, (recipe, commands) = "training", _training(keys)
    elif "list_key" in keys or "ckpt" in keys:
        kind, recipe, commands = "evaluation", {}, _evaluation(keys)
    elif "infer" in keys:
        kind, recipe, commands = "inference", {}, _inference(keys)
    else:
        raise RecipeError(f"{keys.where} is of no kind that is known here: training, evaluation, infer.yaml")
    return Migrated(kind, recipe, commands, keys.finish())


def _training(keys: ConfigKeys) -> tuple[dict[str, Any], tuple[tuple[str, ...], ...]]:
    recipe: dict[str, Any] = _asked(keys) | _sources(keys) | {"preset": "vista3d"}
    plain = {"num_epochs": "epochs", "fold": "fold", "random_seed": "seed", "train_number": "most_cases"}
    plain |= {"num_patches_per_image": "patches_per_case", "num_patches_per_iter": "patches_per_step"}
    plain |= {"max_point": "most_clicks", "max_backprompt": "most_absent"}
    found = {ours: keys.number(theirs) for theirs, ours in plain.items()}
    found |= {"learning_rate": keys.number("learning_rate", float), "window": keys.take("patch_size")}
    found |= {"spacing": keys.take("resample_to_spacing"), "start_from": _start(keys)}
    if (most := keys.number("max_foreprompt")) is not None:
        found["most_present"] = most
        if recipe["click_probability"] > 0:
            found["most_objects"] = most
    if (rounds := keys.number("iter_num")) is not None:
        found["rounds"] = rounds - 1  # theirs counts the first clicks too
    found["precision"] = "bfloat16" if keys.take("amp", False) else "float32"
    recipe |= {key: value for key, value in found.items() if value is not None}
    recipe |= _optimiser(keys) | _loss(keys)
    folder = keys.take("bundle_root")
    return recipe, (("openvista", "train", "RECIPE", *(("-o", str(folder)) if folder else ())),)


def _asked(keys: ConfigKeys) -> dict[str, Any]:
    """Stage, and what is asked and trained."""
    by_class = 1 - (keys.number("drop_label_prob", float) or 0.0)
    by_click = 1 - (keys.number("drop_point_prob", float) or 0.0)
    weighted = bool(keys.take("weighted_sampling", False))
    own_list = "data_list_file_path" in keys
    if by_class > 0 and by_click > 0:
        stage = "joint"
    elif own_list:
        stage = "finetune" if by_class > 0 else "stage2"
    else:
        stage = {(True, False): "stage3", (True, True): "stage4", (False, False): "stage1", (False, True): "stage2"}[
            by_class > 0, weighted
        ]
    recipe = {"stage": stage, "class_probability": by_class, "click_probability": by_click}
    if own_list:
        recipe["oversample"] = 100.0 if weighted else None
    return recipe | _trained(keys, by_class, by_click)


def _trained(keys: ConfigKeys, by_class: float, by_click: float) -> dict[str, Any]:
    """The parts that learn, where a head is frozen: with a head the original freezes the encoder as well."""
    frozen, epochs = keys.take("freeze_head"), keys.number("freeze_epoch")
    if frozen is None or not epochs or epochs < 0:
        return {}
    if frozen not in ("auto", "point"):
        raise keys.refuse("freeze_head", "there are 'auto' and 'point'")
    if epochs < (keys.number("num_epochs") or 0):
        raise keys.refuse("freeze_epoch", "a part is frozen for the whole run, or not at all")
    asked = [part for part, share in (("automatic", by_class), ("point", by_click)) if share > 0]
    left = [part for part in asked if part != {"auto": "automatic", "point": "point"}[frozen]]
    if left != asked:
        raise keys.refuse("freeze_head", "prompts for that head are asked: set its drop probability to 1")
    return {"trained": left}


def _sources(keys: ConfigKeys) -> dict[str, Any]:
    """Data lists: one with its root and label sets, or names of data sets in a folder of lists."""
    found: dict[str, Any] = {}
    if "data_list_file_path" in keys:
        found = {"datalist": keys.take("data_list_file_path"), "root": keys.take("data_file_base_dir")}
        found["classes"] = _classes(keys)
    else:
        found = {"json_dir": keys.take("json_dir"), "train_datasets": keys.take("train_datasets")}
    return {key: value for key, value in found.items() if value is not None}


def _classes(keys: ConfigKeys) -> dict[int, int] | None:
    labels, mapped = keys.take("label_set"), keys.take("mapped_label_set")
    if labels is None and mapped is None:
        return None
    for key, value in (("label_set", labels), ("mapped_label_set", mapped)):
        if value is not None and not (isinstance(value, list) and all(isinstance(one, int) for one in value)):
            raise RecipeError(f"{keys.where}: {key} must be a list of label values, not {value!r:.60}")
    if labels is None:
        raise RecipeError(f"{keys.where}: mapped_label_set without label_set: give both")
    return pair_label_sets(labels, labels if mapped is None else mapped)


def _start(keys: ConfigKeys) -> str | None:
    if not keys.part("finetune", "activate"):
        return None
    if keys.part("finetune", "exclude_vars"):
        raise keys.refuse("finetune", "all weights are taken; exclude_vars must be null")
    name = keys.part("finetune", "pretrained_ckpt_name")
    return None if name is None else str(name)


def _optimiser(keys: ConfigKeys) -> dict[str, Any]:
    for key, known in (("optimizer", "AdamW"), ("lr_scheduler", "WarmupCosineSchedule")):
        target = keys.part(key, "_target_")
        if target is not None and str(target).rpartition(".")[2] != known:
            raise keys.refuse(key, f"only {known} is")
    found = {"weight_decay": ("optimizer", "weight_decay"), "warmup_steps": ("lr_scheduler", "warmup_steps")}
    values = {ours: keys.part(*theirs) for ours, theirs in found.items()}
    return {key: value for key, value in values.items() if value is not None}


def _loss(keys: ConfigKeys) -> dict[str, Any]:
    given = keys.take("loss", {})
    if not isinstance(given, dict) or str(given.get("_target_", "DiceCELoss")).rpartition(".")[2] != "DiceCELoss":
        raise keys.refuse("loss", "only DiceCELoss is")
    odd = [key for key, value in given.items() if key not in _LOSS and value is not None]
    odd += [key for key in ("include_background", "softmax", "to_onehot_y", "smooth_nr") if given.get(key)]
    if odd or given.get("sigmoid", True) is not True:
        raise keys.refuse("loss", f"{(odd or ['sigmoid'])[0]} is another loss than ours")
    names = {"squared_pred": "squared", "smooth_dr": "smooth", "lambda_dice": "dice", "lambda_ce": "cross_entropy"}
    found = {ours: given[theirs] for theirs, ours in names.items() if given.get(theirs) is not None}
    return {"loss": found} if found else {}


def _evaluation(keys: ConfigKeys) -> tuple[tuple[str, ...], ...]:
    model, importing = _model(keys, str(keys.take("ckpt")), "pixdim")
    command = ["openvista", "evaluate", str(keys.take("data_list_file_path"))]
    if root := keys.take("data_file_base_dir"):
        command += ["--root", str(root)]
    command += ["--model", model]
    split, fold = keys.take("list_key", "testing"), keys.take("fold", 0)
    splits = {"testing": "testing", "training": "training", "validation": f"fold {fold}"}
    if split not in splits:
        raise keys.refuse("list_key", f"there are {', '.join(splits)}")
    command += ["--split", splits[split]]
    zero_shot = keys.take("max_iter") is not None
    classes = _classes(keys) or {}
    if zero_shot:  # nobody tells the class: the values are no classes of the catalogue
        command += [word for value in classes for word in ("--map", f"{value}=new:label {value}")]
    elif classes:
        command += ["--label-set", ",".join(map(str, classes))]
        command += ["--mapped-label-set", ",".join(map(str, classes.values()))]
    by_class = bool(keys.take("val_auto", False))
    command += ["--protocol", "zero-shot-iterative" if zero_shot else "auto" if by_class else "point-oracle"]
    keys.forget("output_path", "train_number")
    return (*importing, (*command, *_research(keys)))


def _inference(keys: ConfigKeys) -> tuple[tuple[str, ...], ...]:
    model, importing = _model(keys, str(keys.part("infer", "ckpt_name")), "resample_to_spacing")
    command = ["openvista", "segment", str(keys.take("image_file", "CT"))]
    command += ["--model", model]
    for class_id in keys.take("label_prompt", []):
        command += ["--class", str(class_id)]
    command += ["-o", f"{keys.part('infer', 'output_path')}/"]
    keys.forget("bundle_root", "fold")
    return (*importing, (*command, *_research(keys)))


def _model(keys: ConfigKeys, checkpoint: str, spacing_key: str) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """What ``--model`` takes, and the command that makes it.

    A checkpoint file is taken at VISTA3D's spacing and window; what was trained at others gets a card that says so.
    """
    usual, words = PRESETS["vista3d"], []
    for key, option, value in ((spacing_key, "--spacing", usual.spacing), ("patch_size", "--window", usual.window)):
        given = keys.take(key)
        if given is None or given == list(value):
            continue
        if not (isinstance(given, list) and len(given) == 3 and all(isinstance(one, int | float) for one in given)):
            raise keys.refuse(key, "three numbers are")
        words += [option, ",".join(f"{one:g}" for one in given)]
    if not words:
        return checkpoint, ()
    name = Path(checkpoint).stem
    return name, (("openvista", "models", "import", checkpoint, "--name", name, *words),)


def _research(keys: ConfigKeys) -> tuple[str, ...]:
    """The paper's windows, and the precision."""
    keys.forget("overlap")
    return ("--profile", "research", *(() if keys.take("amp", True) else ("--precision", "float32")))


def recipe_text(migrated: Migrated) -> str:
    """The recipe as a YAML file; empty where the command alone does.

    Raises:
        RecipeError: the recipe would be refused.
        MissingExtraError: PyYAML is not installed.
    """
    if not migrated.recipe:
        return ""
    with needs_extra("yaml", "train", "write a recipe"):
        import yaml
    named = ("json_dir", "train_datasets", "root")
    alone = {key: value for key, value in migrated.recipe.items() if key not in named}
    make_recipe({"datalist": "later", "classes": {1: 1}} | alone, "the recipe of this config")
    return str(yaml.safe_dump(dict(migrated.recipe), sort_keys=False, default_flow_style=None, allow_unicode=True))
