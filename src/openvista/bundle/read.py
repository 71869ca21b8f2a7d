"""Read a bundle that somebody else wrote: weights, and known ids as data. No expression is ever evaluated."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from openvista.anatomy.catalogue import SUPPORTED_IDS
from openvista.bundle.network import CARD, WEIGHTS
from openvista.errors import InputError, ModelError
from openvista.geometry.grid import Axis3, Float3
from openvista.network import VISTA3D, Preset
from openvista.weights import ModelCard, ModelFolder, read_card, write_card
from openvista.weights.card import CARD_FILE
from openvista.weights.convert import import_checkpoint

INFERENCE = "configs/inference.json"
_LARGEST = 2**24
"""Bytes; a larger file is no configuration."""
_SCALINGS = ("ScaleIntensityRanged", "monai.transforms.ScaleIntensityRanged")


def import_bundle(folder: Path, name: str | None = None, home: Path | None = None) -> ModelFolder:
    """A model in the user's models folder, from ``models/model.pt`` of a bundle.

    Window and spacing are those of ``inference.json`` (``patch_size``, ``resample_spacing``), the HU window that of
    its ScaleIntensityRanged; a bundle of ours also has a card, which says everything.

    Args:
        folder: of the bundle. It is not changed.
        name: of the model; the folder's by default.
        home: see :func:`openvista.weights.home_folder`.

    Raises:
        InputError: it is no bundle, or a value that we need is an expression (``$...``): it is not evaluated.
        WeightsError: the weights are no VISTA3D.
        ModelError: the name is unusable or taken, or the bundle's card is damaged.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; give that of a bundle, with configs/ and models/")
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder}: has no {WEIGHTS}, so it is no bundle with weights; download them first")
    chosen = name or folder.resolve().name
    card = read_card(folder / CARD) if (folder / CARD).is_file() else None
    found = {} if card else _known_ids(folder / INFERENCE)
    replace(ModelCard.from_preset(VISTA3D), **found)  # what no card can have is refused before anything is written
    version = str(_read(folder / "configs/metadata.json").get("version", ""))
    licence = card.licence if card else None
    source = {"bundle": folder.resolve().name, "bundle_version": version}
    model = import_checkpoint(folder / WEIGHTS, chosen, home, licence=licence, provenance=source)
    if card is not None and card.preset() != _sized_as(model.card, card):
        shutil.rmtree(model.path)
        raise ModelError(f"{folder}: {CARD} describes another network than {WEIGHTS}; export the bundle again")
    complete = _completed(model.card, card, found)
    write_card(complete, model.path / CARD_FILE)
    return ModelFolder(model.path, complete)


def _sized_as(imported: ModelCard, own: ModelCard) -> Preset:
    """The preset of the imported network with everything that its tensors do not tell."""
    told = ("filters", "blocks_per_level", "class_rows", "branches")
    return replace(own.preset(), **{key: getattr(imported, key) for key in told})


def _completed(imported: ModelCard, own: ModelCard | None, found: dict[str, Any]) -> ModelCard:
    """The card of the checkpoint with what the bundle says."""
    if own is None:
        if imported.family != "ct":  # whose classes and scaling its configurations have to compute
            found = {key: value for key, value in found.items() if key in ("window", "spacing")}
        return replace(imported, **found)
    return replace(
        own,
        name=imported.name,
        weights_sha256=imported.weights_sha256,
        provenance={**own.provenance, **imported.provenance},
    )


def _known_ids(path: Path) -> dict[str, Any]:
    """Window, spacing, HU window and classes of a configuration, checked; a card's fields."""
    content = _read(path)
    found: dict[str, Any] = {"classes": SUPPORTED_IDS}
    if "patch_size" in content:
        x, y, z = _numbers(content["patch_size"], "patch_size", path)
        window: Axis3 = (int(x), int(y), int(z))
        found["window"] = window
    if "resample_spacing" in content:
        spacing: Float3 = _numbers(content["resample_spacing"], "resample_spacing", path)
        found["spacing"] = spacing if min(spacing) > 0 else VISTA3D.spacing
    for number, step in enumerate(_steps(content, path)):
        if isinstance(step, dict) and step.get("_target_") in _SCALINGS:
            where = f"preprocessing_transforms#{number}"
            low, high = (_number(step.get(key), f"{where}#{key}", path) for key in ("a_min", "a_max"))
            found["hu_window"] = (low, high)
    return found


def _steps(content: dict[str, Any], path: Path) -> list[Any]:
    steps = content.get("preprocessing_transforms", [])
    _refuse_expression(steps, "preprocessing_transforms", path)
    return steps if isinstance(steps, list) else []


def _numbers(value: Any, id_: str, path: Path) -> Float3:
    _refuse_expression(value, id_, path)
    if not isinstance(value, list) or len(value) != 3:
        raise InputError(f"{path}: {id_} must be three numbers, not {value!r:.60}")
    x, y, z = (_number(one, id_, path) for one in value)
    return (x, y, z)


def _number(value: Any, id_: str, path: Path) -> float:
    _refuse_expression(value, id_, path)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{path}: {id_} must be a number, not {value!r:.60}")
    return float(value)


def _refuse_expression(value: Any, id_: str, path: Path) -> None:
    if isinstance(value, str):
        raise InputError(
            f"{path}: {id_} is {value[:60]!r}, which would have to be evaluated: refused; write the number itself "
            "there, or use 'openvista models import' with the checkpoint"
        )


def _read(path: Path) -> dict[str, Any]:
    """A configuration as data; {} where there is none.

    Raises:
        InputError: it is not JSON.
    """
    if not path.is_file():
        return {}
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path}: is larger than any configuration; give the folder of a bundle")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: is no configuration, but a {type(content).__name__}")
    return content
