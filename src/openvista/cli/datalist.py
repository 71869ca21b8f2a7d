"""``openvista datalist``: make a data list from files on disk, and check one before training."""

import json
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from openvista.cli.console import counting_bar, set_up_logging
from openvista.cli.options import Overwrite, Quiet, Verbose, joined, output_option
from openvista.datalist import (
    CaseReport,
    DataList,
    ListReport,
    Split,
    check_datalist,
    make_datalist,
    read_datalist,
    read_label_names,
    report_content,
    structure_rows,
    usable_part,
    write_datalist,
)
from openvista.errors import DataListError, OutputError
from openvista.io.atomic import write_text

app = typer.Typer(help="Make and check lists of scans with labels.", no_args_is_help=True)

Workers = Annotated[int | None, typer.Option(min=1, max=64, help="Files read at once. Default: up to 4.")]


@app.command()
def make(
    folder: Annotated[Path, typer.Argument(help="Folder with images and label maps.")],
    output: Annotated[Path | None, output_option("Default: [cyan]dataset.json[/cyan] in the folder.")] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(metavar="VALUE=NAME", help='What a label value is; repeatable. Or a .json with "labels".'),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Each scan has only some structures marked; absent ones are unknown.")
    ] = False,
    folds: Annotated[int, typer.Option(min=1, max=100, help="Cross-validation folds of the training part.")] = 5,
    test_share: Annotated[float, typer.Option(min=0, max=0.9, help="Share of labelled scans for testing.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the split: equal seeds give equal splits.")] = 0,
    write_labels: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write label maps with one number per name there, and list those (DICOM)."),
    ] = None,
    overwrite: Overwrite = False,
    workers: Workers = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Write a data list from images and label maps on disk.

    Layouts: imagesTr/ and labelsTr/ (Medical Decathlon, nnU-Net), images/ and
    labels/, pairs such as case_ct.nii.gz and case_seg.nii.gz in one folder or
    in a folder per case; DICOM series with the segmentations or structure
    sets that refer to them.

    Names come from --names, else a dataset.json in the folder, else the label
    maps themselves.

    --partial writes into each case which values occur in its label map; all
    others are unknown there, neither trained nor scored as absent. Do not use
    it where a structure may truly be missing from a scan.

    Examples:

      openvista datalist make Task09_Spleen -o spleen.json

      openvista datalist make scans/ --names 1=liver --names 2=tumour --test-share 0.25 --seed 7

      openvista datalist make planning_cts/ -o list.json --write-labels labels/
    """
    set_up_logging(verbose, quiet)
    target = output or folder / "dataset.json"
    if target.exists() and not overwrite:
        raise OutputError(f"{target}: exists; choose another file with -o, or replace it with --overwrite")
    _check_folder(target if output else None)
    with counting_bar("reading label maps", quiet) as begin:
        made = make_datalist(
            folder,
            target,
            names=_parse_names(joined(names).strip()),
            partial=partial,
            split=Split(folds, test_share, seed),
            label_folder=write_labels,
            workers=workers,
            begin=begin,
        )
    write_datalist(made.listed)
    if not quiet:
        _print_made(made.listed, made.notes)


@app.command()
def check(
    datalist: Annotated[Path, typer.Argument(metavar="LIST", help="JSON data list of any style.")],
    root: Annotated[Path | None, typer.Option(help="Folder that the list's paths start from.")] = None,
    pseudo_label_root: Annotated[Path | None, typer.Option(help="The same for pseudo_label.")] = None,
    supervoxel_root: Annotated[Path | None, typer.Option(help="The same for label_sv.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as well.")] = False,
    json_report: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the report.")] = None,
    write_usable: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a list of what can be used, with paths that fit here.")
    ] = None,
    workers: Workers = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Read every file of a data list and tell what training would stumble over.

    Per case: missing and unreadable files, label maps on another grid than
    their image, label values that the list does not name, empty label maps,
    images that do not look like HU. For the list: the same image for training
    and testing, no foreground, folds that cannot be held out.

    Exit code 2 when a case cannot be used. -v adds what each structure
    amounts to.

    Examples:

      openvista datalist check dataset.json

      openvista datalist check Task06_5_folds.json --root /data/Task06_Lung --write-usable lung.json

      openvista datalist check dataset.json --strict --json report.json
    """
    set_up_logging(verbose, quiet)
    for path in (json_report, write_usable):
        _check_folder(path)
    listed = read_datalist(
        datalist, root=root, pseudo_label_root=pseudo_label_root, supervoxel_root=supervoxel_root, must_exist=False
    )
    with counting_bar("checking cases", quiet) as begin:
        report = check_datalist(listed, strict=strict, workers=workers, done=begin(len(listed.every_case)))
    if not quiet:
        _print_report(report, verbose)
    if json_report is not None:
        text = json.dumps(report_content(report), indent=1, ensure_ascii=False)
        write_text(json_report, text + "\n")
    if write_usable is not None and (usable := usable_part(report)).every_case:
        write_datalist(usable, write_usable)
    if not report.usable:
        raise DataListError(_verdict(report))


