"""The loop over the parts that are asked for."""

import gc
from collections.abc import Callable, Sequence

from openvista.bench.contest import Contest, Sizes
from openvista.bench.figures import Agreement, BenchResult, Slope, TimedWork, describe_machine
from openvista.bench.parts import PARTS, agreement
from openvista.bench.scaling import scaling
from openvista.memory import retain_heap
from openvista.network import VISTA3D

ALL_PARTS = (*PARTS, "agreement", "scaling")
"""What ``--only`` may name."""


def run_parts(
    contest: Contest, parts: Sequence[str], rounds: int, begun: Callable[[str], object] = lambda _: None
) -> BenchResult:
    """Measure what is asked for, in the order of ``ALL_PARTS``.

    On a CPU the process keeps freed memory, for both sides: ``load_model`` asks for it, and the peer gains as well.

    Args:
        contest: who, on what.
        parts: of ``ALL_PARTS``.
        rounds: of each.
        begun: called with the name of each part.
    """
    if contest.device.type == "cpu":
        retain_heap()
    rows: list[TimedWork] = []
    slopes: list[Slope] = []
    same: Agreement | None = None
    for part in (part for part in ALL_PARTS if part in parts):
        begun(part)
        if part == "agreement":
            same = agreement(contest)
        elif part == "scaling":
            slopes = scaling(_quick(contest), rounds)
        else:
            rows += PARTS[part](contest, rounds)
        gc.collect()  # networks of 48 filters hold a gigabyte each
    return BenchResult(
        machine=describe_machine(contest.device),
        network=contest.description,
        rounds=rounds,
        rows=rows,
        slopes=slopes,
        agreement=same,
    )


def _quick(contest: Contest) -> Contest:
    """The same, or the default size in place of the published one, whose slopes would take a night."""
    small = contest.preset.filters < VISTA3D.filters
    return contest if small else Contest(Sizes(), None, str(contest.device))
