"""What ``train``, ``cvpr train`` and ``finetune`` share: one of torchrun's processes trains, the first one reports."""

from collections.abc import Callable, Iterable
from pathlib import Path

from openvista.cli.console import bars, set_up_logging
from openvista.distributed import Ranks, joined_ranks
from openvista.memory import retain_heap
from openvista.network import Vista3D
from openvista.train.data import Listing, list_cases
from openvista.train.loop import StepReport, Trainer
from openvista.train.recipe import Recipe
from openvista.train.starting_network import with_precision

Export = Callable[[Vista3D, Recipe, Path], Iterable[Path]]
"""Writes the trained network into the run folder and returns what it wrote."""


def unstated_origin(datalist: Path) -> dict[str, str]:
    """What a recipe says of a list that is not its own: a card must not name an origin that its data do not have."""
    return {"data": f"not stated (list {datalist.name})", "licence": "unknown"}


def train_and_export(
    recipe: Recipe,
    output: Path | None,
    export: Export,
    *,
    resume: bool,
    verbose: int,
    quiet: bool,
    listing: Listing = list_cases,
) -> None:
    """Train by a recipe, alone or as one of torchrun's processes; the first one exports, and prints what it wrote.

    Args:
        recipe: everything that decides the run.
        output: the run folder; ``None`` for one of the recipe's name in ``runs``.
        export: writes the result.
        resume: go on from the last checkpoint in the run folder.
        verbose, quiet: as the command was told.
        listing: reads what the recipe lists.
    """
    folder = output or Path("runs") / recipe.name
    retain_heap()
    with joined_ranks(recipe.device) as ranks:
        quiet = quiet or not ranks.is_first
        set_up_logging(verbose, quiet)
        recipe = with_precision(recipe, ranks)
        network = train_with_bar(recipe, folder, ranks, quiet, resume, listing)
        if ranks.is_first:
            written = export(network, recipe, folder)
            if not quiet:
                print(*written, sep="\n")


def train_with_bar(
    recipe: Recipe, folder: Path, ranks: Ranks, quiet: bool, resume: bool = False, listing: Listing = list_cases
) -> Vista3D:
    """Train to the end, as :class:`openvista.train.loop.Trainer` does."""
    with bars(quiet) as bar:
        task = bar.add_task("training", total=1.0)

        def progress(step: StepReport) -> None:
            bar.update(task, completed=step.fraction, description=f"step {step.step}, loss {step.loss:.3f}")

        return Trainer(recipe, folder, ranks, progress, resume, listing).run()
