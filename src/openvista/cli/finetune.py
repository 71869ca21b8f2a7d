"""``openvista finetune``: a data list and a model in, a model for your structures out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from openvista.cli.console import counting_bar, set_up_logging
from openvista.cli.list_options import list_roots, mapping_items
from openvista.cli.options import (
    LabelSet,
    MappedLabelSet,
    Mapping,
    OnlyInSlices,
    PseudoLabelRoot,
    Quiet,
    Root,
    Settings,
    SupervoxelRoot,
    Verbose,
    joined,
    model_option,
    output_option,
    three_numbers,
)
from openvista.errors import RecipeError
from openvista.geometry.grid import Axis3, Float3
from openvista.memory import retain_heap
from openvista.train.yaml_keys import parse_settings
from openvista.weights import ModelFolder

if TYPE_CHECKING:
    from openvista.train.finetune.other_plans import OtherPlan
    from openvista.train.finetune.plan import FinetunePlan
    from openvista.train.finetune.recipe import FinetuneRequest

PlanFrom = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Spacing and patch as nnU-Net or Auto3DSeg planned them there.")
]


def finetune(
    datalist: Annotated[Path, typer.Argument(help="JSON data list; 'openvista datalist make' writes one.")],
    mapping: Mapping = None,
    root: Root = None,
    pseudo_label_root: PseudoLabelRoot = None,
    supervoxel_root: SupervoxelRoot = None,
    label_set: LabelSet = None,
    mapped_label_set: MappedLabelSet = None,
    model: Annotated[str, model_option("What to start from; see 'openvista models'.")] = "starter",
    shots: Annotated[
        int | None, typer.Option(help="Learn from this many scans, chosen by the seed. Default: all.")
    ] = None,
    fold: Annotated[
        str, typer.Option(help="Fold that chooses the checkpoint; auto (0, or a fifth), or none.")
    ] = "auto",
    spacing: Annotated[
        str, typer.Option(metavar="auto|keep|X,Y,Z", help="Voxel size in mm; keep: the data's.")
    ] = "auto",
    patch: Annotated[str, typer.Option(metavar="auto|X,Y,Z", help="Voxels of a patch.")] = "auto",
    plan_from: PlanFrom = None,
    branches: Annotated[str, typer.Option(help="auto (what the model has), automatic, point or both.")] = "auto",
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps. Default: 200 epochs.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this many minutes at the latest.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak. Default: 5e-5 for vista3d.")] = None,
    only_in_slices: OnlyInSlices = None,
    one_piece: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS",
            help="A new class that is one connected thing: stray pieces of it are left out; repeatable.",
        ),
    ] = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="Also show left and right swapped.")] = False,
    keep_classes: Annotated[
        bool, typer.Option("--keep-classes", help="Go on answering for the model's other classes, untrained.")
    ] = False,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Random weights, for comparison.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of scans and of training.")] = 0,
    settings: Settings = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the run folder, exactly; its own plan holds.")
    ] = False,
    output: Annotated[Path | None, output_option("Run folder. Default: [cyan]runs/<model>-finetuned[/cyan].")] = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Teach a model your structures; the result in RUN/model is what --model takes.

    LABEL is a value or name of the data list. CLASS is a name or id of 'openvista classes', "new" for a structure
    that has none, or "new:NAME". -v tells which scans, spacing and patch are chosen, and why.

    Examples:

      openvista finetune Task09_Spleen/dataset.json --map "spleen=spleen" --minutes 30 -o runs/spleen

      openvista finetune data.json --map "1=new:plexus" --map "2=left kidney" --one-piece plexus --shots 5 -v

      openvista finetune tumours.json --map "1=new:sarcoma" --set start_share=0.5 --set "augmentation={zoom: 0.6}"

      openvista finetune mice.json --map "1=liver" --spacing keep --patch 96,96,64 -o runs/mice

      openvista finetune data.json --map "1=liver" --plan-from nnUNet_preprocessed/Dataset003_Liver -o runs/liver

      openvista finetune data.json --map "spleen=spleen" -o runs/spleen --resume

      torchrun --nproc-per-node 2 -m openvista finetune data.json --map "spleen=spleen" -o runs/spleen

      openvista segment CT.nii.gz --model runs/spleen/model
    """
    from openvista.train.finetune.other_plans import read_other_plan
    from openvista.train.finetune.recipe import FinetuneRequest

    chosen = parse_settings(settings or [])
    _check_kept(keep_classes, chosen)
    planned = None if plan_from is None else read_other_plan(plan_from)
    request = FinetuneRequest(
        datalist=datalist,
        mapping=mapping_items(mapping, label_set, mapped_label_set),
        roots=list_roots(root, pseudo_label_root, supervoxel_root),
        model=model,
        shots=shots,
        fold=fold,
        spacing=_spacing(spacing, planned),
        patch=_patch(patch, planned),
        branches=branches,
        only_in_slices=joined(only_in_slices),
        one_piece=joined(one_piece),
        mirror=mirror,
        from_scratch=from_scratch,
        learning_rate=learning_rate,
        steps=steps,
        minutes=minutes,
        seed=seed,
        settings=chosen,
    )
    folder = output or Path("runs") / f"{Path(model).resolve().name}-finetuned"
    _run(request, folder, keep_classes, resume, verbose, quiet)


