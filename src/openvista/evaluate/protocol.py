"""What a protocol is given and what it gives back."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

import numpy as np
import torch
from numpy.typing import NDArray

from openvista.errors import InputError
from openvista.evaluate.labelled_scan import LabelledScan, Structure
from openvista.evaluate.meter import Meter


@dataclass(frozen=True)
class ProtocolSettings:
    """The choices of a run that protocols look at.

    Attributes:
        class_ids: every class of the data list; class prompts ask for all of them in every case.
        profile: inference profile.
        seed: of whatever a protocol draws.
        clicks: numbers of clicks after which an answer is given, rising; empty for a protocol without clicks.
        variants: of the paper's own evaluation, see :class:`openvista.evaluate.clicks.PaperVariant`.

    Raises:
        InputError: impossible numbers of clicks.
    """

    class_ids: tuple[int, ...]
    profile: str = "best"
    seed: int = 0
    clicks: tuple[int, ...] = ()
    variants: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if min(self.clicks, default=1) < 1 or list(self.clicks) != sorted(set(self.clicks)):
            raise InputError(f"numbers of clicks must be 1 or more and rise, not {self.clicks}; for example 1,3,5,10")

    def random(self, labelled: LabelledScan, *numbers: int) -> np.random.Generator:
        """A generator of its own for each thing that is drawn in a scan, so that the order of work does not matter.

        Args:
            labelled: the scan.
            numbers: which thing in it.
        """
        return np.random.default_rng([self.seed, zlib.crc32(labelled.name.encode()), *numbers])


@dataclass(frozen=True, eq=False)
class ScoredAnswer:
    """What the model says about one structure, to be scored.

    Attributes:
        structure: which.
        mask_XYZ: bool, on the whole scan, in its voxel order.
        clicks: how many clicks it had; ``None`` for an answer without clicks.
        seconds: computing until this answer, see :class:`openvista.evaluate.score.Score`.
    """

    structure: Structure
    mask_XYZ: NDArray[np.bool_]
    clicks: int | None
    seconds: float


Answers = Iterator[ScoredAnswer]
"""What a protocol gives back of one case."""


class JudgedModel(Interface):
    """What is judged: a model of ours, or another one to compare with."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""


RunCase = Callable[[Any, LabelledScan, ProtocolSettings, Meter], Answers]
"""A protocol's work on one case, with the model that it is for. The meter is on while that computes, and only then."""


@dataclass(frozen=True)
class Protocol:
    """A named way to ask a model (paper facts §7).

    Attributes:
        name: reported with every number.
        summary: one line.
        run_case: the work.
        branches: of the network that it asks.
        oracle: prompts come from the truth in a way no user could give them, so numbers are an upper bound.
        clicks: numbers of clicks after which answers are usually given; empty for a protocol without clicks.
        variants: of the paper, or of the report it repeats, that can be switched on.
        family: whose models it is for: ``"openvista"`` or ``"sam2"``.
        overlapping: objects are asked one by one, so an organ's truth holds its tumour, as in training.
    """

    name: str
    summary: str
    run_case: RunCase
    branches: tuple[str, ...]
    oracle: bool = False
    clicks: tuple[int, ...] = ()
    variants: tuple[str, ...] = ()
    family: str = "openvista"
    overlapping: bool = False
