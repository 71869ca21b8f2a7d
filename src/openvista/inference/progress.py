"""How far a long call has come, for whoever asks. Needs no torch."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One step done.

    Attributes:
        stage: ``"prepare"`` (scan to network input), ``"encode"`` (windows through the network) or ``"label"``
            (rows of the scan that have their labels). Encode and label take turns: slabs are labelled as they finish.
        done: steps of this stage that are done, 0..total.
        total: steps of this stage.
    """

    stage: str
    done: int
    total: int


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Tell nobody."""
