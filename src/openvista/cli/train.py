"""``openvista train``: a recipe in, a model folder out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openvista.cli.list_options import label_sets, list_roots
from openvista.cli.options import (
    LabelSet,
    MappedLabelSet,
    PseudoLabelRoot,
    Quiet,
    Resume,
    Root,
    Settings,
    SupervoxelRoot,
    Verbose,
    output_option,
)
from openvista.train.yaml_keys import parse_settings

if TYPE_CHECKING:
    from openvista.network import Vista3D
    from openvista.train.recipe import Recipe


def train(
    recipe: Annotated[
        Path,
        typer.Argument(help="YAML file, such as recipes/starter.yaml; openvista/train/recipe.py describes every key."),
    ],
    output: Annotated[Path | None, output_option("Run folder. Default: [cyan]runs/<name>[/cyan].")] = None,
    datalist: Annotated[
        Path | None,
        typer.Option(
            help="JSON data list, instead of the recipe's. Say where it comes from with --set 'data=...' and "
            "--set 'licence=...': it goes into the model's card."
        ),
    ] = None,
    root: Root = None,
    pseudo_label_root: PseudoLabelRoot = None,
    supervoxel_root: SupervoxelRoot = None,
    label_set: LabelSet = None,
    mapped_label_set: MappedLabelSet = None,
    settings: Settings = None,
    resume: Resume = False,
    verbose: Verbose = 1,
    quiet: Quiet = False,
) -> None:
    """Train a model by a recipe; the result in RUN/model is what --model takes.

    Examples:

      openvista train recipes/starter.yaml --datalist data/dataset.json

      openvista train recipes/starter.yaml --set minutes=5 --set fold=1 -o runs/try

      openvista train recipes/paper.yaml --datalist Task06_5_folds.json --root /data/Task06 --supervoxel-root /sv/Task06

      openvista train recipes/starter.yaml -o runs/try --resume

      torchrun --nproc-per-node 2 --max-restarts 3 -m openvista train recipes/starter.yaml

    A training that torchrun has started anew goes on from its last checkpoint by itself.
    """
    from openvista.cli.training import train_and_export, unstated_origin
    from openvista.train.recipe_file import read_recipe

    overrides = parse_settings(settings or [])
    if datalist is not None:
        overrides = unstated_origin(datalist) | overrides | {"datalist": str(datalist.resolve())}
    overrides |= {key: str(folder) for key, folder in list_roots(root, pseudo_label_root, supervoxel_root).items()}
    if (classes := label_sets(label_set, mapped_label_set)) is not None:
        overrides["classes"] = classes
    chosen = read_recipe(recipe, **overrides)
    train_and_export(chosen, output, _export, resume=resume, verbose=verbose, quiet=quiet)


def _export(network: "Vista3D", recipe: "Recipe", folder: Path) -> list[Path]:
    from openvista.train.export import export_model

    return [export_model(network, recipe, folder).path]
