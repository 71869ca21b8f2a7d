"""MONAI's own parts that the official ``evaluate.json`` and ``train_continual.json`` put in the places of ours.

An evaluator here answers with label maps and scores on the files' own grids. What the official files have for logits
and for MONAI's metrics gives way to that, with a line for each part that a user may have meant otherwise.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from openvista.bundle.network import BundleNetwork
from openvista.bundle.scoring import DiceTable
from openvista.bundle.transforms import LabelMapd, ToUserLabelsd

logger = logging.getLogger(__name__)

Mappings = Mapping[str, Sequence[Sequence[int]]]
_FOR_LOGITS = ("VistaPostTransformd", "AsDiscreted")


def fit_handlers(
    handlers: Sequence[Any], mappings: Mappings | None, loader: Callable[[str, Mapping[str, Any]], Any]
) -> list[Any]:
    """Handlers that work with an evaluator of ours.

    Args:
        handlers: ``validate#handlers``; a checkpoint loader of MONAI becomes ours, and a ``MetricsSaver`` our table.
        mappings: label value and class id; ``None`` where nothing is scored. Every process of a run needs a table,
            which the official ``multi_gpu_train.json`` leaves to the first one.
        loader: makes a checkpoint loader of a path and networks by name.
    """
    fitted = []
    for handler in handlers:
        name = type(handler).__name__
        if name == "CheckpointLoader" and type(handler).__module__.startswith("monai."):
            handler = loader(handler.load_path, handler.load_dict)
        elif name == "MetricsSaver" and mappings is not None:
            logger.warning("validate#handlers: scores are those of openvista, on the files' own grids")
            handler = DiceTable(mappings, str(handler.save_dir))
        fitted.append(handler)
    if mappings is not None and not any(isinstance(handler, DiceTable) for handler in fitted):
        fitted.append(DiceTable(mappings))
    return fitted


def fit_postprocessing(chain: Any, mappings: Mappings | None) -> None:
    """Change the steps after the network, in place: no logits come, and what is scored are label values.

    Args:
        chain: a ``Compose``.
        mappings: as in :func:`fit_handlers`.
    """
    steps = list(getattr(chain, "transforms", ()))
    official = [type(step).__name__ in (*_FOR_LOGITS, "Relabeld") for step in steps]
    if not any(official):
        return
    kept: list[Any] = []
    for step, is_official in zip(steps, official, strict=True):
        if not is_official:
            kept.append(step)
        elif type(step).__name__ in _FOR_LOGITS:
            kept.append(LabelMapd())
    if mappings is not None and not any(isinstance(step, ToUserLabelsd) for step in kept):
        kept.append(ToUserLabelsd(mappings))
    chain.transforms = tuple(kept)


def fit_preprocessing(chain: Any, network: BundleNetwork) -> None:
    """Give the steps before the network, in place, the HU window that its weights were trained with.

    Args:
        chain: a ``Compose``.
        network: of the bundle.
    """
    window = network.card.hu_window
    for step in getattr(chain, "transforms", ()):
        if type(step).__name__ != "ScaleIntensityRanged":
            continue
        scaler = step.scaler
        if (scaler.a_min, scaler.a_max) != window:
            logger.warning(
                "preprocessing: HU %g to %g would become 0 to 1, but these weights know %g to %g: that is used",
                scaler.a_min,
                scaler.a_max,
                *window,
            )
            scaler.a_min, scaler.a_max = window
