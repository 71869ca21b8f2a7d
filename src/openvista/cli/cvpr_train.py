"""``openvista cvpr train``: files of the challenge in, a model that ``cvpr predict`` takes out."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openvista.cli.options import Quiet, Resume, Settings, Verbose, model_option, output_option
from openvista.errors import DataListError, RecipeError
from openvista.train.yaml_keys import parse_settings

if TYPE_CHECKING:
    from openvista.network import Vista3D
    from openvista.train.recipe import Recipe


def train(
    datalist: Annotated[Path, typer.Argument(help="JSON list of .npz files, with imgs, spacing and gts.")],
    root: Annotated[Path, typer.Option(help="Folder below which they lie.")],
    model: Annotated[str | None, model_option("What to start from. Default: the recipe's, vista3d.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="YAML file instead of recipes/cvpr25.yaml.")] = None,
    output: Annotated[Path | None, output_option("Run folder. Default: [cyan]runs/<name>[/cyan].")] = None,
    settings: Settings = None,
    resume: Resume = False,
    verbose: Verbose = 1,
    quiet: Quiet = False,
) -> None:
    """Train on cases of the challenge; RUN/model is what 'cvpr predict --model' takes.

    Every label of a case is an object to box and to click on, as the challenge does it. How grey values are scaled and
    whether images are resampled goes into the model's card, and 'cvpr predict' does the same. Beside the model lies
    model_epoch<k>.pth, as the training of the challenge's VISTA3D baseline writes it.

    Examples:

      openvista cvpr train allset.json --root 3D_train_npz_all -o runs/cvpr25

      openvista cvpr train list.json --root cases -m starter --set learning_rate=5e-4 --set minutes=10 -o runs/small

      torchrun --nproc-per-node 8 -m openvista cvpr train allset.json --root 3D_train_npz_all -o runs/cvpr25 --resume
    """
    from openvista.cli.training import train_and_export, unstated_origin
    from openvista.cvpr.training import RECIPE, list_challenge_cases, size_of_model
    from openvista.train.recipe_file import make_recipe, read_recipe

    if not root.is_dir():
        raise DataListError(f"{root}: there is no such folder; give the one with the cases by --root")
    keys = unstated_origin(datalist) | ({} if model is None else size_of_model(model)) | parse_settings(settings or [])
    keys["datalist"] = str(datalist.resolve())
    chosen = make_recipe(dict(RECIPE) | keys, "recipe cvpr25") if recipe is None else read_recipe(recipe, **keys)
    if chosen.challenge is None:
        raise RecipeError(f"recipe {recipe} says nothing of 'challenge': use openvista train, or add that key")
    train_and_export(
        chosen,
        output,
        _export,
        resume=resume,
        verbose=verbose,
        quiet=quiet,
        listing=partial(list_challenge_cases, root=root),
    )


def _export(network: "Vista3D", recipe: "Recipe", folder: Path) -> list[Path]:
    from openvista.cvpr.training import export_challenge_model

    written, baseline = export_challenge_model(network, recipe, folder)
    return [written.path, baseline]
