"""Entries of the lists of ``train.json``: what users may change of them, as plain values that the trainer reads.

In the official bundle these are handlers and transforms of MONAI. Here the training loop does that work, so an entry
holds settings and refuses what the loop cannot honour.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openvista.bundle.command import reporting
from openvista.errors import RecipeError


class Setting:
    """Something that MONAI's engines may take for a handler."""

    def attach(self, engine: Any) -> None:
        """Nothing to do for an engine."""


@dataclass
class StartWeights(Setting):
    """``train#handlers#0``: the checkpoint that a fine-tune starts from.

    Attributes:
        load_path: of any naming.
        strict: classes may be new, tensors may not; so either value means the same.
    """

    load_path: str
    strict: bool = False


@dataclass
class LearningRates(Setting):
    """``train#handlers#1``: whether the learning rate falls.

    Attributes:
        activate: from the peak to zero along a cosine; else it stays.
    """

    activate: bool = True


@dataclass
class Validation(Setting):
    """``train#handlers#2``: how often held-out cases are looked at.

    Attributes:
        interval: epochs.
        validator: scores the starting model where ``val_at_start`` asks for it.
    """

    interval: float
    validator: Any = None


@dataclass
class Log(Setting):
    """``train#handlers#3``: what the loop says.

    Attributes:
        tag_name: of the loss, in lines of the log.
    """

    tag_name: str = "train_loss"


@dataclass
class EventFiles(Setting):
    """``train#handlers#4``: numbers for TensorBoard; they lie in the run's folder.

    Attributes:
        log_dir: not chosen here; ``None``.
    """

    log_dir: str | None = None

    @reporting()
    def __post_init__(self) -> None:
        if self.log_dir is not None:
            raise RecipeError("log_dir: events for TensorBoard lie in the run's folder; leave it out")


@dataclass
class EarlyStop(Setting):
    """``validate#handlers#0``: stop when validations get no better.

    Attributes:
        patience: validations in a row.
    """

    patience: int = 5

    def set_trainer(self, trainer: Any) -> None:
        """The official configuration for several GPUs calls it; the trainer here knows by itself."""


@dataclass
class BestWeights(Setting):
    """``validate#handlers#3``: where the best weights go.

    Attributes:
        save_dir: folder.
        key_metric_filename: file in it.
    """

    save_dir: str
    key_metric_filename: str = "model_finetune.pt"


@dataclass
class DiceCrossEntropy:
    """``loss``: Dice and cross-entropy of sigmoids (paper facts §6); its constants are the loop's own.

    Raises:
        RecipeError: another value than the loop has.
    """

    include_background: bool = False
    sigmoid: bool = True
    softmax: bool = False
    squared_pred: bool = True
    to_onehot_y: bool = False
    smooth_nr: float = 0.0
    smooth_dr: float = 1e-5

    @reporting()
    def __post_init__(self) -> None:
        for key, fixed in _LOSS.items():
            if getattr(self, key) not in fixed:
                raise RecipeError(f"loss#{key} is {getattr(self, key)!r}: the loss here has {fixed[0]!r}; leave it out")


_LOSS: Mapping[str, tuple[Any, ...]] = {
    "include_background": (False,),
    "sigmoid": (True,),
    "softmax": (False,),
    "squared_pred": (True,),
    "to_onehot_y": (False,),
    "smooth_nr": (0.0, 1e-4),
    "smooth_dr": (1e-5, 0.01),
}
"""What may stand there: the loop's own value first; for smoothing also that of the official fine-tune, which counts on
empty masks only."""
