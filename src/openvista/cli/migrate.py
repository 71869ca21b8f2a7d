"""``openvista migrate``: a config of the original's research repository as a recipe and a command."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from openvista.cli.console import say
from openvista.cli.options import Quiet, Settings, output_option
from openvista.io.atomic import write_text
from openvista.train.yaml_keys import parse_settings


def migrate(
    config: Annotated[
        Path, typer.Argument(help="A YAML or JSON config: training, fine-tuning, evaluation, infer.yaml.")
    ],
    settings: Settings = None,
    output: Annotated[Path | None, output_option("Write the recipe to this file. Default: print it.")] = None,
    quiet: Quiet = False,
) -> None:
    """Translate a config of the original; the recipe and the command that uses it are printed.

    The config is read as data: no expression in it is evaluated, and nothing is run. What is an expression there is
    given with --set, by the config's own key. Keys that nothing here honours are refused by name.

    Examples:

      openvista migrate hyper_parameters_stage1.yaml -o stage1.yaml

      openvista migrate train_finetune_word.yaml --set data_file_base_dir=/data/WORD -o word.yaml

      openvista migrate infer.yaml --set "label_prompt=[1]" --set image_file=ct.nii.gz
    """
    from openvista.train.original_config import migrate_config, recipe_text

    migrated = migrate_config(config, **parse_settings(settings or []))
    recipe = str(output or "RECIPE.yaml")
    commands = [[recipe if word == "RECIPE" else word for word in words] for words in migrated.commands]
    text = recipe_text(migrated)
    if output is not None and text:
        write_text(output, text)
    elif text:
        print(text, end="")
    for words in commands:
        print("# " * bool(text and output is None) + shlex.join(words))
    if migrated.left_out and not quiet:
        say("note", f"left out, as something here takes its place: {', '.join(migrated.left_out)}")
