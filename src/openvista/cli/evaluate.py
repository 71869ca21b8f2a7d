"""``openvista evaluate``: how good a model is on labelled scans, and whether it is better than another."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from openvista.cli.console import bars, say, set_up_logging
from openvista.cli.list_options import list_roots, mapping_items
from openvista.cli.options import (
    Device,
    LabelSet,
    MappedLabelSet,
    Mapping,
    OnlyInSlices,
    Precision,
    ProfileName,
    PseudoLabelRoot,
    Quiet,
    Root,
    RunUnlessNamed,
    SupervoxelRoot,
    Verbose,
    joined,
    model_option,
    output_option,
)
from openvista.errors import InputError
from openvista.io.atomic import make_folder

if TYPE_CHECKING:
    from openvista.evaluate.evaluation import Evaluation


class _Run(TyperCommand):
    def format_usage(self, ctx: Any, formatter: Any) -> None:
        formatter.write_usage("openvista evaluate", "[OPTIONS] DATALIST")


app = typer.Typer(cls=RunUnlessNamed, help="Score a model on a data list; compare two runs.")


@app.command("run", cls=_Run, epilog="Two runs side by side, with a paired test: openvista evaluate compare A B")
def evaluate(
    datalist: Annotated[Path, typer.Argument(help="JSON data list with labels.")],
    model: Annotated[
        str, model_option("Name, folder or checkpoint file; see 'openvista models'. Of SAM 2: folder or hub name.")
    ] = "starter",
    protocol: Annotated[
        str, typer.Option("-P", "--protocol", help="How the model is asked: auto, clicks, ..., see above.")
    ] = "auto",
    output: Annotated[Path | None, output_option("Folder for scores.csv, scores.json and report.html.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder of -o.")] = False,
    split: Annotated[str, typer.Option(help='"testing", "training", or a fold of the training list: "fold 0".')] = (
        "testing"
    ),
    mapping: Mapping = None,
    root: Root = None,
    pseudo_label_root: PseudoLabelRoot = None,
    supervoxel_root: SupervoxelRoot = None,
    label_set: LabelSet = None,
    mapped_label_set: MappedLabelSet = None,
    only_in_slices: OnlyInSlices = None,
    clicks: Annotated[
        list[str] | None,
        typer.Option(metavar="N", help="A number of clicks to score, instead of the protocol's own; repeatable."),
    ] = None,
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
    profile: ProfileName = "best",
    device: Device = "auto",
    precision: Precision = "auto",
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Score a model on a data list; structures that nobody marked in a scan are not scored there.

    Protocols: auto (class prompts only); clicks (one object at a time by a simulated user, after 1, 3, 5 and 10
    clicks); corrections (the automatic result, then 1, 3 and 5 clicks in its largest errors); zero-shot-iterative (the
    same as clicks on objects whose class is not told, up to 80 clicks); cvpr25 (the challenge's: a box and five clicks
    per structure, all at once; see also 'openvista cvpr'); point-oracle and auto+point-oracle (the paper's tables, with
    clicks from the truth in every window); sam2-iterative (SAM 2, to compare with, on slices as a video: n is the
    number of slices clicked on).

    Examples:

      openvista evaluate data/dataset.json --only-in-slices "spinal cord" --only-in-slices esophagus -o runs/auto

      openvista evaluate data/dataset.json --split "fold 0" --tolerance 2 --tolerance mandible=1 -o runs/fold0

      openvista evaluate data/dataset.json --protocol clicks --clicks 1 --clicks 10 -o runs/clicks

      openvista evaluate data/dataset.json --protocol sam2-iterative --model facebook/sam2.1-hiera-large -o runs/sam2

      torchrun --nproc-per-node 2 -m openvista evaluate data/dataset.json -o runs/auto --resume

      openvista evaluate compare runs/auto runs/clicks
    """
    from openvista.evaluate.evaluation import Evaluation

    set_up_logging(verbose, quiet)
    choices: dict[str, Any] = {"profile": profile, "seed": seed, "variants": frozenset(habit or ())}
    asked = Evaluation(
        datalist=datalist,
        split=split,
        model=model,
        protocol=protocol,
        choices=choices | ({"clicks": _numbers(joined(clicks))} if clicks else {}),
        mapping=mapping_items(mapping, label_set, mapped_label_set),
        roots=list_roots(root, pseudo_label_root, supervoxel_root),
        only_in_slices=joined(only_in_slices),
        tolerances=tolerance or (),
        surface=surface,
        device=device,
        precision=precision,
        output=output,
        resume=resume,
    )
    _carry_out(asked, quiet)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Folder of a run, or its scores.json.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Folder of another run on the same data list.")],
    metric: Annotated[str, typer.Option(help="dice, nsd, hd95_mm or volume_error_percent.")] = "dice",
    output: Annotated[Path | None, output_option("Folder for compare.csv, compare.json and compare.html.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Two runs side by side: means, difference with its interval, and the Wilcoxon signed-rank test on pairs.

    Only scans and structures that both runs scored are compared.

    Example:

      openvista evaluate compare runs/starter runs/mine --metric nsd -o runs/starter-mine
    """
    from openvista.cli.evaluation_tables import print_comparison
    from openvista.evaluate.compare import compare_results, disagreements, write_comparison
    from openvista.evaluate.report.results import read_results

    set_up_logging(0, quiet)
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


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--clicks {text!r}: write numbers of clicks, for example 1,3,5,10") from None


def _carry_out(asked: "Evaluation", quiet: bool) -> None:
    from openvista.cli.evaluation_tables import print_summary
    from openvista.evaluate.evaluation import prepare_evaluation
    from openvista.evaluate.report.results import HTML_FILE, write_results

    prepared = prepare_evaluation(asked, shlex.join(["openvista", *sys.argv[1:]]))
    with bars(quiet or not prepared.ranks.is_first) as bar:
        task = bar.add_task("scans", total=prepared.share)
        results = prepared.work(lambda name: bar.update(task, advance=1, description=name))
    if results is None:
        return
    if asked.output is not None:
        write_results(asked.output, results)
    if not quiet:
        print_summary(results)
        if asked.output is not None:
            print(asked.output / HTML_FILE)
