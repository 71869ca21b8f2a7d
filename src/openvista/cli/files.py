"""What commands share about files: reading scans, where results go, writing them."""

from pathlib import Path
from typing import TYPE_CHECKING

from openvista.cli.console import say

if TYPE_CHECKING:
    from openvista.scan import Scan, Segmentation


def result_targets(scans: list[Path], output: Path | None) -> list[Path]:
    """Where each result goes, checked before anything is computed."""
    from openvista.errors import OutputError
    from openvista.io import check_output, result_path, scan_name
    from openvista.io.paths import find_image

    files = [find_image(path) for path in scans]
    folder = Path() if output is None else output
    if output is not None and (len(files) > 1 or not output.name.lower().endswith((".nii", ".gz", ".nrrd", ".mha"))):
        if output.exists() and not output.is_dir():
            raise OutputError(f"{output}: is a file; several scans need a folder")
        make_folder(output)
    targets = [result_path(folder, scan_name(file)) for file in files]
    for file, target in zip(files, targets, strict=True):
        check_output(target, file)
        if targets.count(target) > 1:
            raise OutputError(f"{target}: would be written for two scans of the same name; run them one by one")
    return targets


def make_folder(folder: Path) -> None:
    """Make a folder for results, and those above it.

    Raises:
        OutputError: it cannot be made.
    """
    from openvista.errors import OutputError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}; choose another folder") from None


def read_checked(path: Path, strict: bool) -> "Scan":
    """A scan; what looks odd about it is said, or refused if strict.

    Raises:
        ScanError: it cannot be read, or looks odd.
    """
    from openvista.errors import ScanError
    from openvista.io import check_scan, read_scan

    scan = read_scan(path)
    warnings = check_scan(scan)
    if warnings and strict:
        raise ScanError(f"{path}: {'; '.join(warning.message for warning in warnings)}")
    for warning in warnings:
        say("warning", f"{path}: {warning.message}")
    return scan


def write_result(result: "Segmentation", target: Path, table: bool, preview: bool, quiet: bool) -> None:
    """Write a label map, and its table and picture beside it, if wanted."""
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
