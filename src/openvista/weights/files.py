"""Checkpoint files to flat dictionaries of tensors, and back. Knows containers, not networks."""

import logging
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from openvista.errors import OutputError, WeightsError, first_line
from openvista.weights.card import PICKLES, SAFETENSORS

logger = logging.getLogger(__name__)

_WRAPPERS = ("model", "state_dict", "network", "model_state_dict", "ema")
_PREFIXES = ("module.", "_orig_mod.", "network.", "model.")
"""Of data-parallel, compiled and wrapped networks (checkpoints.md §4)."""


def read_file(path: Path) -> dict[str, Tensor]:
    """Every tensor of a checkpoint by its name in the file, wrappers taken off and prefixes stripped.

    Raises:
        WeightsError: missing, corrupt, not a checkpoint, or a pickle that would run code (it is not run).
    """
    if not path.is_file():
        raise WeightsError(f"{path} is not a file; give a checkpoint ({', '.join(PICKLES)} or {SAFETENSORS})")
    _refuse_text(path)
    if path.suffix == SAFETENSORS:
        content: Any = _read_safetensors(path)
    elif path.suffix in PICKLES:
        content = _read_pickle(path)
    else:
        raise WeightsError(f"{path} does not end in {', '.join(PICKLES)} or {SAFETENSORS}: not a checkpoint")
    return strip_prefixes(unwrap(content, path), path)


def write_file(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors as ``.safetensors`` or as a pickle of tensors, by suffix; never half a file.

    Raises:
        OutputError: another suffix, or the file cannot be written there.
    """
    check_suffix(path)
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.touch()
        mode = partial.stat().st_mode  # safetensors makes files that only their owner can read
        save_file(plain, partial) if path.suffix == SAFETENSORS else torch.save(plain, partial)
        partial.chmod(mode)
        os.replace(partial, path)
    except (OSError, SafetensorError, RuntimeError) as error:  # torch.save reports a full disk as RuntimeError
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {first_line(error)}") from None


def check_suffix(path: Path) -> None:
    """Refuse to write a checkpoint under a suffix that names no container.

    Raises:
        OutputError: the suffix is another one.
    """
    if path.suffix not in (*PICKLES, SAFETENSORS):
        raise OutputError(f"{path} must end in {SAFETENSORS} or {', '.join(PICKLES)}")


def unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    """The dictionary of tensors inside training checkpoints such as {"model": {...}, "epoch": 3}.

    Raises:
        WeightsError: there is none.
    """
    while isinstance(content, Mapping) and not any(isinstance(value, Tensor) for value in content.values()):
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            found = ", ".join(str(key) for key in list(content)[:3]) or "nothing"
            raise WeightsError(f"{path} holds no tensors, but {found}: not a checkpoint of a network")
        content = inner
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a dictionary of tensors")
    if others := [str(key) for key, value in content.items() if not isinstance(value, Tensor)]:
        raise WeightsError(f"{path} mixes tensors with other things ({', '.join(others[:3])}): cannot tell what it is")
    return dict(content)


def strip_prefixes(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Names without ``module.`` and the like at their start, however often.

    Raises:
        WeightsError: two names become the same.
    """
    stripped: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        short = name
        while prefix := next((prefix for prefix in _PREFIXES if short.startswith(prefix)), None):
            short = short.removeprefix(prefix)
        if short in stripped:
            raise WeightsError(f"{path} holds {short} twice, with and without prefix: cannot tell which to use")
        stripped[short] = tensor
    return stripped


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file ({first_line(error)}): get it again") from None


def _read_pickle(path: Path) -> Any:
    zipped = zipfile.is_zipfile(path)
    if zipped:
        _refuse_scripts(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        if "WeightsUnpickler error" in str(error) or "Unsupported" in str(error):
            raise WeightsError(
                f"{path} holds more than tensors and would run code when opened: refused; "
                "save only its state dict, or use a .safetensors file"
            ) from None
        raise WeightsError(f"{path} is not a readable checkpoint: get it again") from None
    except Exception as error:  # noqa: BLE001 (garbage makes an unpickler raise anything)
        raise WeightsError(f"{path} is corrupt or cut off ({first_line(error)}): get it again") from None


def _refuse_scripts(path: Path) -> None:
    """TorchScript (and TensorRT inside it) is a zip with code in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise WeightsError(f"{path} is corrupt or cut off ({first_line(error)}): get it again") from None
    if any("/code/" in f"/{name}" or name.endswith("constants.pkl") for name in names):
        raise WeightsError(
            f"{path} is a TorchScript or TensorRT file, a compiled program and not weights: "
            "use the model.pt or model.safetensors it was made from"
        )


def _refuse_text(path: Path) -> None:
    """What a failed download leaves in place of weights."""
    with path.open("rb") as file:
        start = file.read(256).lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path} is a Git LFS pointer, not the weights: run `git lfs pull`, or download the file")
    if start.startswith((b"<!doctype", b"<html")):
        raise WeightsError(f"{path} is a web page, not weights: the download failed (quota or login); get it again")
    if not start:
        raise WeightsError(f"{path} is empty: get it again")