def _check_folder(path: Path | None) -> None:
    """Refuse an output without a folder before the long work, not after it."""
    if path is not None and not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; create it first")


def _parse_names(text: str) -> dict[int, str] | None:
    """ "1=liver,2=spleen", or the names of a JSON file."""
    if not text:
        return None
    if text.endswith(".json"):
        names = read_label_names(Path(text))
        if not names:
            raise DataListError(f'{text} has no \'labels\'; write them as in {{"labels": {{"1": "liver"}}}}')
        return names
    names = {}
    for piece in text.split(","):
        value, equals, name = (part.strip() for part in piece.partition("="))
        if not equals or not name or not value.isdecimal() or len(value) > 5 or int(value) in (0, *names):
            raise DataListError(
                f"--names: {piece.strip()!r} is unclear; write each value above 0 once, as in '1=liver'"
            )
        names[int(value)] = name
    return names


def _print_made(listed: DataList, notes: tuple[str, ...]) -> None:
    console = Console(soft_wrap=True)
    for note in notes:
        console.print(Text.assemble(("note", "yellow"), "  ", note), highlight=False)
    folds = len({case.fold for case in listed.training} - {None})
    labels = ", ".join(f"{value} {name}" for value, name in listed.label_names.items())
    counts = f"cases: {len(listed.training)} for training in {folds} folds, {len(listed.testing)} for testing"
    bare = len(listed.unlabelled) + len(listed.testing_unlabelled)
    more = f", {bare} without labels" if bare else ""
    console.print(f"labels: {labels}", markup=False, highlight=False)
    console.print(f"{listed.path}: {counts}{more}", markup=False, highlight=False)


def _print_report(report: ListReport, verbose: int) -> None:
    console = Console()
    rows = [(_shown_name(one, report), one.part, problem) for one in report.cases for problem in one.problems]
    rows += [("(the list)", "", problem) for problem in report.problems]
    if rows:
        table = Table(header_style="bold", show_lines=False)
        for heading in ("case", "part", "", "what"):
            table.add_column(heading, overflow="fold")
        for name, part, problem in rows:
            mark = Text("error", style="bold red") if problem.fatal else Text("warning", style="yellow")
            table.add_row(Text(name), part, mark, Text(problem.message))
        console.print(table)
    if verbose:
        console.print(_structures(report))
    listed = report.listed
    warned = sum(bool(one.problems) for one in report.cases) - len(report.unusable)
    counts = f"{len(report.cases)} cases: {len(report.cases) - len(report.unusable)} can be used"
    bare = len(listed.unlabelled) + len(listed.testing_unlabelled)
    more = (f", {warned} of them with warnings" if warned else "") + (f", {bare} have no label" if bare else "")
    console.print(f"{counts}{more}; {len(report.unusable)} cannot", highlight=False, soft_wrap=True)


def _structures(report: ListReport) -> Table:
    """A table of what each label value amounts to."""
    table = Table(header_style="bold")
    for heading in ("value", "structure", "annotated in", "present in", "median ml"):
        table.add_column(heading, justify="left" if heading == "structure" else "right")
    for row in structure_rows(report):
        middle = f"{median(row.volumes_ml):.3g}" if row.volumes_ml else ""
        table.add_row(str(row.value), row.name, str(row.annotated), str(len(row.volumes_ml)), middle)
    return table


def _shown_name(one: CaseReport, report: ListReport) -> str:
    """The image's path below the list's folder: names alone repeat where each case has its own folder."""
    folder, image = report.listed.folder, one.case.image
    return image.relative_to(folder).as_posix() if image.is_relative_to(folder) else str(image)


def _verdict(report: ListReport) -> str:
    """The error line: how many cases cannot be used, and which."""
    bad = [_shown_name(one, report) for one in report.unusable]
    shown = ", ".join(bad[:10]) + (f" and {len(bad) - 10} more" if len(bad) > 10 else "")
    whole = [problem.message for problem in report.problems if problem.fatal]
    cases = [f"{len(bad)} of {len(report.cases)} cases cannot be used: {shown}"] if bad else []
    remedy = "; '--write-usable FILE' writes a list without them" if bad else ""
    return f"{report.listed.path}: {'; '.join([*cases, *whole])}{remedy}"
