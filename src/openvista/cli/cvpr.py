"""``openvista cvpr``: the interface of the CVPR 2025 challenge for interactive segmentation."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import openvista
from openvista.cli.console import bars, say, set_up_logging
from openvista.cli.cvpr_train import train
from openvista.cli.files import check_folder, work_on_each
from openvista.cli.main import BEGAN
from openvista.cli.options import Device, ModelName, Precision, ProfileName, Quiet, Verbose
from openvista.errors import InputError, ModelError, OutputError, PromptError
from openvista.inference.profiles import find_profile
from openvista.io.atomic import make_folder
from openvista.weights import find_model

if TYPE_CHECKING:
    from openvista.cvpr.evaluate import Outcome
    from openvista.cvpr.predict import Predictor

app = typer.Typer(
    no_args_is_help=True,
    help="The CVPR 2025 challenge for interactive 3D segmentation: its case files in, its label maps and scores out.",
)

app.command()(train)

Inputs = Annotated[Path, typer.Option("-i", "--inputs", help="Folder with the cases, .npz files.")]
Outputs = Annotated[Path, typer.Option("-o", "--outputs", "--output", help="Folder for files of the same names.")]
Seconds = Annotated[
    float,
    typer.Option(min=0, help="Computing time per class for all six runs, in seconds; 90 are allowed. 0: no limit."),
]
Window = Annotated[
    str, typer.Option(metavar="LOW,HIGH", help="CT only: HU that became 0 and 255. Default: grey values are stretched.")
]
Resample = Annotated[
    str,
    typer.Option(help="To the model's spacing: auto (as its card says, else unless tiny), always, never."),
]
SpacingOrder = Annotated[str, typer.Option(help="Of the spacing in the files: auto, zyx (as the arrays) or xyz.")]
Orientation = Annotated[
    str,
    typer.Option(
        help="To where columns, rows and slices run: three letters, such as LPS (left, posterior, superior), as "
        "SimpleITK's arrays do; or auto: as fits the prompts best, which takes 48 to 138 windows per run."
    ),
]


@app.command()
def predict(
    context: typer.Context,
    inputs: Inputs,
    outputs: Outputs,
    model: ModelName = "starter",
    seconds_per_class: Seconds = 75.0,
    window: Window = "",
    resample: Resample = "auto",
    spacing_order: SpacingOrder = "auto",
    orientation: Orientation = "LPS",
    profile: ProfileName = "best",
    device: Device = "auto",
    precision: Precision = "auto",
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Answer one run of the challenge: every case of a folder becomes a file of the same name with uint8 'segs'.

    Reads imgs, spacing, boxes, clicks, clicks_order and prev_pred, in the array's axes (z, y, x). Classes start from
    prev_pred; only clicks that it contradicts are computed. When time runs short, masks stop growing, and what has
    been found so far is written. Files do not say which way their axes run: --orientation does, or finds it.

    Examples:

      openvista cvpr predict --inputs /workspace/inputs --outputs /workspace/outputs --model /workspace/model

      openvista cvpr predict -i inputs -o outputs --model mine --resample never

      openvista cvpr predict -i inputs -o outputs --model starter --orientation auto

      openvista cvpr predict -i inputs -o outputs --model mine --window=-160,240
    """
    from openvista.cvpr.case_file import read_case_file, write_labels
    from openvista.cvpr.image import Reading
    from openvista.cvpr.orientation import OrientedCase, check_orientation
    from openvista.cvpr.predict import Deadline, run_seconds

    began = context.meta[BEGAN]
    set_up_logging(verbose, quiet)
    check_orientation(orientation)
    reading = Reading(_hu_window(window), resample, spacing_order)
    files, predictor = _prepare(inputs, outputs, model, profile, device, precision)
    reading, preset = reading.for_model(predictor.model.card), predictor.model.network.network.preset

    def answer(file: Path) -> None:
        nonlocal began
        case = read_case_file(file)
        if case.request is None:
            raise PromptError(f"{file}: has neither boxes nor clicks, so there is nothing to segment; add one of them")
        oriented = OrientedCase(case, predictor, reading, preset, orientation)
        seconds = run_seconds(len(case.request.ids), seconds_per_class, time.monotonic() - began)
        write_labels(outputs / file.name, segs=oriented.answer(case.request, Deadline(seconds)))
        began = time.monotonic()  # loading the model counts for the first case only
        if not quiet:
            print(outputs / file.name)

    _each(files, answer, quiet)


