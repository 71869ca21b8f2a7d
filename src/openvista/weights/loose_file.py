"""The card of a checkpoint file: of what it says nothing, classes, window and spacing, they are VISTA3D's."""

import re
from pathlib import Path
from typing import Any

from openvista.anatomy.catalogue import SUPPORTED_IDS
from openvista.weights.card import ModelCard
from openvista.weights.official import Checkpoint, read_checkpoint
from openvista.weights.on_disk import sha256_of


def checkpoint_card(path: Path) -> ModelCard:
    """The card of a file that is used as it is; its checksum is that of the file.

    Raises:
        WeightsError: it is not a usable checkpoint.
    """
    checkpoint = read_checkpoint(path)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip(".-_")[:64] or "checkpoint"
    origin = checkpoint_origin(path, checkpoint)
    card = ModelCard.from_preset(checkpoint.preset, name=name, classes=SUPPORTED_IDS, provenance=origin)
    return card.with_weights(str(origin["file_sha256"]))


def checkpoint_origin(path: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """What a card says of the file that it was made for."""
    return {
        "file": path.name,
        "file_sha256": sha256_of(path),
        "naming": checkpoint.naming,
        "dropped_tensors": list(checkpoint.dropped),
    }
