"""``openvista click``: one-off and scripted clicks."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openvista.cli.console import Quiet, Verbose, progress_bar, say, set_up_logging
from openvista.cli.files import read_checked, result_targets, write_result

if TYPE_CHECKING:
    from openvista.session.answer import Answer
    from openvista.session.session import Session


@dataclass(frozen=True)
class Asked:
    """The prompts of one command, and the object that they are for.

    Attributes:
        at, boxes, scribbles, lassos: as written.
        object: an existing object or a class; ``None`` for the unnamed one.
        new: name of a new object instead.
        world: clicks are in mm.
        choices: grow and automatic, where given.
    """

    at: list[str]
    boxes: list[str]
    scribbles: list[str]
    lassos: list[str]
    object: str | None
    new: str | None
    world: bool
    choices: dict[str, bool]

    def __bool__(self) -> bool:
        return bool(self.at or self.boxes or self.scribbles or self.lassos)


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
    str, typer.Option(help="Who gets a voxel of several objects: order (later on top), logit, or layers (files).")
]


def click(
    scan: Annotated[Path, typer.Argument(metavar="CT", help="NIfTI, NRRD or MHA file, or a folder with one image.")],
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
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File or folder, as for segment.")] = None,
    model: Annotated[str, typer.Option("-m", "--model", help="Name or folder; see 'openvista models'.")] = "starter",
    device: Annotated[str, typer.Option("-d", "--device", help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    profile: Annotated[str, typer.Option("-p", "--profile", help="best, bundle or research.")] = "best",
    preview: Annotated[bool, typer.Option("--preview", help="Write a picture beside the result.")] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Segment by clicks: something without a name, something new, or a correction of what was found automatically.

    The mask grows into neighbouring windows until the object ends. What a click cannot do is said, such as a click in
    air or outside the scan.

    Examples:

      openvista click ct.nii.gz --at 120,88,40 --new lesion -o lesion.nii.gz

      openvista click ct.nii.gz --class "spinal cord" --at 61,40,55,- --at 60,38,55 --session case.ovsession

      openvista click ct.nii.gz --start organs.nii.gz --class liver --at 90,71,33,-

      openvista click ct.nii.gz --replay log.json -o again.nii.gz
    """
    set_up_logging(verbose, quiet)
    from openvista.errors import InputError, PromptError

    given = {"grow": grow, "automatic": automatic}
    choices = {key: value for key, value in given.items() if value is not None}
    asked = Asked(at or [], box or [], scribble or [], lasso or [], class_name, new, world, choices)
    if class_name is not None and new is not None:
        raise PromptError("--class and --new are two objects: give one of them")
    if not asked and replay is None and not undo and not (session and session.exists()):
        raise InputError("nothing is asked: give --at X,Y,Z, another prompt, or --replay LOG")
    _check_prompts(asked)
    (target,) = result_targets([scan], output)
    if overlap not in ("order", "logit", "layers"):
        raise InputError(f"no overlap policy {overlap!r}: there is order, logit, layers")
    from openvista.model import load_model

    engine = load_model(model, device, precision)
    image = read_checked(scan, strict=False)
    work = engine.open(image, session if session and session.exists() else None, profile=profile)
    with progress_bar(image.name, quiet) as report:
        answers = _work(work, start, replay, undo, asked, report)
    _tell(answers, quiet)
    _save(work, target, overlap, preview, quiet, session, log)


def _check_prompts(asked: Asked) -> None:
    """Typing errors should not cost reading the weights."""
    from openvista.cli.drawn_text import parse_box, parse_lasso, parse_scribble
    from openvista.errors import PromptError
    from openvista.prompts import parse_click

    for parse, texts in (
        (parse_click, asked.at),
        (parse_box, asked.boxes),
        (parse_scribble, asked.scribbles),
        (parse_lasso, asked.lassos),
    ):
        for text in texts:
            parse(text)
    if asked.world and (asked.boxes or asked.scribbles or asked.lassos):
        raise PromptError("--world is for --at only: give boxes, scribbles and lassos in voxels")


def _work(
    work: "Session", start: Path | None, replay: Path | None, undo: int, asked: Asked, report: Any
) -> "list[Answer]":
    """Start, replay, undo, then the prompts."""
    from openvista.io import read_segmentation
    from openvista.io.session_file import read_log
    from openvista.session.replay import replay as play

    brought = work.start_from(read_segmentation(start)) if start is not None else []
    answers = play(work, read_log(replay), report) if replay is not None else []
    for _ in range(undo):
        if not work.undo():
            break
    if asked:
        answers += _ask(work, asked, report)
    for item in brought:  # a correction of one structure leaves the others alone
        if not item.clicks:
            work.change(item, locked=True)
    return answers


def _ask(work: "Session", asked: Asked, report: Any) -> "list[Answer]":
    from openvista.cli.drawn_text import parse_box, parse_lasso, parse_scribble
    from openvista.prompts import parse_click

    target: Any = asked.object if asked.new is None else work.new_object(asked.new)
    choices: dict[str, Any] = {**asked.choices, "progress": report}
    answers = []
    if asked.at:
        answers.append(work.clicks([parse_click(text) for text in asked.at], target, world=asked.world, **choices))
    for text in asked.boxes:
        ranges, positive = parse_box(text)
        answers.append(work.box(ranges, target, positive, **choices))
    for text in asked.scribbles:
        points, positive = parse_scribble(text)
        answers.append(work.scribble(points, target, positive, **choices))
    for text in asked.lassos:
        contour, positive = parse_lasso(text)
        answers.append(work.lasso(contour, target, positive, **choices))
    return answers


def _tell(answers: "list[Answer]", quiet: bool) -> None:
    """Say what was surprising; refuse when no prompt could be used at all."""
    from openvista.errors import PromptError

    notes = [note for answer in answers for note in answer.notes]
    if answers and not any(answer.clicks for answer in answers):
        raise PromptError("; ".join(notes) or "no click could be used")
    if not quiet:
        for note in notes:
            say("note", note)


def _save(
    work: "Session", target: Path, overlap: str, preview: bool, quiet: bool, session: Path | None, log: Path | None
) -> None:
    from openvista.io.paths import image_suffix, scan_name
    from openvista.io.session_file import write_log
    from openvista.session.replay import log_of

    if overlap == "layers":
        for number, layer in enumerate(work.layers(), start=1):
            name = f"{scan_name(target)}_{number}{image_suffix(target)}"
            write_result(layer, target if number == 1 else target.with_name(name), False, preview, quiet)
    else:
        write_result(work.segmentation(overlap), target, False, preview, quiet)
    if session is not None:
        work.save(session)
    if log is not None:
        write_log(log_of(work), log)
