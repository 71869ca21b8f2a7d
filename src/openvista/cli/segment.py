"""``openvista segment``: CT in, label map out."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import openvista
from openvista.cli.console import progress_bar, set_up_logging
from openvista.cli.files import read_checked, result_targets, work_on_each, write_result
from openvista.cli.list_options import listed_images
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
    Root,
    Verbose,
    joined,
)
from openvista.errors import InputError
from openvista.inference.profiles import find_profile
from openvista.io.paths import scan_name

if TYPE_CHECKING:
    from openvista.distributed import Ranks


def segment(
    scans: Annotated[
        list[Path],
        typer.Argument(metavar="CT...", help=f"{CT_HELP}; or folders with one image each; or data lists."),
    ],
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
    root: Root = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also <result>_probabilities/<class>.nii.gz: uint8, 255 is 1.")
    ] = False,
    logits: Annotated[bool, typer.Option("--logits", help="Also <result>_logits/<class>.nii.gz, float32.")] = False,
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

      openvista segment ct.nii.gz --class liver --probabilities

      torchrun --nproc-per-node 2 -m openvista segment dataset.json -o out/
    """
    set_up_logging(verbose, quiet)
    choices = find_profile(profile).override(mode=mode, overlap=overlap)
    if probabilities and logits:
        raise InputError("--probabilities and --logits are two answers: give one of them")
    maps = "probabilities" if probabilities else "logits" if logits else None
    scans = listed_images(scans, root)
    targets = dict(zip(scans, result_targets(scans, output), strict=True))
    asked = "all" if classes is None else joined(classes)

    def begin(ranks: "Ranks") -> Callable[[Path], None]:
        engine = openvista.load_model(model, ranks.own_device(device), precision)
        engine.vocabulary.expand(asked)  # an unknown name should not cost reading the scan

        def work(path: Path) -> None:
            scan = read_checked(path, strict, series, fill_gaps)
            with progress_bar(scan.name, quiet or not ranks.is_first) as progress:
                result = engine.segment(scan, asked, profile=choices, class_maps=maps, progress=progress)
            write_result(result, targets[path], table, preview, quiet)
            if result.class_maps is not None:
                stem = scan_name(targets[path])
                result.class_maps.save(targets[path].with_name(f"{stem}_{maps}"))

        return work

    _share_out(scans, begin)


def _share_out(scans: list[Path], begin: "Callable[[Ranks], Callable[[Path], None]]") -> None:
    """Every process that torchrun started segments its share; none ends before all are done, or torchrun ends those."""
    from openvista.distributed import joined_ranks

    with joined_ranks("cpu") as ranks:
        work, failed = begin(ranks), None
        try:
            work_on_each(ranks.share(scans), work, "scans could not be segmented")
        except InputError as error:
            failed = error
        ranks.barrier()
    if failed is not None:
        raise failed
