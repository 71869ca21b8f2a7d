"""``openvista models``: which models are here, and how to get, check and convert others.

Reading weights needs torch, listing models does not: imports for it stand in the functions that read weights.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from openvista.cli.console import set_up_logging
from openvista.cli.list_options import list_roots
from openvista.cli.options import (
    Mapping,
    OnlyInSlices,
    Overwrite,
    Quiet,
    Root,
    Verbose,
    joined,
    model_option,
    three_numbers,
)
from openvista.errors import ModelError, WeightsError
from openvista.io import read_scan
from openvista.weights import ModelFolder, available_models, find_model
from openvista.weights.card import CARD_FILE, write_card
from openvista.weights.download import download_model, official_source
from openvista.weights.sources import OFFICIAL

app = typer.Typer(help="List, download, import, verify and convert models.", invoke_without_command=True)

Name = Annotated[str, typer.Argument(help="Name of a model, or its folder.")]


@app.callback()
def _list_when_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_models()


@app.command("list")
def list_models() -> None:
    """Models on this machine, and official ones that can be downloaded."""
    table = Table(header_style="bold")
    for heading in ("model", "classes", "branches", "spacing (mm)", "where"):
        table.add_column(heading)
    here = available_models()
    for folder in here:
        card = folder.card
        where = "comes with OpenVISTA" if folder.embedded else str(folder.path)
        spacing = " x ".join(f"{size:g}" for size in card.spacing)
        table.add_row(card.name, str(len(card.class_ids)), ", ".join(card.branches), spacing, where)
    for name in OFFICIAL:
        if name not in {folder.card.name for folder in here}:
            table.add_row(name, "", "", "", f"openvista models download {name}", style="dim")
    Console().print(table)


@app.command()
def info(name: Name = "starter") -> None:
    """The card of a model: sizes, classes, origin, licence, measurements."""
    print(find_model(name).card.to_json(), end="")


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="Official name.")] = "vista3d",
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You have read the licence shown, and accept it.")
    ] = False,
    revision: Annotated[str, typer.Option(help="Branch, tag or commit of the repository.")] = "main",
    overwrite: Overwrite = False,
) -> None:
    """Get official weights from the Hugging Face hub (about 0.9 GB); an interrupted download goes on."""
    print(official_source(name).licence_text)
    _announce(download_model(name, accept_licence=accept_licence, revision=revision, overwrite=overwrite))


@app.command("import")
def import_model(
    checkpoint: Annotated[Path, typer.Argument(help=".pt, .pth, .ckpt or .safetensors, any official naming.")],
    name: Annotated[str | None, typer.Option("--name", help="Name of the model. Default: the file's.")] = None,
    spacing: Annotated[
        str | None, typer.Option(metavar="X,Y,Z", help="Voxel size in mm that it was trained at. Default: 1.5,1.5,1.5.")
    ] = None,
    window: Annotated[
        str | None, typer.Option(metavar="X,Y,Z", help="Voxels of its patches. Default: that of its family.")
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(help="ct, or ctmr (NV-Segment-CTMR). Default: what the names around the file say, else ct."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a model of a checkpoint file you have; it must fit the network exactly."""
    from openvista.weights.convert import import_checkpoint

    sampling: dict[str, object] = {} if spacing is None else {"spacing": three_numbers(spacing, "--spacing", float)}
    sampling |= {} if window is None else {"window": three_numbers(window, "--window", int)}
    chosen = name or checkpoint.stem
    _announce(import_checkpoint(checkpoint, chosen, overwrite=overwrite, sampling=sampling, family=family))  # type: ignore[arg-type]


@app.command()
def verify(name: Name = "starter") -> None:
    """Check a model's checksum, names, shapes and numbers."""
    from openvista.weights.convert import verify_model

    report = verify_model(find_model(name))
    if report.problems:
        raise WeightsError("; ".join(report.problems))
    print(f"{report.model.card.name}: good, {report.parameters:,} parameters, SHA-256 {report.sha256}")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="Checkpoint file or model folder.")],
    target: Annotated[Path, typer.Argument(help="File to write: .pt or .safetensors.")],
    naming: Annotated[
        str, typer.Option("--to", help="monai-1.4 (bundle), monai-1.3 (research), hf, or openvista.")
    ] = "monai-1.4",
    overwrite: Overwrite = False,
) -> None:
    """Write weights in another naming, bit for bit the same numbers."""
    from openvista.weights.convert import convert_checkpoint

    print(convert_checkpoint(source, target, naming, overwrite=overwrite))  # type: ignore[arg-type]


@app.command()
def calibrate(
    scans: Annotated[list[Path], typer.Argument(help="Scans such as the model will see: CT files or DICOM folders.")],
    model: Annotated[str, model_option("Name of the model, or its folder.")] = "starter",
    per_scan: Annotated[int, typer.Option(min=1, help="Windows of each scan.")] = 4,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Make the 8-bit network of a model, for --precision int8: less time on a CPU, and slightly other labels.

    Take a dozen scans or more that look like those to come, and that nothing will be measured on.

    Example:

      openvista models calibrate scans/*.nii.gz --model starter
    """
    from openvista.inference.calibration import calibrate_model

    set_up_logging(verbose, quiet)
    made = calibrate_model(find_model(model), (read_scan(path) for path in scans), per_scan)
    if not quiet:
        print(f"{made.file}: made from {made.windows} windows")
        print(f"{made.changed:.1%} of what is labelled in them gets another label than in float32")


@app.command()
def ranges(
    datalist: Annotated[Path, typer.Argument(help="JSON data list with labels: its training cases are measured.")],
    model: Annotated[str, model_option("Name of the model, or its folder: its card is written.")],
    mapping: Mapping = None,
    only_in_slices: OnlyInSlices = None,
    root: Root = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Measure what a model's classes look like in training cases; results that look otherwise are then called unlikely.

    Volume, mean HU, elongation and height along the body go into the model's card. 'train' and 'finetune' do so by
    themselves; this is for models that are there already, such as official ones.

    Examples:

      openvista models ranges list.json --model vista3d --map 1=liver

      openvista models ranges list.json --model runs/neck/model --only-in-slices esophagus
    """
    from openvista.train.seen_ranges import listed_ranges

    set_up_logging(verbose, quiet)
    folder = find_model(model)
    if folder.is_checkpoint:
        raise ModelError(f"{folder.path} has no card to write to: import it first (openvista models import)")
    roots = list_roots(root, None, None)
    found = listed_ranges(folder.card, datalist, mapping or (), joined(only_in_slices), roots)
    write_card(replace(folder.card, ranges={**folder.card.ranges, **found}), folder.path / CARD_FILE)
    if not quiet:
        print(f"{folder.path / CARD_FILE}: ranges of {len(found)} classes")


def _announce(folder: ModelFolder) -> None:
    example = "CT.nii.gz" if folder.card.family == "ct" else "MR.nii.gz --modality MRI_BODY"
    print(f"{folder.card.name} is ready: openvista segment {example} --model {folder.card.name}")
