"""What ``train`` and ``finetune`` share: settings on the command line, and training with a bar."""

from pathlib import Path
from typing import Any

from openvista.cli.console import bars
from openvista.distributed import Ranks
from openvista.errors import RecipeError, needs_extra
from openvista.network import Vista3D
from openvista.train.data import Listing, list_cases
from openvista.train.loop import StepReport, Trainer
from openvista.train.recipe import Recipe


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """``key=value`` pairs; values are YAML, so numbers, lists and null work.

    Raises:
        RecipeError: one is not such a pair, or its value is not YAML.
        MissingExtraError: PyYAML is not installed.
    """
    if not settings:
        return {}
    with needs_extra("yaml", "train", "read --set"):
        import yaml

    parsed = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise RecipeError(f"--set {setting}: write KEY=VALUE, for example --set minutes=5")
        try:
            parsed[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise RecipeError(f"--set {setting}: the value is not YAML: {' '.join(str(error).split())}") from None
    return parsed


def train_with_bar(
    recipe: Recipe, folder: Path, ranks: Ranks, quiet: bool, resume: bool = False, listing: Listing = list_cases
) -> Vista3D:
    """Train to the end, as :class:`openvista.train.loop.Trainer` does."""
    with bars(quiet) as bar:
        task = bar.add_task("training", total=1.0)

        def progress(step: StepReport) -> None:
            bar.update(task, completed=step.fraction, description=f"step {step.step}, loss {step.loss:.3f}")

        return Trainer(recipe, folder, ranks, progress, resume, listing).run()
