"""What commands share about files: where results go, reading scans, writing results."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from rich.console import Console

from openvista.cli.console import say
from openvista.cohort.failures import MEMORY, failure_of
from openvista.errors import InputError, OutputError, ScanError
from openvista.io import (
    DicomOptions,
    check_dicom_source,
    check_output,
    check_scan,
    read_scan,
    result_path,
    scan_name,
    write_per_class,
    write_segmentation,
)
from openvista.io.atomic import make_folder, write_text
from openvista.io.paths import (
    DICOM_FORMATS,
    as_address,
    find_image,
    formats_apart,
    image_suffix,
    known_format,
    output_format,
)
from openvista.pipeline import Pipeline, Room
from openvista.report.preview import write_preview
from openvista.report.scan_report import write_scan_report
from openvista.report.table import rich_table, statistics_csv, statistics_json, table_csv
from openvista.scan import Scan, Segmentation

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Computed = TypeVar("Computed")

_FILE_ENDINGS = (".nii", ".gz", ".nrrd", ".mha", ".dcm", ".stl", ".obj", ".glb")
"""What the name of a file ends with, even of one that cannot be; other names are those of folders."""


@dataclass(frozen=True)
class ResultFiles:
    """Where the results of one scan go.

    Attributes:
        stem: what table and picture are called, without ending.
        by_format: the file of each format; or a folder, for a file per structure.
        per_class: formats that are written into a folder.
    """

    stem: Path
    by_format: dict[str, Path]
    per_class: frozenset[str] = frozenset()

    def check(self, scan: Scan) -> None:
        """Refuse a scan that cannot be written so.

        Raises:
            OutputError: DICOM is asked for, and the scan was not read from DICOM.
        """
        for format in self.by_format:
            check_dicom_source(scan, format)

    def numbered(self, number: int) -> "ResultFiles":
        """The same with a number before the ending, as files of a second layer are called."""
        changed = {}
        for format, path in self.by_format.items():
            ending = "" if format in self.per_class else image_suffix(path) or path.suffix
            changed[format] = path.with_name(f"{path.name.removesuffix(ending)}_{number}{ending}")
        return replace(self, stem=self.stem.with_name(f"{self.stem.name}_{number}"), by_format=changed)


def result_files(
    scans: list[Path], output: Path | None, formats: Sequence[str] = (), per_class: bool = False
) -> list[ResultFiles]:
    """Where the results of each scan go, checked before anything is computed.

    Args:
        scans: as the user gave them.
        output: a file, for one scan and one format, or a folder, which is made; ``None`` for the current folder.
        formats: of :data:`openvista.io.paths.FORMATS`; by default what the file's ending says, or ``nii.gz``.
        per_class: label maps and surfaces become a file per structure, in ``<scan>_seg/``.

    Scans of one name get distinct results: the names of their folders come before it. Of several scans, one that cannot
    be read is left for later, so that it does not stop the others.

    Raises:
        InputError: the only scan is missing, or something cannot be written.
    """
    images = [find_image(scans[0])] if len(scans) == 1 else list(scans)
    asked = sorted(dict.fromkeys(known_format(each) for each in formats), key=lambda each: each == "dicom-sr")
    if output is not None and len(images) == 1 and not output.is_dir() and output.name.lower().endswith(_FILE_ENDINGS):
        if per_class:
            raise OutputError(f"{output}: a file per structure needs a folder; give one")
        found = [_one_file(output, asked)]
    else:
        if output is not None:
            _refuse_no_folder(output, len(images))
        make_folder(folder := output or Path())
        found = [_in_folder(folder, name, asked or ["nii.gz"], per_class) for name in distinct_names(images)]
    for image, files in zip(images, found, strict=True):
        for format, path in files.by_format.items():
            if format in files.per_class:
                check_folder(path)
                check_output(path.with_name(f"{path.name}.{format}"), None, format)
            else:
                check_output(path, image, format)
    return found


def distinct_names(images: Sequence[Path]) -> list[str]:
    """What to call the results of each image: its own name. Where that would be the name of two, as many of its folders
    come before it as it takes to tell them apart; images of one name in one folder are numbered."""
    names = [scan_name(image) for image in images]
    groups: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        groups.setdefault(name.casefold(), []).append(number)
    for alike in groups.values():
        folders = {number: images[number].absolute().parent.parts[1:] for number in alike}
        apart = len(set(folders.values()))
        depth = next(
            depth for depth in itertools.count() if len({_last(path, depth) for path in folders.values()}) == apart
        )
        for number, path in folders.items():
            names[number] = "_".join([*_last(path, depth), names[number]])
    taken: set[str] = set()
    for number, name in enumerate(names):
        numbered = (name if count == 1 else f"{name}_{count}" for count in itertools.count(1))
        names[number] = next(one for one in numbered if one.casefold() not in taken)
        taken.add(names[number].casefold())
    return names


def _last(path: tuple[str, ...], depth: int) -> tuple[str, ...]:
    return path[max(len(path) - depth, 0) :]


def _one_file(path: Path, formats: list[str]) -> ResultFiles:
    if len(formats) > 1:
        raise OutputError(f"{path}: {' and '.join(formats)} are several files; give a folder for them")
    format = output_format(path, formats[0] if formats else None)
    stem = scan_name(path) if image_suffix(path) else path.stem
    return ResultFiles(path.with_name(stem), {format: path})


def _in_folder(folder: Path, name: str, formats: list[str], per_class: bool) -> ResultFiles:
    """STL has no names, so every structure gets a file of its own there; a DICOM object always holds all of them."""
    stem = folder / f"{name}_seg"
    apart = formats_apart(formats, per_class)
    by_format = {each: stem if each in apart else result_path(folder, name, each) for each in formats}
    return ResultFiles(stem, by_format, apart)


def _refuse_no_folder(output: Path, scans: int) -> None:
    """Make no folder where a file was meant, or an address."""
    if (address := as_address(output)) is not None:
        raise OutputError(f"{address}: is an address; results are written to files: give a path")
    endings = ", ".join(".nii.gz" if ending == ".gz" else ending for ending in _FILE_ENDINGS)
    if output.exists() and not output.is_dir():
        kind = "a file" if output.is_file() else "no file and no folder"
        remedy = "several scans need a folder" if scans > 1 else f"a result is written as {endings}"
        raise OutputError(f"{output}: is {kind}; {remedy}")
    if scans == 1 and re.fullmatch(r"\.[A-Za-z]\w{1,4}", output.suffix) and not output.exists():
        raise OutputError(
            f"{output}: a result is written as {endings}; use one of these endings, or make the folder first"
        )


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
    in_steps(items, Steps(lambda item, room: item, work, lambda done: None), failure, overlaps=False)


@dataclass(frozen=True)
class Steps(Generic[Item, Loaded, Computed]):
    """What is done with each item; see :class:`openvista.pipeline.Pipeline`."""

    read: Callable[[Item, Room], Loaded]
    compute: Callable[[Loaded], Computed]
    write: Callable[[Computed], None]


def in_steps(items: Sequence[Item], steps: Steps[Item, Loaded, Computed], failure: str, overlaps: bool = True) -> None:
    """As :func:`work_on_each`; several items overlap, if they may: the next is read while one is computed.

    Raises:
        InputError: there was something wrong with an item.
    """
    failed = 0

    def ended(item: Item, error: Exception | None) -> None:
        nonlocal failed
        if error is None:
            return
        if len(items) == 1 or not isinstance(error, InputError):
            raise error
        failed += 1
        say("error", error)

    pipeline = Pipeline(steps.read, steps.compute, steps.write, ended, lambda error: failure_of(error).kind == MEMORY)
    (pipeline.run if overlaps and len(items) > 1 else pipeline.one_by_one)(items)
    if failed:
        raise InputError(f"{failed} of {len(items)} {failure}; the others are done")


def read_checked(
    path: Path, strict: bool, series: str | None = None, fill_gaps: bool = False, modality: str | None = "CT"
) -> Scan:
    """A scan, see :func:`openvista.io.read_scan`; what looks odd about it is said, or refused if strict.

    ``modality`` is as for :func:`openvista.io.check_scan`.

    Raises:
        ScanError: it cannot be read, or looks odd.
    """
    scan = read_scan(path, series=series, fill_gaps=fill_gaps, apart=True, modality=modality)
    warnings = tuple(check_scan(scan, modality))
    if warnings and strict:
        raise ScanError(f"{path}: {'; '.join(warning.message for warning in warnings)}")
    for warning in warnings:
        if warning not in scan.warnings:  # those were logged when it was read
            say("warning", f"{path}: {warning.message}")
    return replace(scan, warnings=warnings)


def write_result(
    result: Segmentation,
    files: ResultFiles,
    *,
    table: bool = False,
    statistics: bool = False,
    preview: bool = False,
    report: bool = False,
    quiet: bool = False,
    options: DicomOptions = DicomOptions(),
    compress: bool = False,
) -> None:
    """Write a segmentation in every format, and its table, statistics, picture and report beside it, if wanted.

    Raises:
        OutputError: one of them could not be written; those before it are there, and the message names them.
    """
    written: list[Path] = []
    for format, path in files.by_format.items():
        if format == "dicom-sr":
            options = replace(options, seg=files.by_format.get("dicom-seg"))
        try:
            if format in files.per_class:
                write_per_class(result, path, format, compress)
            else:
                write_segmentation(result, path, format, options, compress)
        except InputError as error:
            if not written:
                raise
            raise OutputError(f"{error}; written before: {', '.join(map(str, written))}") from error
        written += [path] * (path not in written)
    try:
        _write_beside(result, files.stem, table, statistics, quiet)
        picture = write_preview(result, files.stem.with_name(f"{files.stem.name}.png")) if preview else None
        if report:
            write_scan_report(result, files.stem.with_name(f"{files.stem.name}.html"), picture)
    except OutputError as error:
        raise OutputError(f"{error}; written before, whole: {', '.join(map(str, written))}") from error
    if not quiet:
        for path in written:
            print(path)


def write_layers(
    layers: Sequence[Segmentation],
    files: ResultFiles,
    *,
    preview: bool = False,
    quiet: bool = False,
    options: DicomOptions = DicomOptions(),
) -> None:
    """Write structures that may overlap: together in a DICOM object, in other formats a numbered file per layer.

    Raises:
        OutputError: one of the files could not be written.
    """
    together = {format: path for format, path in files.by_format.items() if format in DICOM_FORMATS}
    for format, path in together.items():
        write_segmentation(layers, path, format, replace(options, seg=together.get("dicom-seg")))
        if not quiet:
            print(path)
    apart = replace(files, by_format={each: path for each, path in files.by_format.items() if each not in together})
    for number, layer in enumerate(layers, start=1):
        where = apart if number == 1 else apart.numbered(number)
        write_result(layer, where, preview=preview, quiet=quiet, options=options)


def _write_beside(result: Segmentation, stem: Path, table: bool, statistics: bool, quiet: bool) -> None:
    if table:
        table_rows = result.table()
        write_text(stem.with_name(f"{stem.name}.csv"), table_csv(table_rows))
        if not quiet:
            Console().print(rich_table(table_rows, title=result.scan.name if result.scan else None))
    if statistics:
        rows = result.statistics()
        write_text(stem.with_name(f"{stem.name}_statistics.json"), statistics_json(rows, result.provenance))
        write_text(stem.with_name(f"{stem.name}_statistics.csv"), statistics_csv(rows))