def _run(request: "FinetuneRequest", folder: Path, keep_classes: bool, resume: bool, verbose: int, quiet: bool) -> None:
    """The first process plans; all train; the first one exports. What torchrun starts anew goes on."""
    from openvista.cli.training import train_with_bar
    from openvista.distributed import joined_ranks
    from openvista.train.finetune.plan import export_finetuned, plan_finetune, planned_recipe
    from openvista.train.finetune.recipe import chosen_device

    with joined_ranks(chosen_device(request)) as ranks:
        quiet = quiet or not ranks.is_first
        set_up_logging(verbose, quiet)
        plan = None
        if ranks.is_first:
            with counting_bar("checking cases", quiet) as begin:
                plan = plan_finetune(request, folder, begin, ranks, resume)
        ranks.barrier()
        retain_heap()
        network = train_with_bar(plan.recipe if plan else planned_recipe(folder), folder, ranks, quiet, resume)
        if plan is not None:
            _report(export_finetuned(network, plan, folder, keep_classes), plan, quiet)


def _check_kept(keep_classes: bool, settings: dict[str, Any]) -> None:
    if keep_classes and settings.get("start_share", 1) != 1:
        raise RecipeError(
            f"--keep-classes: with start_share {settings['start_share']} the other classes are forgotten; leave one out"
        )


def _spacing(text: str, planned: "OtherPlan | None") -> str | Float3:
    if text == "auto" and planned is not None:
        return planned.spacing
    return text if text in ("auto", "keep") else three_numbers(text, "--spacing", float, "'auto', 'keep' or ")


def _patch(text: str, planned: "OtherPlan | None") -> str | Axis3:
    if text == "auto" and planned is not None:
        return planned.patch
    return text if text == "auto" else three_numbers(text, "--patch", int, "'auto' or ")


def _report(written: ModelFolder, plan: "FinetunePlan", quiet: bool) -> None:
    """What came out and what was left out."""
    if quiet:
        return
    console = Console(soft_wrap=True, highlight=False)
    for kind, text in (("validation_dice", "class prompts"), ("one_click_dice", "one click")):
        for class_id, dice in dict(written.card.metrics.get(kind, {}).get("dice", {})).items():
            name = plan.names[int(class_id)]
            console.print(f"{class_id:>4}  {name}: Dice {dice:.3f} on the held-out scans, {text}", markup=False)
    shots = plan.shots
    counts = f"learnt from {len(shots.training)} of {shots.available} scans, {len(shots.held_out)} held out"
    console.print(f"{counts}, {len(shots.skipped)} skipped", markup=False)
    for case in shots.skipped:
        console.print(f"skipped {case.name}: {case.reason}", markup=False)
    console.print(f"openvista segment CT.nii.gz --model {written.path}", markup=False)
    print(written.path)
