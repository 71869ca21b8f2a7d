"""Checkpoints in any known naming to ours, strictly, and back to the official ones; and what a misfit looks like."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from openvista.anatomy.catalogue import SUPPORTED_IDS
from openvista.anatomy.ctmr import FAMILY, card_classes
from openvista.errors import WeightsError
from openvista.network import CTMR, VISTA3D, Preset, build_empty
from openvista.network.presets import Family
from openvista.weights import naming
from openvista.weights.card import ModelCard, as_name, sha256_of
from openvista.weights.files import read_file

logger = logging.getLogger(__name__)

Naming = Literal["monai-1.4", "monai-1.3", "hf", "openvista"]
NAMINGS: tuple[Naming, ...] = ("monai-1.4", "monai-1.3", "hf", "openvista")

_SHOWN = 3  # names in a message
_SIDECARS = ("config.json", "metadata.json", "configs/metadata.json", "../configs/metadata.json")


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file in our naming.

    Attributes:
        tensors: exactly those of the preset's network, and perhaps some under ``naming.UNREAD``.
        preset: sizes read from the shapes; window, spacing and HU window are VISTA3D's unless the caller knows better.
        naming: of the file.
        dropped: names of dead tensors that were left out.
    """

    tensors: dict[str, Tensor]
    preset: Preset
    naming: Naming
    dropped: tuple[str, ...] = ()

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the file, read from its largest tensor."""
        return max(self.tensors.values(), key=torch.numel).dtype

    def of_family(self, family: Family) -> "Checkpoint":
        """The same as a model of a family runs it: CTMR files hold the tensors for clicks of the CT model that their
        training began with, and these are left out (ctmr facts §1)."""
        if family != FAMILY:
            return self
        clicks = ("point_decoder.", "point_head.", naming.UNREAD)
        tensors = {name: tensor for name, tensor in self.tensors.items() if not name.startswith(clicks)}
        return replace(
            self,
            tensors=tensors,
            preset=replace(self.preset, family=family, window=CTMR.window, branches=CTMR.branches),
        )

    def card_classes(self) -> dict[str, Any]:
        """Fields of a card: the classes that a model of this family was trained on."""
        return card_classes(self.preset.class_rows) if self.preset.family == FAMILY else {"classes": SUPPORTED_IDS}


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of any naming and check it: nothing unknown, nothing missing, every shape right.

    Tensors keep the precision of the file. A file without any tensor of the point branch is a model with the automatic
    branch only.

    Raises:
        WeightsError: it is corrupt or not a VISTA3D; the message says what it looks like.
    """
    return adapt(read_file(path), str(path))


def adapt(tensors: Mapping[str, Tensor], origin: str = "the checkpoint") -> Checkpoint:
    """The same for tensors already in memory, prefixes stripped; ``origin`` names them in errors."""
    own = any(name.startswith(("encoder.", naming.UNREAD)) for name in tensors)
    if own:
        kind: Naming = "openvista"
    else:
        kind = "monai-1.3" if naming.is_research(tensors) else "monai-1.4"
    renamed: dict[str, Tensor] = {}
    original: dict[str, str] = {}
    dropped, unknown = [], []
    for name, tensor in tensors.items():
        official = name if own else naming.research_to_official(name)
        if official is None:
            dropped.append(name)
            continue
        ours = official if own else naming.official_to_ours(official)
        if ours is None or ours in renamed:
            unknown.append(name)
        else:
            renamed[ours], original[ours] = tensor, name
    preset = preset_of(renamed, origin, unknown)
    _check(renamed, preset, origin, unknown, original, list(tensors))
    if dropped:
        logger.info("%s: left out %d dead tensors: %s", origin, len(dropped), ", ".join(dropped))
    return Checkpoint(renamed, preset, kind, tuple(dropped))


def preset_of(tensors: Mapping[str, Tensor], origin: str, unknown: list[str]) -> Preset:
    """The sizes of a network, from the names and shapes of its tensors (ours).

    Raises:
        WeightsError: there is no encoder, or it is for images with more than one channel.
    """
    stem = tensors.get("encoder.stem.weight")
    blocks = Counter(
        int(name.split(".")[2])
        for name in tensors
        if name.startswith("encoder.levels.") and name.endswith(".conv1.weight")
    )
    if stem is None or stem.ndim != 5 or sorted(blocks) != list(range(len(blocks))) or not blocks:
        names = [*unknown, *tensors]
        looks = f"it looks like {looks_like(names)}, with {_some(names)}"
        raise WeightsError(f"{origin} is no VISTA3D checkpoint: {looks}")
    if stem.shape[1] != 1:
        raise WeightsError(
            f"{origin} was made for images with {stem.shape[1]} channels (wrong in_channels); a CT has one"
        )
    branches = tuple(
        branch
        for branch, parts in (
            ("automatic", ("automatic_decoder.", "class_head.")),
            ("point", ("point_decoder.", "point_head.")),
        )
        if any(name.startswith(parts) for name in tensors)
    )
    table = tensors.get("class_head.embedding_table.weight")
    return replace(
        VISTA3D,
        filters=stem.shape[0],
        blocks_per_level=tuple(blocks[level] for level in range(len(blocks))),
        class_rows=VISTA3D.class_rows if table is None else table.shape[0],
        branches=branches,
    )


