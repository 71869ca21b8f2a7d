"""A trained network becomes a model folder with a card that says how to make it again."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openvista.anatomy.catalogue import CATALOGUE
from openvista.network import Vista3D
from openvista.plausibility import ClassRanges
from openvista.train.recipe import LIST_KEYS, LIST_ROOTS, Recipe
from openvista.train.run_folder import RANGES
from openvista.weights import ModelCard, ModelFolder
from openvista.weights.store import save_model


def export_model(network: Vista3D, recipe: Recipe, run_folder: Path) -> ModelFolder:
    """Write ``<run>/model``: float16 weights and the card, with the validation scores of the best checkpoint.

    Args:
        network: what training returned.
        recipe: the one it was trained by.
        run_folder: gives the validation scores and takes the model.

    Raises:
        OutputError: the folder cannot be written.
    """
    ids, plain = recipe.class_ids, portable(recipe)
    card = ModelCard.from_preset(
        network.preset,
        name=recipe.name,
        classes=tuple(class_id for class_id in ids if class_id in CATALOGUE),
        extra_classes={class_id: recipe.extra_names[class_id] for class_id in ids if class_id not in CATALOGUE},
        extra_aliases={class_id: aliases for class_id, aliases in recipe.extra_aliases.items() if class_id in ids},
        one_piece=tuple(class_id for class_id in recipe.one_piece if class_id in ids),
        challenge=plain["challenge"] or {},
        ranges=_ranges(run_folder, ids),
        licence=recipe.licence,
        provenance={"data": recipe.data, "recipe": plain},
        metrics=_validation(run_folder),
    )
    return save_model(network, card, run_folder / "model")


def _ranges(run_folder: Path, ids: Sequence[int]) -> dict[int, ClassRanges]:
    """What the run's cases showed of these classes; nothing where the run noted none, as earlier ones."""
    path = run_folder / RANGES
    content = json.loads(path.read_text()) if path.exists() else {}
    return {int(key): ClassRanges.parsed(one) for key, one in content.items() if int(key) in ids}


def portable(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, without folders of this machine."""
    content = recipe.model_dump(mode="json", exclude={"data", "licence", "cache", *LIST_ROOTS})
    more = [_portable_source(source) for source in content["more_data"]]
    start = None if recipe.start_from is None else Path(recipe.start_from).name
    return content | {"datalist": recipe.datalist and recipe.datalist.name, "more_data": more, "start_from": start}


def _portable_source(source: dict[str, Any]) -> dict[str, Any]:
    """Of a data list, or of label maps, what describes it."""
    if source["datalist"] is not None:
        return {key: source[key] for key in LIST_KEYS if key not in LIST_ROOTS} | {
            "datalist": Path(source["datalist"]).name
        }
    maps = [
        one | {key: Path(one[key]).name for key in ("path", "names") if one[key] is not None}
        for one in source["label_maps"]
    ]
    return {"label_maps": maps, "structures": source["structures"], "synthesis": source["synthesis"]}


def _validation(run_folder: Path) -> dict[str, Any]:
    best = json.loads((run_folder / "best.json").read_text())
    protocols = {
        "validation_dice": "class prompts on the held-out fold, model grid, windows side by side",
        "one_click_dice": "one click in the middle of each structure of the held-out fold, model grid, one window",
    }
    return {
        kind: {"protocol": f"{protocol}; chose the checkpoint", "step": best["step"], "dice": best[kind]}
        for kind, protocol in protocols.items()
        if kind in best
    }
