"""From scans to the 8-bit network of a model: which windows it sees, and how many labels change."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from openvista.errors import ModelError
from openvista.inference.device import plan_compute
from openvista.inference.eight_bit import EightBitWindows, calibrate, eight_bit_file
from openvista.inference.profiles import BEST
from openvista.inference.window_network import WindowNetwork
from openvista.inference.windows import cut_windows
from openvista.network import Preset
from openvista.prepare import prepare
from openvista.scan import Scan
from openvista.weights.registry import ModelFolder
from openvista.weights.store import load_network

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibration:
    """What came of it.

    Attributes:
        file: the 8-bit network.
        windows: how many it was calibrated on.
        changed: share of the voxels with a label, in these windows, that get another one than in float32.
    """

    file: Path
    windows: int
    changed: float


def calibrate_model(model: ModelFolder, scans: Iterable[Scan], per_scan: int, home: Path | None = None) -> Calibration:
    """Make the 8-bit network of a model and compare it with float32 in the windows that it was made from.

    Args:
        model: one that answers class prompts.
        scans: HU on their own grids; those that the model will see should look alike.
        per_scan: windows of each.
        home: as for :func:`openvista.weights.registry.home_folder`.

    Raises:
        ModelError: the model answers no class prompts.
        MissingExtraError: OpenVINO or NNCF is not installed.
        OutputError: the network cannot be written.
    """
    card = model.card
    if "automatic" not in card.branches:
        raise ModelError(f"model {card.name!r} answers clicks only, not class prompts: nothing of it runs in 8 bits")
    network, file = load_network(model), eight_bit_file(card, home)
    windows = [window for scan in scans for window in some_windows(scan, network.preset, per_scan)]
    logger.info("calibrating %s on %d windows", card.name, len(windows))
    calibrate(network, windows, file)
    ids = card.vocabulary().expand(None)
    reference = _labels(WindowNetwork(network, plan_compute("cpu", "float32")), ids, windows)
    found = _labels(EightBitWindows(load_network(model), plan_compute("cpu", "int8"), file), ids, windows)
    labelled = (reference > 0) | (found > 0)
    changed = float((reference != found).sum() / labelled.sum().clamp(min=1))
    return Calibration(file, len(windows), changed)


def some_windows(scan: Scan, preset: Preset, count: int) -> list[Tensor]:
    """Windows [X, Y, Z], 0..1, evenly from among those that profile ``best`` looks at."""
    windowed = cut_windows(prepare(scan, preset.spacing, preset.scaling, orient_first=True), preset, BEST)
    starts = windowed.plan.starts
    chosen = torch.linspace(0, len(starts) - 1, min(count, len(starts))).long().unique()
    return [windowed.image_XYZ[windowed.plan.slices(starts[index])].contiguous() for index in chosen]


def _labels(network: WindowNetwork, class_ids: list[int], windows: Sequence[Tensor]) -> Tensor:
    embeddings_KC = network.embeddings(class_ids)
    labels = []
    for window_XYZ in windows:
        largest_XYZ, index_XYZ = network.logits(embeddings_KC, window_XYZ).max(-1)
        labels.append(torch.where(largest_XYZ > 0, index_XYZ + 1, 0))
    return torch.stack(labels)
