"""``openvista segment``: CT in, label map out."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import openvista
from openvista.anatomy.combinations import combinations
from openvista.anatomy.ctmr import MRI_BRAIN, known_modality
from openvista.anatomy.spelling import totalsegmentator_name
from openvista.cli import pacs_addresses, result_grid
from openvista.cli.console import load_nibabel, progress_bar, say, set_up_logging
from openvista.cli.files import Steps, in_steps, read_checked, result_files, write_result
from openvista.cli.list_options import listed_images, scans_in_folders
from openvista.cli.options import (
    ALSO,
    CT_HELP,
    FILES,
    Combine,
    Compress,
    Device,
    DicomSeries,
    DropUnlikely,
    Everywhere,
    Fast,
    FillGaps,
    Formats,
    InPipeline,
    KeepIdentifiers,
    Keyhole,
    Modality,
    ModelName,
    Output,
    PerClass,
    Precision,
    Preview,
    ProfileName,
    Quiet,
    Root,
    SegType,
    Strict,
    Template,
    Verbose,
    WayBack,
    WindowOverlap,
    chosen_profile,
    dicom_options,
    joined,
)
from openvista.errors import InputError
from openvista.io import bytes_to_read, read_scan
from openvista.plausibility import in_words
from openvista.scan import Scan, Segmentation

if TYPE_CHECKING:
    from openvista.distributed import Ranks
    from openvista.inference.template import OnTemplate
    from openvista.model import Model
    from openvista.pipeline import Room

logger = logging.getLogger(__name__)


def segment(
    scans: Annotated[
        list[str],
        typer.Argument(
            metavar="CT...",
            help=f"{CT_HELP}; or folders of scans; or data lists; or addresses of series in a PACS (DICOMweb).",
        ),
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
    modality: Modality = None,
    template: Template = None,
    device: Device = "auto",
    precision: Precision = "auto",
    profile: ProfileName = "best",
    fast: Fast = False,
    mode: WayBack = None,
    overlap: WindowOverlap = None,
    everywhere: Everywhere = False,
    recursive: Annotated[bool, typer.Option("--recursive", help="Also scans in folders of a folder.")] = False,
    root: Root = None,
    spacing: result_grid.Spacing = None,
    like: result_grid.Like = None,
    crop_to: result_grid.CropTo = None,
    margin: result_grid.Margin = None,
    roi: result_grid.Roi = None,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities",
            help="<result>_probabilities/<class>.nii.gz: uint8, 255 is 1.",
            rich_help_panel=ALSO,
        ),
    ] = False,
    logits: Annotated[
        bool, typer.Option("--logits", help="<result>_logits/<class>.nii.gz, float32.", rich_help_panel=ALSO)
    ] = False,
    table: Annotated[
        bool, typer.Option("--table", help="Print volumes and HU; write <scan>_seg.csv.", rich_help_panel=ALSO)
    ] = False,
    statistics: Annotated[
        bool,
        typer.Option(
            "--statistics", help="<scan>_seg_statistics.json and .csv: HU, centroid, box.", rich_help_panel=ALSO
        ),
    ] = False,
    preview: Preview = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="<scan>_seg.html: picture, table, what to look at, in one file.", rich_help_panel=ALSO
        ),
    ] = False,
    drop_unlikely: DropUnlikely = False,
    series: DicomSeries = None,
    fill_gaps: FillGaps = False,
    format: Formats = None,
    per_class: PerClass = False,
    combine: Combine = None,
    names: Annotated[
        str,
        typer.Option(
            metavar="WHOSE", help="Names of structures: openvista or totalsegmentator.", rich_help_panel=FILES
        ),
    ] = "openvista",
    compress: Compress = False,
    seg_type: SegType = "binary",
    keyhole: Keyhole = False,
    keep_identifiers: KeepIdentifiers = False,
    store: pacs_addresses.Store = None,
    strict: Strict = False,
    pipeline: InPipeline = True,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Segment CT scans: every class the model knows, or those you name.

    The result lies on exactly the voxels of the scan, unless you say otherwise; names and colours are in the file and
    in a .json beside it.

    Examples:

      openvista segment ct.nii.gz

      openvista segment ct.nii.gz -o out/ --class "spinal cord" --class mandible --table --preview

      openvista segment dicom/ -o out/ --series 1.2.840.113704.1

      openvista segment case1.nii.gz case2.nii.gz -o out/

      openvista segment patients/ --recursive -o out/

      openvista segment ct.nii.gz -o out/ --per-class --names totalsegmentator

      openvista segment ct.nii.gz --class lung --combine lung --format glb -o lung.glb

      openvista segment ct.nii.gz -o out/ --format nii.gz --format glb

      openvista segment ct.nii.gz --class liver --probabilities

      openvista segment ct.nii.gz --spacing 3 --fast

      openvista segment ct.nii.gz --class liver --crop-to liver --margin 20 -o out/ --report

      openvista segment ct.nii.gz --roi 40:200,:,10:60

      openvista segment mr.nii.gz --model vista3d-ctmr --modality MRI_BODY

      openvista segment https://pacs.example/dicom-web/studies/1.2.3/series/4.5.6 --store https://pacs.example/dicom-web

      torchrun --nproc-per-node 2 -m openvista segment dataset.json -o out/
    """
    set_up_logging(verbose, quiet)
    choices = chosen_profile(profile, fast, mode, overlap, everywhere)
    if probabilities and logits:
        raise InputError("--probabilities and --logits are two answers: give one of them")
    if names not in ("openvista", "totalsegmentator"):
        raise InputError(f"no --names {names!r}: there is openvista and totalsegmentator")
    maps = "probabilities" if probabilities else "logits" if logits else None
    options = dicom_options(format, seg_type, keyhole, keep_identifiers)
    asked = "all" if classes is None else joined(classes)
    place = result_grid.ResultGrid.of_options(spacing, like, crop_to, margin, roi)
    place.check_formats([*(format or ()), *(["dicom-seg"] if store else [])])
    onto = None if template is None else _template(template, modality, place, maps)
    write = partial(
        write_result,
        table=table,
        statistics=statistics,
        preview=preview,
        report=report,
        quiet=quiet,
        options=options,
        compress=compress,
    )
    results = None if store is None else pacs_addresses.ResultStore(store, format or (), options)
    load_nibabel()
    with pacs_addresses.fetched(scans, series, quiet) as paths:
        images = scans_in_folders(listed_images(paths, root), recursive, output)
        in_files = results is None or output is not None
        targets = result_files(images, output, format or (), per_class) if in_files else []
        files = dict(zip(images, targets, strict=True)) if in_files else {}
        place.check_formats(format for target in targets for format in target.by_format)

        def begin(ranks: "Ranks") -> Steps[Path, Any, Any]:
            engine = openvista.load_model(model, ranks.own_device(device), precision, modality)
            ids = engine.vocabulary.expand(asked)  # an unknown name should not cost reading the scan
            if unseen := engine.unseen_warning(ids):
                say("warning", unseen)
            wholes = combinations(combine or (), engine.vocabulary, ids)
            around = place.classes(engine.vocabulary, ids)

            def read(path: Path, room: "Room") -> tuple[Any, ...]:
                room.wait(bytes_to_read(path))
                scan = read_checked(path, strict, series, fill_gaps, engine.modality)
                for target in (files.get(path), results):
                    if target is not None:
                        target.check(scan)
                moved = None if onto is None else onto(scan)
                seen = engine.prepare(moved.scan if moved else scan, choices, room)
                return path, scan.name, seen, place.grid(scan), place.region(scan), moved

            def compute(found: tuple[Any, ...]) -> tuple[Path, Segmentation]:
                path, name, scan, grid, region, moved = found
                began = time.monotonic()
                with progress_bar(name, quiet or not ranks.is_first) as progress:
                    result = engine.segment(
                        scan, asked, profile=choices, class_maps=maps, grid=grid, region=region, progress=progress
                    )
                result = moved.back(result) if moved else result
                result = place.cropped(_judged(engine, result, path, drop_unlikely), around)
                for whole in wholes:
                    result = result.combined(whole.parts, whole.id, whole.name)
                if names == "totalsegmentator":
                    result = replace(
                        result, names={id: totalsegmentator_name(name) for id, name in result.names.items()}
                    )
                logger.info("%s: segmented in %.1f s", path, time.monotonic() - began)
                return path, result

            def write_all(computed: tuple[Path, Segmentation]) -> None:
                path, result = computed
                if path in files:
                    write(result, files[path])
                    if result.class_maps is not None:
                        stem = files[path].stem
                        result.class_maps.save(stem.with_name(f"{stem.name}_{maps}"))
                if results is not None:
                    results.store(result, quiet)

            return Steps(read, compute, write_all)

        _share_out(images, begin, pipeline)


