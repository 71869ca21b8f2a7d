"""``openvista evaluate``: how good a model is on labelled scans."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openvista.cli.console import Quiet, Verbose, error_console, set_up_logging

if TYPE_CHECKING:
    from openvista.datalist import Case, DataList
    from openvista.evaluate.automatic import Score
    from openvista.inference.model import Model


def evaluate(
    datalist: Annotated[Path, typer.Argument(help="JSON data list with labels.")],
    model: Annotated[str, typer.Option("-m", "--model", help="Name or folder; see 'openvista models'.")] = "starter",
    split: Annotated[str, typer.Option(help='"testing", "training", or a fold of the training list: "fold 0".')] = (
        "testing"
    ),
    protocol: Annotated[str, typer.Option(help="auto: class prompts only, scored on each scan's own grid.")] = "auto",
    only_in_slices: Annotated[
        str, typer.Option(help="Structures marked along a part of their length only: scored inside label_slices.")
    ] = "",
    profile: Annotated[str, typer.Option("-p", "--profile", help="best, bundle or research.")] = "best",
    device: Annotated[str, typer.Option("-d", "--device", help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="CSV with one row per case and class.")] = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Score a model on a data list; structures that nobody marked in a scan are not scored there.

    Example:

      openvista evaluate data/dataset.json --only-in-slices "spinal cord,esophagus" -o scores.csv
    """
    set_up_logging(verbose, quiet)
    from rich.progress import Progress

    from openvista.datalist import read_datalist
    from openvista.errors import InputError
    from openvista.evaluate.automatic import evaluate_automatic
    from openvista.inference.model import load_model

    if protocol != "auto":
        raise InputError(f"no protocol {protocol!r}: there is auto")
    listed = read_datalist(datalist)
    cases = _cases(listed, split)
    engine = load_model(model, device, precision)
    classes = {value: engine.vocabulary.resolve(name) for value, name in listed.label_names.items()}
    limited_ids = engine.vocabulary.expand(only_in_slices) if only_in_slices else []
    limited = [value for value, class_id in classes.items() if class_id in limited_ids]
    console = error_console()
    with Progress(console=console, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("scans", total=len(cases))
        scores = evaluate_automatic(engine, cases, classes, limited, profile, lambda _: bar.advance(task))
    _report(engine, scores, f"{listed.path.name}, {split}, protocol auto, profile {profile}", output)


def _cases(listed: "DataList", split: str) -> "tuple[Case, ...]":
    from openvista.errors import DataListError

    if split == "testing":
        cases = listed.testing
    elif split == "training":
        cases = listed.training
    elif split.startswith("fold ") and split[5:].strip().isdigit():
        cases = listed.split(int(split[5:]))[1]
    else:
        raise DataListError(f"no split {split!r}: there is testing, training, and 'fold N'")
    if not cases:
        raise DataListError(f"{listed.path}: split {split!r} has no labelled case")
    return cases


def _report(engine: "Model", scores: "list[Score]", title: str, output: Path | None) -> None:
    import csv
    import io

    from rich.console import Console
    from rich.table import Table

    from openvista.evaluate.automatic import summarise
    from openvista.io import replacing

    if output is not None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["case", "id", "name", "dice", "truth_ml", "predicted_ml"])
        for score in scores:
            name = engine.vocabulary.name(score.class_id)
            numbers = [f"{score.dice:.4f}", f"{score.truth_ml:.2f}", f"{score.predicted_ml:.2f}"]
            writer.writerow([score.case, score.class_id, name, *numbers])
        with replacing(output) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")
    table = Table(title=title, title_justify="left", header_style="bold")
    for heading in ("id", "structure", "cases", "mean Dice", "median", "worst"):
        table.add_column(heading, justify="left" if heading == "structure" else "right")
    summaries = summarise(scores)
    for row in summaries:
        numbers = [f"{value:.3f}" for value in (row.mean, row.median, row.worst)]
        table.add_row(str(row.class_id), engine.vocabulary.name(row.class_id), str(row.cases), *numbers)
    mean = sum(row.mean for row in summaries) / max(len(summaries), 1)
    table.add_row("", "mean over structures", "", f"{mean:.3f}", "", "", style="bold")
    Console().print(table)
