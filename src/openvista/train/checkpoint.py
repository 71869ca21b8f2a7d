"""Checkpoints: what a run needs to go on exactly as if it had never stopped, written whole or not at all.

No state of random numbers is in them: every sample is a function of seed, step and index (see ``samples``).
"""

import errno
import logging
import os
from pathlib import Path
from typing import Any

import torch

from openvista.errors import OutputError, RecipeError, first_line
from openvista.io.atomic import replacing

logger = logging.getLogger(__name__)

LAST = "last.pt"
BEST = "best.pt"


def save_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write a checkpoint; the old one of this name stays until the new one is complete.

    Raises:
        OutputError: the system refused, for want of space for instance.
    """
    with replacing(path) as partial:
        try:
            torch.save(content, partial)
        except RuntimeError as error:  # torch reports a full disk as one, without the system's reason
            raise _reason(error, path) from error
        with partial.open("rb") as file:
            os.fsync(file.fileno())


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint of ours.

    Raises:
        RecipeError: it is not one, or damaged.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # noqa: BLE001 (garbage makes an unpickler raise anything)
        raise RecipeError(f"{path} is damaged ({first_line(error)}): start the run anew in another folder") from None
    return content


def _reason(error: RuntimeError, path: Path) -> OSError | OutputError:
    """Why a checkpoint could not be written: ask the system whether this folder can take another megabyte."""
    probe = path.with_name(f".{path.name}.probe")
    try:
        probe.write_bytes(bytes(1 << 20))
    except OSError as refusal:
        return refusal
    finally:
        probe.unlink(missing_ok=True)
    if "file write failed" in str(error) or "unexpected pos" in str(error):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return OutputError(f"{path}: cannot be written: {first_line(error)}")