@app.command()
def evaluate(
    inputs: Inputs,
    outputs: Outputs,
    truth: Annotated[
        Path | None, typer.Option("-t", "--truth", help="Folder with files of the same names that hold 'gts'.")
    ] = None,
    model: ModelName = "starter",
    seconds_per_class: Seconds = 0.0,
    window: Window = "",
    resample: Resample = "auto",
    spacing_order: SpacingOrder = "auto",
    orientation: Orientation = "LPS",
    profile: ProfileName = "best",
    device: Device = "auto",
    precision: Precision = "auto",
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Score a model by the challenge's iterative protocol, in this process: a box, then five clicks per class.

    Writes MODEL_metrics.csv with the official columns, and per case the last label map (segs) and all of them
    (all_segs). DSC_AUC and NSD_AUC run over the five clicks, 4 at most. NSD takes the spacing as the files have it,
    along the array's axes, as the official evaluation does. Times leave out starting a container and loading the
    model. There is no time limit unless --seconds-per-class sets one, so that results do not depend on the machine.

    Examples:

      openvista cvpr evaluate --inputs 3D_val_npz --truth 3D_val_gt --outputs results --model mine

      openvista cvpr evaluate -i training_cases -o results --model mine --seconds-per-class 75
    """
    from openvista.cvpr.case_file import read_case_file, read_truth, write_labels
    from openvista.cvpr.evaluate import Outcome, check_truth, score_case, write_table
    from openvista.cvpr.image import Reading
    from openvista.cvpr.orientation import OrientedCase, check_orientation
    from openvista.cvpr.predict import Deadline, run_seconds

    set_up_logging(verbose, quiet)
    check_orientation(orientation)
    reading = Reading(_hu_window(window), resample, spacing_order)
    files, predictor = _prepare(inputs, outputs, model, profile, device, precision)
    reading, preset = reading.for_model(predictor.model.card), predictor.model.network.network.preset
    table = outputs / f"{predictor.model.card.name}_metrics.csv"
    outcomes: list[Outcome] = []

    def score(file: Path) -> None:
        case = read_case_file(file)
        gts = read_truth(truth / file.name if truth else file)
        oriented = OrientedCase(case, predictor, reading, preset, orientation)
        seconds = run_seconds(len(check_truth(case, gts)), seconds_per_class)
        outcome, steps = score_case(case, gts, lambda request: oriented.answer(request, Deadline(seconds)))
        write_labels(outputs / file.name, segs=steps[-1], all_segs=steps)
        outcomes.append(outcome)
        write_table(table, outcomes)
        if outcome.too_slow:
            spent = f"{sum(outcome.seconds):.0f} s for {outcome.classes} classes"
            say("warning", f"{file.name}: {spent} is over 90 s per class")

    _each(files, score, quiet)
    if not quiet:
        _tell(outcomes)
        print(table)


def _prepare(
    inputs: Path, outputs: Path, model: str, profile: str, device: str, precision: str
) -> tuple[list[Path], "Predictor"]:
    """Everything is checked before weights are read."""
    from openvista.cvpr.case_file import find_cases
    from openvista.cvpr.predict import Predictor

    files, chosen = find_cases(inputs), find_profile(profile)
    check_folder(outputs)
    if outputs.resolve() == inputs.resolve():
        raise OutputError(f"{outputs}: holds the cases, which would be overwritten; give another folder")
    card = find_model(model).card
    if "point" not in card.branches:
        raise ModelError(f"model {card.name!r} answers class prompts only, not clicks; choose one with a point branch")
    make_folder(outputs)
    return files, Predictor(openvista.load_model(model, device, precision), chosen)


def _hu_window(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--window {text!r}: write two HU, for example --window=-160,240") from None
    return low, high


def _each(files: list[Path], work: Callable[[Path], None], quiet: bool) -> None:
    """Work on every case; what is wrong with one does not stop the others."""
    with bars(quiet) as bar:
        task = bar.add_task("cases", total=len(files))

        def work_and_tell(file: Path) -> None:
            try:
                work(file)
            finally:
                bar.update(task, advance=1, description=file.name)

        work_on_each(files, work_and_tell, "cases could not be used")


def _tell(outcomes: list["Outcome"]) -> None:
    rows = [outcome.row() for outcome in outcomes]
    for column in ("DSC_AUC", "NSD_AUC", "DSC_Final", "NSD_Final") if rows else ():
        print(f"{column} {sum(float(row[column]) for row in rows) / len(rows):.4f}")
