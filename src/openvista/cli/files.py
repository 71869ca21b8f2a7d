"""What commands share about files: where results go, reading scans, writing results."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from openvista.cli.console import say
from openvista.errors import InputError, OutputError, ScanError
from openvista.io import check_output, check_scan, read_scan, result_path, scan_name
from openvista.io.atomic import make_folder, write_text
from openvista.io.paths import find_image
from openvista.report.preview import write_preview
from openvista.report.table import rich_table, table_csv
from openvista.scan import Scan, Segmentation

Item = TypeVar("Item")


def result_targets(scans: list[Path], output: Path | None) -> list[Path]:
    """Where each result goes, checked before anything is computed."""
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


def check_folder(folder: Path) -> None:
    """Make sure that what is to be a folder is not a file.

    Raises:
        OutputError: it is one.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; give a folder")


def work_on_each(items: Sequence[Item], work: Callable[[Item], None], failure: str) -> None:
    """Work on every item; what is wrong with one is said, and does not stop the others.

    Args:
        items: such as files.
        work: called with each.
        failure: "2 of 3 ..." are how many could not be worked on: "scans could not be segmented".

    Raises:
        InputError: there was something wrong with an item.
    """
    failed = 0
    for item in items:
        try:
            work(item)
        except InputError as error:
            if len(items) == 1:
                raise
            failed += 1
            say("error", error)
    if failed:
        raise InputError(f"{failed} of {len(items)} {failure}; the others are done")


def read_checked(path: Path, strict: bool, series: str | None = None, fill_gaps: bool = False) -> Scan:
    """A scan, see :func:`openvista.io.read_scan`; what looks odd about it is said, or refused if strict.

    Raises:
        ScanError: it cannot be read, or looks odd.
    """
    scan = read_scan(path, series=series, fill_gaps=fill_gaps)
    warnings = check_scan(scan)
    if warnings and strict:
        raise ScanError(f"{path}: {'; '.join(warning.message for warning in warnings)}")
    for warning in warnings:
        say("warning", f"{path}: {warning.message}")
    return scan


def write_result(result: Segmentation, target: Path, table: bool, preview: bool, quiet: bool) -> None:
    """Write a label map, and its table and picture beside it, if wanted."""
    written = result.save(target)
    stem = written.with_name(scan_name(written))
    if table:
        rows = result.table()
        write_text(stem.with_name(f"{stem.name}.csv"), table_csv(rows))
        if not quiet:
            Console().print(rich_table(rows, title=result.scan.name if result.scan else None))
    if preview:
        write_preview(result, stem.with_name(f"{stem.name}.png"))
    if not quiet:
        print(written)
