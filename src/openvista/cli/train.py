"""``openvista train``: a recipe in, a model folder out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openvista.cli.console import Quiet, Verbose, error_console, set_up_logging

if TYPE_CHECKING:
    from openvista.train.recipe import Recipe


def train(
    recipe: Annotated[Path, typer.Argument(help="YAML file; 'recipes/starter.yaml' explains every key by example.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Run folder. Default: [cyan]runs/<name>[/cyan].")
    ] = None,
    datalist: Annotated[Path | None, typer.Option(help="JSON data list, instead of the recipe's.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe; repeatable.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the run folder, exactly.")
    ] = False,
    verbose: Verbose = 1,
    quiet: Quiet = False,
) -> None:
    """Train a model by a recipe; the result in RUN/model is what --model takes.

    Examples:

      openvista train recipes/starter.yaml --datalist data/dataset.json

      openvista train recipes/starter.yaml --set minutes=5 --set fold=1 -o runs/try

      openvista train recipes/starter.yaml -o runs/try --resume

      torchrun --nproc-per-node 2 --max-restarts 3 -m openvista train recipes/starter.yaml

    A training that torchrun has started anew goes on from its last checkpoint by itself.
    """
    from openvista.inference.device import retain_heap
    from openvista.train.distributed import joined_ranks
    from openvista.train.recipe import read_recipe

    overrides = _parse(settings or [])
    if datalist is not None:
        overrides["datalist"] = str(datalist.resolve())
    chosen = read_recipe(recipe, **overrides)
    folder = output or Path("runs") / chosen.name
    retain_heap()
    with joined_ranks(chosen.device) as ranks:
        quiet = quiet or not ranks.is_first
        set_up_logging(verbose, quiet)
        model = _run(chosen, folder, ranks, quiet, resume)
        if not quiet:
            print(model)


def _run(recipe: "Recipe", folder: Path, ranks: Any, quiet: bool, resume: bool) -> Path | None:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from openvista.train.export import export_model
    from openvista.train.loop import StepReport, Trainer

    console = error_console()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("training", total=1.0)

        def report(step: StepReport) -> None:
            bar.update(task, completed=step.fraction, description=f"step {step.step}, loss {step.loss:.3f}")

        network = Trainer(recipe, folder, ranks, report, resume).run()
    return export_model(network, recipe, folder).path if ranks.is_first else None


def _parse(settings: list[str]) -> dict[str, Any]:
    """``key=value`` pairs; values are YAML, so numbers, lists and null work."""
    import yaml

    from openvista.errors import RecipeError

    parsed = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise RecipeError(f"--set {setting}: write KEY=VALUE, for example --set minutes=5")
        parsed[key.strip()] = yaml.safe_load(value)
    return parsed
