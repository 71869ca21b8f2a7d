"""``openvista segment``: CT in, label map out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openvista.cli.console import Quiet, Verbose, progress_bar, say, set_up_logging
from openvista.cli.files import read_checked, result_targets, write_result

if TYPE_CHECKING:
    from openvista.model import Model


def segment(
    scans: Annotated[
        list[Path], typer.Argument(metavar="CT...", help="NIfTI, NRRD or MHA files; or folders with one image each.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="A file (one scan) or a folder. Default: [cyan]<scan>_seg.nii.gz[/cyan] in the current folder.",
        ),
    ] = None,
    classes: Annotated[
        str, typer.Option("-c", "--classes", help='Names or ids, comma separated ("liver,spleen"), or "all".')
    ] = "all",
    model: Annotated[str, typer.Option("-m", "--model", help="Name or folder; see 'openvista models'.")] = "starter",
    device: Annotated[str, typer.Option("-d", "--device", help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    profile: Annotated[str, typer.Option("-p", "--profile", help="best, bundle or research.")] = "best",
    mode: Annotated[str | None, typer.Option(help="smooth or exact: the way back to the scan's voxels.")] = None,
    overlap: Annotated[float | None, typer.Option(help="Share of a window covered again by the next, 0..1.")] = None,
    table: Annotated[bool, typer.Option("--table", help="Print volumes and HU; write <scan>_seg.csv.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Write a picture, <scan>_seg.png.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse scans that do not look like CT.")] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Segment CT scans: every class the model knows, or those you name.

    The result lies on exactly the voxels of the scan; names and colours are in the file and in a .json beside it.

    Examples:

      openvista segment ct.nii.gz

      openvista segment ct.nii.gz -o out/ --classes "spinal cord,mandible" --table --preview

      openvista segment case1.nii.gz case2.nii.gz -o out/
    """
    set_up_logging(verbose, quiet)
    from openvista.errors import InputError
    from openvista.inference.profiles import find_profile

    choices = find_profile(profile).override(mode=mode, overlap=overlap)
    targets = result_targets(scans, output)
    engine = _load(model, device, precision, classes)
    failed = 0
    for path, target in zip(scans, targets, strict=True):
        try:
            scan = read_checked(path, strict)
            with progress_bar(scan.name, quiet) as report:
                result = engine.segment(scan, classes, profile=choices, progress=report)
            write_result(result, target, table, preview, quiet)
        except InputError as error:
            if len(scans) == 1:
                raise
            failed += 1
            say("error", error)
    if failed:
        raise InputError(f"{failed} of {len(scans)} scans could not be segmented; the others are done")


def _load(model: str, device: str, precision: str, classes: str) -> "Model":
    from openvista.model import load_model

    engine = load_model(model, device, precision)
    engine.vocabulary.expand(classes)  # an unknown name should not cost reading the scan
    return engine
