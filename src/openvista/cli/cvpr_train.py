"""``openvista cvpr train``: files of the challenge in, a model that ``cvpr predict`` takes out."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from openvista.cli.console import set_up_logging
from openvista.cli.options import Quiet, Settings, Verbose, model_option, output_option
from openvista.cli.training import parse_settings, train_with_bar
from openvista.cvpr.training import RECIPE, export_challenge_model, list_challenge_cases, size_of_model
from openvista.distributed import joined_ranks
from openvista.errors import DataListError, RecipeError
from openvista.inference.device import retain_heap
from openvista.train.recipe_file import make_recipe, read_recipe
from openvista.train.starting_network import with_precision


def train(
    datalist: Annotated[Path, typer.Argument(help="JSON list of .npz files, with imgs, spacing and gts.")],
    root: Annotated[Path, typer.Option(help="Folder below which they lie.")],
    model: Annotated[str | None, model_option("What to start from. Default: the recipe's, vista3d.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="YAML file instead of recipes/cvpr25.yaml.")] = None,
    output: Annotated[Path | None, output_option("Run folder. Default: [cyan]runs/<name>[/cyan].")] = None,
    settings: Settings = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the run folder, exactly.")
    ] = False,
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
    if not root.is_dir():
        raise DataListError(f"{root}: there is no such folder; give the one with the cases by --root")
    keys = {"datalist": str(datalist.resolve()), "data": f"not stated (list {datalist.name})"}
    keys |= ({} if model is None else size_of_model(model)) | parse_settings(settings or [])
    chosen = make_recipe(dict(RECIPE) | keys, "recipe cvpr25") if recipe is None else read_recipe(recipe, **keys)
    if chosen.challenge is None:
        raise RecipeError(f"recipe {recipe} says nothing of 'challenge': use openvista train, or add that key")
    folder = output or Path("runs") / chosen.name
    retain_heap()
    with joined_ranks(chosen.device) as ranks:
        quiet = quiet or not ranks.is_first
        set_up_logging(verbose, quiet)
        chosen = with_precision(chosen, ranks)
        network = train_with_bar(chosen, folder, ranks, quiet, resume, partial(list_challenge_cases, root=root))
        if ranks.is_first:
            written, baseline = export_challenge_model(network, chosen, folder)
            if not quiet:
                print(written.path)
                print(baseline)