def _template(
    file: Path, modality: str | None, place: result_grid.ResultGrid, maps: str | None
) -> "Callable[[Scan], OnTemplate]":
    """What aligns a scan to the template in a file.

    Raises:
        InputError: the modality, or other options, do not go with that.
        ScanError: the file cannot be read.
    """
    from openvista.inference.template import onto_template  # needs torch

    if modality is None or known_modality(modality) != MRI_BRAIN:
        raise InputError(f"--template {file}: is for --modality {MRI_BRAIN}")
    if place != result_grid.ResultGrid() or maps:
        options = "--spacing, --like, --crop-to, --roi, --probabilities and --logits"
        raise InputError(f"--template {file}: results come back to the scan's own voxels: leave {options} out")
    return partial(onto_template, template=read_scan(file, apart=True))


def _judged(model: "Model", result: Segmentation, path: Path, drop: bool) -> Segmentation:
    """The result, without what is unlikely if that is to be dropped; what there is to know about it is said."""
    rows = result.table()
    if none_shown := model.region_warning(result.names, rows):
        say("warning", f"{path}: {none_shown}")
    if not drop:
        return result
    if result.unlikely is None:
        say("note", f"{path}: nothing is left out: model {model.card.name!r} does not know what is likely")
    for row in rows:
        if row.unlikely:
            say("note", f"{path}: left out: {row.name}, {row.volume_ml:.1f} ml ({in_words(row.unlikely)})")
    return result.without_unlikely()


def _share_out(scans: list[Path], begin: "Callable[[Ranks], Steps[Path, Any, Any]]", overlaps: bool) -> None:
    """Every process that torchrun started segments its share; none ends before all are done, or torchrun ends those."""
    from openvista.distributed import joined_ranks

    with joined_ranks("cpu") as ranks:
        steps, failed = begin(ranks), None
        try:
            in_steps(ranks.share(scans), steps, "scans could not be segmented", overlaps)
        except InputError as error:
            failed = error
        ranks.barrier()
    if failed is not None:
        raise failed
