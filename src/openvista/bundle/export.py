"""Write a model as the folder of a MONAI bundle."""

import json
import os
import secrets
import shutil
from pathlib import Path

from openvista.bundle.inference_configs import batch_inference, inference, mgpu_inference
from openvista.bundle.metadata import LOGGING, SCHEMA_FILE, SCRIPTS, metadata, readme, schema
from openvista.bundle.network import CARD, WEIGHTS
from openvista.bundle.training_configs import (
    evaluate,
    mgpu_evaluate,
    multi_gpu_train,
    train,
    train_continual,
)
from openvista.errors import ModelError, OutputError
from openvista.weights import ModelCard, ModelFolder, find_model, write_card
from openvista.weights.convert import convert_checkpoint


def export_bundle(model: str | Path, folder: Path) -> Path:
    """Write a bundle: configurations, metadata, and the weights in the naming of MONAI 1.4 as float32.

    Args:
        model: name or folder of a model.
        folder: to be made; it is there whole or not at all.

    Returns:
        The folder.

    Raises:
        ModelError: there is no such model, it is none for CT, or its weights are damaged.
        OutputError: the folder exists, or cannot be written.
    """
    found = find_model(model)
    if found.card.family != "ct":
        raise ModelError(
            f"model {found.card.name!r} is none for CT in HU, which our bundles are for; export another one"
        )
    if folder.exists():
        raise OutputError(f"{folder}: exists already; choose a folder that does not")
    staging = folder.absolute().with_name(f".{folder.name}-{secrets.token_hex(4)}")
    try:
        staging.mkdir(parents=True)
        _write(found, staging)
        os.replace(staging, folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}; choose another folder") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def configs(card: ModelCard) -> dict[str, object]:
    """Every file of ``configs/`` by name, without ending."""
    return {
        "inference": inference(card),
        "batch_inference": batch_inference(),
        "mgpu_inference": mgpu_inference(),
        "train": train(card),
        "train_continual": train_continual(card),
        "multi_gpu_train": multi_gpu_train(),
        "evaluate": evaluate(),
        "mgpu_evaluate": mgpu_evaluate(),
        "metadata": metadata(card),
        SCHEMA_FILE.removesuffix(".json"): schema(),
    }


def _write(model: ModelFolder, folder: Path) -> None:
    for name in ("configs", "docs", "models", "scripts"):
        (folder / name).mkdir()
    for name, content in configs(model.card).items():
        text = json.dumps(content, indent=4, ensure_ascii=False) + "\n"
        (folder / "configs" / f"{name}.json").write_text(text, encoding="utf-8")
    (folder / "configs" / "logging.conf").write_text(LOGGING, encoding="utf-8")
    (folder / "docs" / "README.md").write_text(readme(model.card), encoding="utf-8")
    (folder / "scripts" / "__init__.py").write_text(SCRIPTS, encoding="utf-8")
    (folder / "LICENSE").write_text(_licence(model.card), encoding="utf-8")
    convert_checkpoint(model.path, folder / WEIGHTS, "monai-1.4")
    write_card(model.card, folder / CARD)


def _licence(card: ModelCard) -> str:
    return (
        f"Weights (models/): {card.licence}\n\n"
        "Configurations and scripts: Apache License 2.0, https://www.apache.org/licenses/LICENSE-2.0\n"
    )
