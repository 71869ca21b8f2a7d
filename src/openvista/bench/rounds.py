"""Ways to do the same work take turns, so that ratios hold even where the machine's speed drifts."""

import logging
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch

from openvista.bench.figures import Ratio, Slope, TimedWork

logger = logging.getLogger(__name__)


class Stopwatch:
    """Seconds of the kinds of work that one way does in one round.

    Args:
        device: what is waited for at both ends.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timing(self, work: str) -> Iterator[None]:
        """Around what counts; a name that was there before adds up."""
        self._wait()
        began = time.perf_counter()
        yield
        self._wait()
        self.seconds[work] = self.seconds.get(work, 0.0) + time.perf_counter() - began

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


Way = Callable[[Stopwatch], object]
"""Does the work once; what is outside of the stopwatch's ``timing`` does not count."""

PEER = "peer"
"""What names of the peer's ways begin with; those of ours begin otherwise."""


def take_turns(
    part: str, ways: Mapping[str, Way], rounds: int, device: torch.device, warm: bool = True
) -> list[TimedWork]:
    """A row for each kind of work that the ways time.

    Args:
        part: what ``--only`` calls it.
        ways: by name, in the order in which they take turns.
        rounds: that count.
        device: what networks run on.
        warm: begin with a round that does not count.
    """
    taken: dict[str, dict[str, list[float]]] = {}
    for number in range(-int(warm), rounds):
        for name, way in ways.items():
            watch = Stopwatch(device)
            way(watch)
            for work, seconds in watch.seconds.items() if number >= 0 else ():
                taken.setdefault(work, {}).setdefault(name, []).append(seconds)
            logger.info("%s, round %d of %d, %s: %s", part, number + 1, rounds, name, watch.seconds)
    return [TimedWork(part=part, work=work, seconds=by_way, ratios=ratios(by_way)) for work, by_way in taken.items()]


def ratios(seconds: Mapping[str, list[float]]) -> list[Ratio]:
    """Of every way of ours to every way of the peer, round by round."""
    found = []
    for own in [name for name in seconds if not name.startswith(PEER)]:
        for peer in [name for name in seconds if name.startswith(PEER)]:
            each = [theirs / mine for theirs, mine in zip(seconds[peer], seconds[own], strict=True)]
            spread = {"median": statistics.median(each), "least": min(each), "most": max(each)}
            found.append(Ratio(ours=own, peer=peer, **spread))
    return found


def slope(way: str, against: str, sizes: list[float], seconds: list[float]) -> Slope:
    """The straight line through medians at two or more sizes."""
    per_unit, fixed = np.polyfit(sizes, seconds, 1)
    return Slope(way=way, against=against, sizes=sizes, seconds=seconds, per_unit=float(per_unit), fixed=float(fixed))
