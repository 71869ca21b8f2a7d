"""``openvista click``: one-off and scripted clicks."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import openvista
from openvista.cli.console import load_nibabel, progress_bar, say, set_up_logging
from openvista.cli.drawn_text import Contour, Points, Ranges, parse_box, parse_lasso, parse_scribble
from openvista.cli.files import read_checked, result_files, write_layers
from openvista.cli.options import (
    CT_HELP,
    Device,
    DicomSeries,
    FillGaps,
    Formats,
    KeepIdentifiers,
    Keyhole,
    ModelName,
    Output,
    Precision,
    Preview,
    ProfileName,
    Quiet,
    SegType,
    Verbose,
    dicom_options,
)
from openvista.errors import InputError, PromptError
from openvista.io import read_segmentation
from openvista.io.session_file import read_log, write_log
from openvista.prompts import Click, parse_click

if TYPE_CHECKING:
    from openvista.session.answer import Answer
    from openvista.session.session import ObjectRef, Session


@dataclass(frozen=True)
class GivenPrompts:
    """The prompts of one command, as :mod:`openvista.cli.drawn_text` reads them.

    Attributes:
        clicks: in voxels, or in mm if ``world``.
        boxes, scribbles, lassos: each with its sign.
        world: clicks are in mm.
    """

    clicks: list[Click]
    boxes: list[tuple[Ranges, bool]]
    scribbles: list[tuple[Points, bool]]
    lassos: list[tuple[Contour, bool]]
    world: bool

    def __bool__(self) -> bool:
        return bool(self.clicks or self.boxes or self.scribbles or self.lassos)

    def give(self, work: "Session", target: "ObjectRef | None", **choices: Any) -> list["Answer"]:
        """Have them answered, all on one object."""
        answers = [work.clicks(self.clicks, target, world=self.world, **choices)] if self.clicks else []
        answers += [work.box(ranges, target, positive, **choices) for ranges, positive in self.boxes]
        answers += [work.scribble(points, target, positive, **choices) for points, positive in self.scribbles]
        return answers + [work.lasso(contour, target, positive, **choices) for contour, positive in self.lassos]


At = Annotated[
    list[str] | None,
    typer.Option("--at", metavar="X,Y,Z[,-]", help="A click in voxels; [cyan],-[/cyan] for a negative one."),
]
ClassName = Annotated[
    str | None, typer.Option("-c", "--class", help="The object: a class, or one of the session. Default: unnamed.")
]
New = Annotated[str | None, typer.Option("--new", metavar="NAME", help="A new object (zero-shot).")]
Box = Annotated[
    list[str] | None, typer.Option("--box", metavar="X1,X2,Y1,Y2,Z1,Z2[,-]", help="Half-open; also on a slice.")
]
Scribble = Annotated[list[str] | None, typer.Option("--scribble", metavar="X,Y,Z;X,Y,Z;...[;-]", help="A stroke.")]
Lasso = Annotated[
    list[str] | None, typer.Option("--lasso", metavar="z=15;X,Y;X,Y;X,Y[;-]", help="A closed contour on a slice.")
]
Start = Annotated[
    Path | None, typer.Option("--start", metavar="FILE", help="Correct this segmentation; the rest of it is locked.")
]
SessionFile = Annotated[
    Path | None, typer.Option("--session", metavar="FILE", help="Go on with this .ovsession, and save it there.")
]
Replay = Annotated[
    Path | None, typer.Option("--replay", metavar="FILE", help="Do what a log or session did, before the prompts.")
]
Log = Annotated[Path | None, typer.Option("--log", metavar="FILE", help="Write what was done, for --replay.")]
Undo = Annotated[int, typer.Option("--undo", metavar="N", min=0, help="Take back N changes of the session first.")]
Grow = Annotated[
    bool | None, typer.Option("--grow/--no-grow", help="Go on into neighbouring windows. Default: the profile's.")
]
Automatic = Annotated[
    bool | None,
    typer.Option("--automatic/--no-automatic", help="A class starts from its automatic result. Default: if possible."),
]
Overlap = Annotated[
    str,
    typer.Option(
        help="Which of several objects gets a voxel: order (later on top), logit, or layers (each keeps all)."
    ),
]


def click(
    scan: Annotated[Path, typer.Argument(metavar="CT", help=f"{CT_HELP}; or a folder with one image.")],
    at: At = None,
    class_name: ClassName = None,
    new: New = None,
    box: Box = None,
    scribble: Scribble = None,
    lasso: Lasso = None,
    world: Annotated[bool, typer.Option("--world", help="Clicks are in mm, RAS+ as in the NIfTI header.")] = False,
    start: Start = None,
    session: SessionFile = None,
    replay: Replay = None,
    log: Log = None,
    undo: Undo = 0,
    grow: Grow = None,
    automatic: Automatic = None,
    overlap: Overlap = "order",
    output: Output = None,
    model: ModelName = "starter",
    device: Device = "auto",
    precision: Precision = "auto",
    profile: ProfileName = "best",
    series: DicomSeries = None,
    fill_gaps: FillGaps = False,
    preview: Preview = False,
    format: Formats = None,
    seg_type: SegType = "binary",
    keyhole: Keyhole = False,
    keep_identifiers: KeepIdentifiers = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Segment by clicks: something without a name, something new, or a correction of what was found automatically.

    The mask grows into neighbouring windows until the object ends. You are told of clicks that cannot be used, such as
    one in air or outside the scan.

    Examples:

      openvista click ct.nii.gz --at 120,88,40 --new lesion -o lesion.nii.gz

      openvista click ct.nii.gz --class brainstem --at 60,36,111,- --at 59,33,93 --session case.ovsession

      openvista click ct.nii.gz --start organs.nii.gz --class liver --at 90,71,33,-

      openvista click ct.nii.gz --replay log.json -o again.nii.gz
    """
    set_up_logging(verbose, quiet)
    if class_name is not None and new is not None:
        raise PromptError("--class and --new are two objects: give one of them")
    prompts = GivenPrompts(
        [parse_click(text) for text in at or ()],
        [parse_box(text) for text in box or ()],
        [parse_scribble(text) for text in scribble or ()],
        [parse_lasso(text) for text in lasso or ()],
        world,
    )
    if world and (box or scribble or lasso):
        raise PromptError("--world is for --at only: give boxes, scribbles and lassos in voxels")
    known = session is not None and session.exists()
    if not prompts and replay is None and not undo and not known:
        raise InputError("nothing is asked: give --at X,Y,Z, another prompt, or --replay LOG")
    options = dicom_options(format, seg_type, keyhole, keep_identifiers)
    load_nibabel()
    (files,) = result_files([scan], output, format or ())
    if overlap not in ("order", "logit", "layers"):
        raise InputError(f"no overlap policy {overlap!r}: there is order, logit, layers")
    engine = openvista.load_model(model, device, precision)
    image = read_checked(scan, False, series, fill_gaps, engine.modality)
    files.check(image)
    from openvista.session import replay as logs

    work = engine.open(image, session if known else None, profile=profile)
    with progress_bar(image.name, quiet) as progress:
        existing = None if start is None else read_segmentation(start, scan_grid=image.grid, apart=True)
        brought = [] if existing is None else work.start_from(existing)
        answers = logs.replay(work, read_log(replay), progress) if replay is not None else []
        for _ in range(undo):
            if not work.undo():
                break
        if prompts:
            target_object: ObjectRef | None = class_name if new is None else work.new_object(new)
            answers += prompts.give(work, target_object, grow=grow, automatic=automatic, progress=progress)
        for item in brought:  # a correction of one structure leaves the others alone
            if not item.clicks:
                work.change(item, locked=True)
    _tell(answers, quiet)
    layers = work.layers() if overlap == "layers" else [work.segmentation(overlap)]
    write_layers(layers, files, preview=preview, quiet=quiet, options=options)
    if session is not None:
        work.save(session)
    if log is not None:
        write_log(logs.log_of(work), log)


def _tell(answers: list["Answer"], quiet: bool) -> None:
    """Say what was surprising; refuse when no prompt could be used at all."""
    notes = [note for answer in answers for note in answer.notes]
    if answers and not any(answer.clicks for answer in answers):
        raise PromptError("; ".join(notes) or "no click could be used")
    if not quiet:
        for note in notes:
            say("note", note)
