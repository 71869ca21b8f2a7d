"""``openvista evaluate``: how good a model is on labelled scans, and whether it is better than another."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from openvista.cli.console import Quiet, Verbose, bars, say, set_up_logging
from openvista.cli.files import make_folder

if TYPE_CHECKING:
    from openvista.anatomy.vocabulary import Vocabulary
    from openvista.datalist import Case, DataList, LabelMapping
    from openvista.evaluate.report.results import Results
    from openvista.evaluate.run import Run
    from openvista.evaluate.run_folder import EvaluationFolder, RunInfo, Shard
    from openvista.evaluate.sam2 import Sam2, Sam2Card
    from openvista.evaluate.score import Scoring
    from openvista.model import Model
    from openvista.weights import ModelCard


class _RunUnlessCompare(TyperGroup):
    """``evaluate DATALIST`` without a word for it; ``evaluate compare A B`` beside it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if args and args[0] in self.commands else ["run", *args])


class _Run(TyperCommand):
    def format_usage(self, ctx: Any, formatter: Any) -> None:
        formatter.write_usage("openvista evaluate", "[OPTIONS] DATALIST")


app = typer.Typer(cls=_RunUnlessCompare, help="Score a model on a data list; compare two runs.")


@app.command("run", cls=_Run, epilog="Two runs side by side, with a paired test: openvista evaluate compare A B")
def evaluate(
    datalist: Annotated[Path, typer.Argument(help="JSON data list with labels.")],
    model: Annotated[
        str,
        typer.Option("-m", "--model", help="Name or folder; see 'openvista models'. Of SAM 2: folder or hub name."),
    ] = "starter",
    protocol: Annotated[
        str, typer.Option("-P", "--protocol", help="How the model is asked: auto, clicks, ..., see above.")
    ] = "auto",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for scores.csv, scores.json and report.html.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder of -o.")] = False,
    split: Annotated[str, typer.Option(help='"testing", "training", or a fold of the training list: "fold 0".')] = (
        "testing"
    ),
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="LABEL=CLASS", help='Which class a label is, if not by name: "1=spleen".'),
    ] = None,
    only_in_slices: Annotated[
        str, typer.Option(help="Structures marked along a part of their length only: scored inside label_slices.")
    ] = "",
    clicks: Annotated[
        str, typer.Option(help='Numbers of clicks to score, instead of the protocol\'s own: "1,3,5,10".')
    ] = "",
    habit: Annotated[
        list[str] | None,
        typer.Option(help="best-so-far, blank-slices, sliding-windows; no-background (SAM 2); repeatable."),
    ] = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(metavar="[CLASS=]MM", help='Of NSD: "2" for all, "mandible=1" for one; repeatable. Default 2 mm.'),
    ] = None,
    surface: Annotated[
        str, typer.Option(help="elements (area-weighted, as DeepMind) or voxels (as MONAI), for NSD and HD95.")
    ] = "elements",
    seed: Annotated[int, typer.Option(min=0, help="Of everything drawn, the bootstrap included.")] = 0,
    profile: Annotated[str, typer.Option("-p", "--profile", help="best, bundle or research.")] = "best",
    device: Annotated[str, typer.Option("-d", "--device", help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Score a model on a data list; structures that nobody marked in a scan are not scored there.

    Protocols: auto (class prompts only); clicks (one object at a time by a simulated user, after 1, 3, 5 and 10
    clicks); zero-shot-iterative (the same on objects whose class is not told, up to 80 clicks); cvpr25 (the
    challenge's: a box and five clicks per structure, all at once; see also 'openvista cvpr'); point-oracle and
    auto+point-oracle (the paper's tables, with clicks from the truth in every window); sam2-iterative (SAM 2, to
    compare with, on slices as a video: n is the number of slices clicked on).

    Examples:

      openvista evaluate data/dataset.json --only-in-slices "spinal cord,esophagus" -o runs/auto

      openvista evaluate data/dataset.json --split "fold 0" --tolerance 2 --tolerance mandible=1 -o runs/fold0

      openvista evaluate data/dataset.json --protocol clicks --clicks 1,3,5,10 -o runs/clicks

      openvista evaluate data/dataset.json --protocol sam2-iterative --model facebook/sam2.1-hiera-large -o runs/sam2

      torchrun --nproc-per-node 2 -m openvista evaluate data/dataset.json -o runs/auto --resume

      openvista evaluate compare runs/auto runs/clicks
    """
    set_up_logging(verbose, quiet)
    from openvista.datalist import read_datalist
    from openvista.errors import OutputError
    from openvista.evaluate.protocols import find_protocol
    from openvista.evaluate.run import describe_run
    from openvista.evaluate.run_folder import EvaluationFolder, Shard

    shard = Shard.from_environment()
    if output is None and (shard.count > 1 or resume):
        raise OutputError("several processes, and --resume, need a folder for what is done: add -o FOLDER")
    listed = read_datalist(datalist)
    sam2 = _load_sam2(model, device) if find_protocol(protocol).family == "sam2" else None
    card = _card(model) if sam2 is None else sam2.card
    choices: dict[str, Any] = {"profile": profile, "seed": seed, "variants": frozenset(habit or ())}
    choices |= {"clicks": _numbers(clicks)} if clicks else {}
    run, names = _plan(card, listed, protocol, mapping or [], only_in_slices, (tolerance or [], surface), choices)
    cases = _cases(listed, split, run, names)
    how = str(sam2) if sam2 is not None else _compute(device, precision)
    info = describe_run(card, how, listed, split, cases, run, names, _command())
    folder = None if output is None else EvaluationFolder(output, info, shard, resume)
    engine = _load_model(model, device, precision) if sam2 is None else sam2
    results = _work(engine, cases, run, info, shard, folder, quiet or shard.rank > 0)
    if results is not None:
        _report(results, output, quiet)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Folder of a run, or its scores.json.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Folder of another run on the same data list.")],
    metric: Annotated[str, typer.Option(help="dice, nsd, hd95_mm or volume_error_percent.")] = "dice",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for compare.csv, compare.json and compare.html.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Two runs side by side: means, difference with its interval, and the Wilcoxon signed-rank test on pairs.

    Only scans and structures that both runs scored are compared.

    Example:

      openvista evaluate compare runs/starter runs/mine --metric nsd -o runs/starter-mine
    """
    set_up_logging(0, quiet)
    from openvista.cli.evaluation_tables import print_comparison
    from openvista.evaluate.compare import compare_results, disagreements, write_comparison
    from openvista.evaluate.report.results import read_results

    first, second = read_results(a), read_results(b)
    rows = compare_results(first, second, metric, seed)
    if not quiet:
        for text in disagreements(first, second):
            say("warning", f"the runs differ in {text}")
        print_comparison(first, second, metric, rows)
    if output is not None:
        make_folder(output)
        written = write_comparison(output, first, second, metric, rows)
        if not quiet:
            print(written)


def _cases(listed: "DataList", split: str, run: "Run", names: dict[int, str]) -> "tuple[Case, ...]":
    """The cases of a split; labels that the list does not name are called as the run calls them."""
    from openvista.errors import DataListError
    from openvista.evaluate.run import check_scored

    listed = listed.naming({value: names[class_id] for value, class_id in run.classes.items()})
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
    check_scored(cases, run, listed.path)
    return cases


def _card(model: str) -> "ModelCard":
    from openvista.weights import find_model

    return find_model(model).card


def _compute(device: str, precision: str) -> str:
    from openvista.inference.device import plan_compute

    return str(plan_compute(_device(device), precision))


def _load_model(model: str, device: str, precision: str) -> "Model":
    from openvista.model import load_model

    return load_model(model, _device(device), precision)


def _load_sam2(model: str, device: str) -> "Sam2":
    from openvista.evaluate.sam2 import load_sam2
    from openvista.inference.device import find_device

    return load_sam2(model, find_device(_device(device)))


def _device(device: str) -> str:
    """With several processes on a machine, each takes a GPU of its own."""
    import os

    import torch

    local_rank = os.environ.get("LOCAL_RANK")
    if device != "auto" or local_rank is None or not torch.cuda.is_available():
        return device
    return f"cuda:{int(local_rank) % torch.cuda.device_count()}"


def _numbers(text: str) -> tuple[int, ...]:
    from openvista.errors import InputError

    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--clicks {text!r}: write numbers of clicks, for example 1,3,5,10") from None


def _plan(
    card: "ModelCard | Sam2Card",
    listed: "DataList",
    protocol: str,
    mapping: list[str],
    only_in_slices: str,
    judging: tuple[list[str], str],
    choices: dict[str, Any],
) -> "tuple[Run, dict[int, str]]":
    """What is to be done, and the names of the structures; everything is checked before weights are read."""
    from openvista.anatomy.vocabulary import Vocabulary
    from openvista.datalist import map_labels
    from openvista.evaluate.protocols import check_model, find_protocol
    from openvista.evaluate.run import plan_run
    from openvista.inference.profiles import find_profile

    chosen = find_protocol(protocol)
    find_profile(choices["profile"])
    vocabulary = Vocabulary(card.class_ids, card.extra_classes, card.extra_aliases, model_name=card.name)
    labels = map_labels(listed, mapping, vocabulary)
    check_model(chosen, card, labels.new_names)
    extra = {**card.extra_classes, **labels.new_names}  # options may name what --map has just named
    asked = Vocabulary({*card.class_ids, *labels.new_names}, extra, card.extra_aliases, model_name=card.name)
    limited_ids = asked.expand(only_in_slices) if only_in_slices else []
    limited = [value for value, class_id in labels.classes.items() if class_id in limited_ids]
    run = plan_run(chosen, labels.classes, limited, _judge(labels, asked, *judging), **choices)
    names = {key: asked.name(key) for key in run.settings.class_ids}
    return run, names


def _judge(labels: "LabelMapping", vocabulary: "Vocabulary", tolerance: list[str], surface: str) -> "Scoring":
    from openvista.errors import InputError
    from openvista.evaluate.score import Scoring
    from openvista.metrics.masks import DEFAULT_TOLERANCE_MM, check_tolerance

    if surface not in ("elements", "voxels"):
        raise InputError(f"no surface {surface!r}: there is elements and voxels")
    usual, special = DEFAULT_TOLERANCE_MM, {}
    for text in tolerance:
        name, equals, value = text.rpartition("=")
        try:
            millimetres = check_tolerance(float(value))
        except ValueError:
            raise InputError(f"--tolerance {text!r}: write mm, or CLASS=mm, for example 'mandible=1'") from None
        if not equals:
            usual = millimetres
        elif (class_id := vocabulary.resolve(name)) in labels.classes.values():
            special[class_id] = millimetres
        else:
            raise InputError(f"--tolerance {text!r}: the data list has no such structure, so leave it out")
    return Scoring(usual, special, surface)  # type: ignore[arg-type]


def _work(
    engine: "Model | Sam2",
    cases: "tuple[Case, ...]",
    run: "Run",
    info: "RunInfo",
    shard: "Shard",
    folder: "EvaluationFolder | None",
    quiet: bool,
) -> "Results | None":
    """ScoredAnswer this process's cases; the first process gathers everybody's, the others return ``None``."""
    from openvista.evaluate.report.results import Results
    from openvista.evaluate.run import case_names, evaluate_case, work_in_folder

    named = case_names(cases)
    with bars(quiet) as bar:
        mine = shard.of(info.cases)
        task = bar.add_task("scans", total=len(mine))

        def done(name: str) -> None:
            bar.update(task, advance=1, description=name)

        if folder is None:
            records = []
            for name in mine:
                records.append(evaluate_case(engine, named[name], run, name))
                done(name)
            return Results(info, tuple(records))
        work_in_folder(folder, engine, named, run, done)
    if shard.rank > 0:
        return None
    folder.wait_for_others()
    return Results(info, tuple(folder.records()))


def _report(results: "Results", output: Path | None, quiet: bool) -> None:
    from openvista.cli.evaluation_tables import print_summary
    from openvista.evaluate.report.results import HTML_FILE, write_results

    if output is not None:
        write_results(output, results)
    if not quiet:
        print_summary(results)
        if output is not None:
            print(output / HTML_FILE)


def _command() -> str:
    """What the user typed."""
    import shlex
    import sys

    return shlex.join(["openvista", *sys.argv[1:]])
