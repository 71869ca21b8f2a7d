"""``openvista segment``: CT in, label map out."""

from pathlib import Path
from typing import Annotated

import typer

import openvista
from openvista.cli.console import progress_bar, set_up_logging
from openvista.cli.files import read_checked, result_targets, work_on_each, write_result
from openvista.cli.options import (
    CT_HELP,
    Device,
    DicomSeries,
    FillGaps,
    ModelName,
    Output,
    Precision,
    Preview,
    ProfileName,
    Quiet,
    Verbose,
    joined,
)
from openvista.inference.profiles import find_profile


def segment(
    scans: Annotated[list[Path], typer.Argument(metavar="CT...", help=f"{CT_HELP}; or folders with one image each.")],
    output: Output = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "-c",
            "--classes",
            "--class",
            metavar="CLASS",
            help='Name or id ("liver"), or "all"; repeatable. Default: all.',
        ),
    ] = None,
    model: ModelName = "starter",
    device: Device = "auto",
    precision: Precision = "auto",
    profile: ProfileName = "best",
    mode: Annotated[str | None, typer.Option(help="smooth or exact: the way back to the scan's voxels.")] = None,
    overlap: Annotated[float | None, typer.Option(help="Share of a window covered again by the next, 0..1.")] = None,
    table: Annotated[bool, typer.Option("--table", help="Print volumes and HU; write <scan>_seg.csv.")] = False,
    preview: Preview = False,
    series: DicomSeries = None,
    fill_gaps: FillGaps = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse scans that do not look like CT.")] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Segment CT scans: every class the model knows, or those you name.

    The result lies on exactly the voxels of the scan; names and colours are in the file and in a .json beside it.

    Examples:

      openvista segment ct.nii.gz

      openvista segment ct.nii.gz -o out/ --class "spinal cord" --class mandible --table --preview

      openvista segment dicom/ -o out/ --series 1.2.840.113704.1

      openvista segment case1.nii.gz case2.nii.gz -o out/
    """
    set_up_logging(verbose, quiet)
    choices = find_profile(profile).override(mode=mode, overlap=overlap)
    targets = dict(zip(scans, result_targets(scans, output), strict=True))
    asked = "all" if classes is None else joined(classes)
    engine = openvista.load_model(model, device, precision)
    engine.vocabulary.expand(asked)  # an unknown name should not cost reading the scan

    def work(path: Path) -> None:
        scan = read_checked(path, strict, series, fill_gaps)
        with progress_bar(scan.name, quiet) as progress:
            result = engine.segment(scan, asked, profile=choices, progress=progress)
        write_result(result, targets[path], table, preview, quiet)

    work_on_each(scans, work, "scans could not be segmented")
