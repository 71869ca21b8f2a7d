"""``openvista segment``: CT in, label map out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openvista.cli.console import Quiet, Verbose, error_console, progress_bar, set_up_logging

if TYPE_CHECKING:
    from openvista.inference.model import Model
    from openvista.scan import Scan, Segmentation


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
    targets = _targets(scans, output)
    engine = _load(model, device, precision, classes)
    failed = 0
    for path, target in zip(scans, targets, strict=True):
        try:
            scan = _read(path, strict)
            with progress_bar(scan.name, quiet) as report:
                result = engine.segment(scan, classes, profile=choices, progress=report)
            _write(result, target, table, preview, quiet)
        except InputError as error:
            if len(scans) == 1:
                raise
            failed += 1
            error_console().print(f"openvista: error: {error}", markup=False, soft_wrap=True)
    if failed:
        raise InputError(f"{failed} of {len(scans)} scans could not be segmented; the others are done")


def _targets(scans: list[Path], output: Path | None) -> list[Path]:
    """Where each result goes, checked before anything is computed."""
    from openvista.errors import OutputError
    from openvista.io import check_output, result_path, scan_name
    from openvista.io.paths import find_image

    files = [find_image(path) for path in scans]
    folder = Path() if output is None else output
    if output is not None and (len(files) > 1 or not output.name.lower().endswith((".nii", ".gz", ".nrrd", ".mha"))):
        if output.exists() and not output.is_dir():
            raise OutputError(f"{output}: is a file; several scans need a folder")
        _make_folder(output)
    targets = [result_path(folder, scan_name(file)) for file in files]
    for file, target in zip(files, targets, strict=True):
        check_output(target, file)
        if targets.count(target) > 1:
            raise OutputError(f"{target}: would be written for two scans of the same name; run them one by one")
    return targets


def _make_folder(folder: Path) -> None:
    from openvista.errors import OutputError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}; choose another folder") from None


def _load(model: str, device: str, precision: str, classes: str) -> "Model":
    from openvista.inference.model import load_model

    engine = load_model(model, device, precision)
    engine.vocabulary.expand(classes)  # an unknown name should not cost reading the scan
    return engine


def _read(path: Path, strict: bool) -> "Scan":
    from openvista.errors import ScanError
    from openvista.io import check_scan, read_scan

    scan = read_scan(path)
    warnings = check_scan(scan)
    if warnings and strict:
        raise ScanError(f"{path}: {'; '.join(warning.message for warning in warnings)}")
    for warning in warnings:
        error_console().print(f"openvista: warning: {path}: {warning.message}", markup=False, soft_wrap=True)
    return scan


def _write(result: "Segmentation", target: Path, table: bool, preview: bool, quiet: bool) -> None:
    from rich.console import Console

    from openvista.io import replacing
    from openvista.io.paths import scan_name
    from openvista.report.table import rich_table, table_csv

    written = result.save(target)
    stem = written.with_name(scan_name(written))
    if table:
        rows = result.table()
        with replacing(stem.with_name(f"{stem.name}.csv")) as temporary:
            temporary.write_text(table_csv(rows), encoding="utf-8")
        if not quiet:
            Console().print(rich_table(rows, title=result.scan.name if result.scan else None))
    if preview:
        from openvista.report.preview import write_preview

        write_preview(result, stem.with_name(f"{stem.name}.png"))
    if not quiet:
        print(written)