def to_naming(checkpoint: Checkpoint, target: Naming) -> dict[str, Tensor]:
    """The tensors under the names of ``target``, complete for a strict load there.

    Tensors that official files have, and no forward pass reads, are made as zeros where the checkpoint lacks them.
    ``hf`` is MONAI 1.4 with ``network.`` before each name.
    """
    if target == "openvista":
        return dict(checkpoint.tensors)
    preset, tensors = checkpoint.preset, dict(checkpoint.tensors)
    made: list[str] = []
    if "point" in preset.branches:
        for name, shape in naming.unread_shapes(preset.filters, preset.class_rows).items():
            if name not in tensors:
                tensors[name] = torch.zeros(shape, dtype=checkpoint.dtype)
                made.append(name)
    last = len(preset.blocks_per_level) - 2
    official = {}
    for name, tensor in tensors.items():
        renamed = naming.ours_to_official(name, last)
        assert renamed is not None, name
        official[renamed] = tensor
    if target == "hf":
        official = {f"network.{name}": tensor for name, tensor in official.items()}
    if target == "monai-1.3":
        official = {naming.official_to_research(name): tensor for name, tensor in official.items()}
        for name, shape in naming.research_dead_shapes(preset.filters).items():
            official[name] = torch.zeros(shape, dtype=checkpoint.dtype)
            made.append(name)
    if made:
        logger.info("made %d tensors as zeros that %s has and nothing reads: %s", len(made), target, ", ".join(made))
    if set(preset.branches) != {"automatic", "point"}:
        logger.warning("only the %s branch is there: a strict load elsewhere will fail", ", ".join(preset.branches))
    return official


def family_of(path: Path) -> Family:
    """CTMR and CT weights have the same names and shapes; only what lies around the file tells them apart: its name,
    that of the nearest folder that says so (the repository NV-Segment-CTMR holds both), or a sidecar beside it."""
    for name in (path.name, *(parent.name for parent in path.absolute().parents[:4])):
        if FAMILY in name.lower():
            return "ctmr"
        if "segment-ct" in name.lower():
            return "ct"
    sidecars = [path.parent / name for name in _SIDECARS]
    says = any(one.is_file() and FAMILY in one.read_text("utf-8", errors="replace").lower() for one in sidecars)
    return "ctmr" if says else "ct"


def looks_like(names: Sequence[str]) -> str:
    """What a set of tensor names looks like."""
    if any(name.startswith(("encoder.stem", "encoder.levels", "automatic_decoder", "point_decoder")) for name in names):
        return "OpenVISTA's own naming"
    if any("engine" in name.lower() or "trt" in name.lower() for name in names):
        return "a TensorRT file"
    if any(name.startswith(("image_encoder.", "point_head.")) for name in names):
        return "research (MONAI 1.3) naming" if naming.is_research(names) else "MONAI 1.4 naming"
    if any(name.startswith(("vista3d.", "net.")) for name in names):
        return "a VISTA3D inside another module"
    return "another network"


def _check(
    tensors: Mapping[str, Tensor],
    preset: Preset,
    origin: str,
    unknown: list[str],
    original: Mapping[str, str],
    names: list[str],
) -> None:
    expected = {name: tensor.shape for name, tensor in build_empty(preset).state_dict().items()}
    unread = naming.unread_shapes(preset.filters, preset.class_rows) if "point" in preset.branches else {}
    allowed = {**expected, **{name: torch.Size(shape) for name, shape in unread.items()}}
    unknown = unknown + [original[name] for name in tensors if name not in allowed]
    missing = [name for name in expected if name not in tensors]
    shapes = [
        f"{original[name]} {tuple(tensor.shape)} instead of {tuple(allowed[name])}"
        for name, tensor in tensors.items()
        if name in allowed and tensor.shape != allowed[name]
    ]
    faults = [
        f"{len(found)} {what} ({_some(found)})"
        for what, found in (("tensors unknown", unknown), ("missing", missing), ("of wrong shape", shapes))
        if found
    ]
    if faults or not preset.branches:
        looks = f"it looks like {looks_like(names)}, but has {', '.join(faults) or 'no branch'}"
        raise WeightsError(f"{origin} does not fit: {looks}")


def _some(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "no tensors"


def checkpoint_card(path: Path) -> ModelCard:
    """The card of a file that is used as it is; its checksum is that of the file.

    Raises:
        WeightsError: it is not a usable checkpoint.
    """
    checkpoint = read_checkpoint(path).of_family(family_of(path))
    origin = checkpoint_origin(path, checkpoint)
    card = ModelCard.from_preset(
        checkpoint.preset, name=as_name(path.stem, "checkpoint"), **checkpoint.card_classes(), provenance=origin
    )
    return card.with_weights(str(origin["file_sha256"]))


def checkpoint_origin(path: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """What a card says of the file that it was made for."""
    return {
        "file": path.name,
        "file_sha256": sha256_of(path),
        "naming": checkpoint.naming,
        "dropped_tensors": list(checkpoint.dropped),
    }
