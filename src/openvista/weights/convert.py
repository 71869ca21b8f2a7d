"""What ``openvista models`` does with files: import, convert, verify, describe."""

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from openvista.errors import ModelError, OutputError, WeightsError
from openvista.network import PRESETS, Preset
from openvista.network.presets import Family
from openvista.weights.card import ModelCard, check_name, sha256_of
from openvista.weights.files import check_suffix, write_file
from openvista.weights.official import (
    NAMINGS,
    Checkpoint,
    Naming,
    checkpoint_origin,
    family_of,
    read_checkpoint,
    to_naming,
)
from openvista.weights.registry import EMBEDDED, ModelFolder, models_folder, open_folder
from openvista.weights.sources import OFFICIAL
from openvista.weights.store import check_sum, load_network, save_tensors

logger = logging.getLogger(__name__)


def import_checkpoint(
    path: Path,
    name: str,
    home: Path | None = None,
    *,
    overwrite: bool = False,
    licence: str | None = None,
    provenance: dict[str, Any] | None = None,
    sampling: Mapping[str, Any] = MappingProxyType({}),
    family: Family | None = None,
) -> ModelFolder:
    """A checkpoint of any known naming to a model in the user's models folder.

    The file says nothing about its classes, window or spacing: the card gets those of its family, unless you know
    better.

    Args:
        path: ``.pt``, ``.pth``, ``.ckpt`` or ``.safetensors``. It is not changed.
        name: of the new model and its folder.
        home: see :func:`openvista.weights.home_folder`.
        overwrite: replace a model of that name.
        licence: for the card; for a name of an official model that model's is the default.
        provenance: for the card, besides the file's name, naming and SHA-256.
        sampling: "spacing" (mm, X Y Z) and "window" (voxels) that it was trained at, where they are not VISTA3D's.
        family: "ct" or "ctmr"; by default what the file's surroundings say, see
            :func:`openvista.weights.official.family_of`.

    Raises:
        WeightsError: the file is not a usable checkpoint.
        ModelError: the name is unusable or taken; a spacing or window that cannot be.
        OutputError: the folder cannot be written.
    """
    if family not in (None, "ct", "ctmr"):
        raise ModelError(f"no family {family!r} of models: there is ct and ctmr")
    if check_name(name) == EMBEDDED.name:
        raise ModelError(f"{name!r} is the model that comes with OpenVISTA: choose another name")
    target = models_folder(home) / name
    if target.exists() and not overwrite:
        raise ModelError(f"there is a model {name!r} already in {target}: choose another name or ask to overwrite it")
    checkpoint = read_checkpoint(path).of_family(family or family_of(path))
    known = OFFICIAL[name].licence if name in OFFICIAL else "not stated"
    card = ModelCard.from_preset(
        replace(checkpoint.preset, **sampling),
        name=name,
        **checkpoint.card_classes(),
        licence=licence or known,
        provenance={**checkpoint_origin(path, checkpoint), **(provenance or {})},
    )
    _replace_folder(target, lambda folder: save_tensors(checkpoint.tensors, card, folder))
    logger.info("imported %s as %s in %s", path, name, target)
    return open_folder(target)


def convert_checkpoint(source: Path, target: Path, naming: Naming, *, overwrite: bool = False) -> Path:
    """A checkpoint, or a model folder, to a file in another naming; bit-exact for float32 tensors.

    Half-precision tensors become float32. The suffix of ``target`` chooses the container.

    Raises:
        WeightsError: the source is not a usable checkpoint.
        OutputError: the target exists, has another suffix, or cannot be written.
    """
    if naming not in NAMINGS:
        raise ModelError(f"unknown naming {naming!r}: use {', '.join(NAMINGS)}")
    check_suffix(target)
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists: choose another name or ask to overwrite it")
    checkpoint = _read_any(source)
    tensors = {name: tensor.to(torch.float32) for name, tensor in to_naming(checkpoint, naming).items()}
    write_file(tensors, target)
    return target


@dataclass(frozen=True)
class Report:
    """What ``verify_model`` found.

    Attributes:
        model: the folder.
        problems: one line each; empty when the model is sound.
        parameters: numbers in the network.
        sha256: of the weights file.
    """

    model: ModelFolder
    problems: tuple[str, ...]
    parameters: int
    sha256: str


def verify_model(model: ModelFolder) -> Report:
    """Read everything: checksum, names, shapes, and that every weight is a finite number."""
    problems: list[str] = []
    parameters = 0
    sha256 = ""
    try:
        sha256 = sha256_of(model.weights)
        check_sum(model)
    except (WeightsError, OSError) as error:
        problems.append(str(error))
    try:
        tensors = load_network(model, verify=False).state_dict()
        parameters = sum(tensor.numel() for tensor in tensors.values())
        broken = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
        if broken:
            problems.append(f"{model.weights} holds NaN or infinity in {len(broken)} tensors, first {broken[0]}")
    except WeightsError as error:
        problems.append(str(error))
    return Report(model, tuple(problems), parameters, sha256)


def describe(source: Path) -> dict[str, Any]:
    """What a checkpoint file is: naming, sizes, precision, checksum. It is not imported.

    Raises:
        WeightsError: it is not a usable checkpoint.
    """
    checkpoint = read_checkpoint(source)
    return {
        "file": str(source),
        "naming": checkpoint.naming,
        "family": family_of(source),
        "size": _size_name(checkpoint.preset),
        "branches": list(checkpoint.preset.branches),
        "parameters": sum(tensor.numel() for tensor in checkpoint.tensors.values()),
        "dtype": str(checkpoint.dtype).removeprefix("torch."),
        "class_rows": checkpoint.preset.class_rows,
        "dropped_tensors": list(checkpoint.dropped),
        "sha256": sha256_of(source),
    }


def _size_name(preset: Preset) -> str:
    """The preset of this size, or the size itself."""
    for known in PRESETS.values():
        if (known.filters, known.blocks_per_level) == (preset.filters, preset.blocks_per_level):
            return known.name
    return f"{preset.filters} filters, {'-'.join(map(str, preset.blocks_per_level))} blocks"


def _read_any(source: Path) -> Checkpoint:
    if not source.is_dir():
        return read_checkpoint(source)
    model = open_folder(source)
    check_sum(model)
    return read_checkpoint(model.weights)


def _replace_folder(target: Path, build: Callable[[Path], object]) -> None:
    """Build a folder beside ``target`` and move it there when complete; an old one goes only then."""
    staging = target.with_name(f".{target.name}.{os.getpid()}.partial")
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    try:
        build(staging)
        if target.exists():
            os.replace(target, old)
        os.replace(staging, target)
    except OSError as error:
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise OutputError(f"cannot write the model folder {target}: {error.strerror or error}") from None
    finally:
        for leftover in (staging, old):
            shutil.rmtree(leftover, ignore_errors=True)
