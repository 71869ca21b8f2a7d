"""Options that several commands have: written once, so that a name and a letter mean the same everywhere.

A list is given by repeating its option. Where commas between the items were understood before, they still are:
:func:`joined`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from openvista.errors import InputError
from openvista.inference.profiles import Profile, find_profile
from openvista.io import DicomOptions
from openvista.io.paths import DICOM_FORMATS, FORMATS, known_format

Number = TypeVar("Number", int, float)

MODEL, PLACE, FILES, ALSO, DICOM = "Model", "Where the result lies", "Files and names", "Also written", "DICOM"
"""Panels of a command's help; what is in none of them is in the first."""
CT_HELP = "DICOM series (folder, zip, DICOMDIR or file), NIfTI, NRRD or MHA"
PRECISION = typer.Option(help="auto, float32, bfloat16, float16, int8.", rich_help_panel=MODEL)


class RunUnlessNamed(TyperGroup):
    """A group whose command ``run`` needs no word: ``evaluate DATALIST``, and ``evaluate compare A B`` beside it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if args and args[0] in self.commands else ["run", *args])


def model_option(text: str) -> Any:
    """``--model``, where it is more than a name or folder."""
    return typer.Option("-m", "--model", help=text, rich_help_panel=MODEL)


def output_option(text: str) -> Any:
    """``--output``: what is written differs from command to command."""
    return typer.Option("-o", "--output", help=text)


def joined(values: list[str] | None) -> str:
    """Items of a repeated option, and those between commas, as one text with commas between them."""
    return ",".join(values or ())


def three_numbers(
    text: str, option: str, kind: Callable[[str], Number], instead: str = ""
) -> tuple[Number, Number, Number]:
    """Three numbers above 0 with commas between them.

    Args:
        text: what the user gave.
        option: where.
        kind: int or float.
        instead: what else may be given, for the message.

    Raises:
        InputError: something else.
    """
    try:
        x, y, z = (kind(piece) for piece in text.split(","))
    except ValueError:
        example = "1.5,1.5,2" if kind is float else "96,96,64"
        raise InputError(f"{option} {text}: give {instead}three numbers, for example {example}") from None
    if not all(0 < each < float("inf") for each in (x, y, z)):
        raise InputError(f"{option} {text}: the numbers must be above 0")
    return x, y, z


def chosen_profile(
    profile: str, fast: bool, mode: str | None, overlap: float | None, everywhere: bool = False
) -> Profile:
    """What the options about windows say together.

    Raises:
        InputError: there is no such profile or value, or two profiles are given.
    """
    if fast and profile != "best":
        raise InputError(f"--fast is a profile, as is {profile}: give one of them")
    return find_profile("fast" if fast else profile).override(mode=mode, overlap=overlap, everywhere=everywhere or None)


def dicom_options(formats: list[str] | None, seg_type: str, keyhole: bool, keep_identifiers: bool) -> DicomOptions:
    """What the options about DICOM say together.

    Raises:
        OutputError: there is no such format.
        InputError: there is no such type of segmentation, or an option is for a format that is not asked for.
    """
    asked = [known_format(each) for each in formats or ()]
    if seg_type not in ("binary", "labelmap"):
        raise InputError(f"no --seg-type {seg_type!r}: there is binary and labelmap")
    if seg_type == "labelmap" and "dicom-seg" not in asked:
        raise InputError("--seg-type is for --format dicom-seg: ask for that, too")
    if keyhole and "dicom-rtstruct" not in asked:
        raise InputError("--keyhole is for --format dicom-rtstruct: ask for that, too")
    if keep_identifiers and not DICOM_FORMATS.keys() & asked:
        raise InputError(f"--keep-identifiers is for --format {', '.join(DICOM_FORMATS)}: ask for one of them, too")
    return DicomOptions(seg_type == "labelmap", keyhole, keep_identifiers)


ModelName = Annotated[str, model_option("Name, folder or checkpoint file; see 'openvista models'.")]
Device = Annotated[str, typer.Option("-d", "--device", help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=MODEL)]
Precision = Annotated[str, PRECISION]
Modality = Annotated[
    str | None,
    typer.Option(
        help="Of models for CT and MR: CT_BODY, MRI_BODY or MRI_BRAIN; says what 'all' is.", rich_help_panel=MODEL
    ),
]
Template = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="For MRI_BRAIN: align the brain to this image first (extra brain), and bring the result back.",
        rich_help_panel=MODEL,
    ),
]
ProfileName = Annotated[
    str, typer.Option("-p", "--profile", help="best, fast, bundle or research.", rich_help_panel=MODEL)
]
Fast = Annotated[bool, typer.Option("--fast", help="Profile fast: fewer windows, less time.", rich_help_panel=MODEL)]
WayBack = Annotated[
    str | None,
    typer.Option("--mode", help="smooth or exact: the way back to the scan's voxels.", rich_help_panel=MODEL),
]
WindowOverlap = Annotated[
    float | None,
    typer.Option("--overlap", help="Share of a window covered again by the next, 0..1.", rich_help_panel=MODEL),
]
Everywhere = Annotated[
    bool,
    typer.Option(
        "--everywhere",
        help="For few classes, too, all windows; not only those near what was found.",
        rich_help_panel=MODEL,
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse scans that do not look like CT.")]
Output = Annotated[
    Path | None,
    output_option(
        "A file (one scan) or a folder. Default: [cyan]<scan>_seg.nii.gz[/cyan] in the current folder.",
    ),
]
DicomSeries = Annotated[
    str | None,
    typer.Option(
        "--series",
        metavar="UID",
        help="Which DICOM series: UID or its beginning, number or description. Default: the CT.",
        rich_help_panel=DICOM,
    ),
]
FillGaps = Annotated[
    bool,
    typer.Option("--fill-gaps", help="Interpolate slices that are missing from a DICOM series.", rich_help_panel=DICOM),
]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help=f"{', '.join(FORMATS)}; repeatable. Default: by the ending of -o, or nii.gz.",
        rich_help_panel=FILES,
    ),
]
PerClass = Annotated[
    bool,
    typer.Option(
        "--per-class", help="A file per structure: [cyan]<scan>_seg/<structure>.nii.gz[/cyan].", rich_help_panel=FILES
    ),
]
Combine = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Structures as one: lung, left lung, right lung, kidney, bone, vertebrae, ribs, pelvis, adrenal glands; "
        "or NAME=CLASS+CLASS; repeatable.",
        rich_help_panel=FILES,
    ),
]
InPipeline = Annotated[
    bool, typer.Option("--pipeline/--no-pipeline", help="Read the next scan and write the last one meanwhile.")
]
SegType = Annotated[
    str,
    typer.Option(
        metavar="TYPE",
        help="Of dicom-seg: binary (every PACS takes it), or labelmap (newer, smaller).",
        rich_help_panel=DICOM,
    ),
]
Compress = Annotated[
    bool,
    typer.Option("--compress", help="Label maps (nii.gz) a third smaller, in more time.", rich_help_panel=FILES),
]
Keyhole = Annotated[
    bool,
    typer.Option(
        "--keyhole",
        help="dicom-rtstruct: reach holes through a channel, for systems that fill them.",
        rich_help_panel=DICOM,
    ),
]
KeepIdentifiers = Annotated[
    bool,
    typer.Option(
        "--keep-identifiers", help="DICOM results keep the patient's name, id and dates.", rich_help_panel=DICOM
    ),
]
Preview = Annotated[
    bool, typer.Option("--preview", help="Write a picture beside the result, a .png file.", rich_help_panel=ALSO)
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Mapping = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="LABEL=CLASS", help='Which class a label is: "1=spleen"; repeatable. Default: by name.'
    ),
]
DropUnlikely = Annotated[
    bool, typer.Option("--drop-unlikely", help="Leave out structures that are unlike those of training.")
]
Root = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder that the list's images and labels start from.")]
PseudoLabelRoot = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The same for pseudo_label, where it is read.")
]
SupervoxelRoot = Annotated[Path | None, typer.Option(metavar="DIR", help="The same for label_sv, where it is read.")]
LabelSet = Annotated[
    str | None,
    typer.Option(metavar="0,1,...", help="Label values, as in the original's configs; with --mapped-label-set."),
]
MappedLabelSet = Annotated[
    str | None, typer.Option(metavar="0,1,...", help="The class of each value of --label-set; 0 is the background.")
]
OnlyInSlices = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CLASS",
        help="A class marked along a part of its length only: unknown outside label_slices; repeatable.",
    ),
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe; repeatable.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in the run folder, exactly.")]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say what is decided; twice for details.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]
