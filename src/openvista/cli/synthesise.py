"""``openvista synthesise``: label maps in, synthetic CT with its labels out."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from openvista.cli.console import bars, set_up_logging
from openvista.cli.files import check_folder
from openvista.cli.options import Quiet, Verbose, output_option
from openvista.errors import InputError
from openvista.io import check_output, write_scan
from openvista.io.atomic import make_folder
from openvista.scan import Segmentation
from openvista.synthesis.contact_sheet import write_contact_sheet
from openvista.synthesis.maps import read_label_map

_ON_THE_SHEET = 8


def synthesise(
    maps: Annotated[
        list[Path],
        typer.Argument(metavar="MAPS...", help="Label maps, NIfTI, NRRD or MHA; or folders with a mask per structure."),
    ],
    output: Annotated[Path, output_option("Folder for the synthetic CT.")],
    names: Annotated[
        list[Path] | None,
        typer.Option(
            "--names",
            metavar="FILE",
            help='What labels are called, where the maps do not say: JSON {"1": "liver"} or a colour table of 3D '
            "Slicer. Once for all maps, or once for each.",
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many; the maps take turns.")] = 4,
    spacing: Annotated[float, typer.Option(min=0.5, max=10, help="Voxel size in mm.")] = 2.0,
    strength: Annotated[
        float, typer.Option(min=0, max=2, help="How far anatomy may leave the maps; 0: exactly as they are.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same.")] = 0,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Draw synthetic CT from label maps: a scan, its labels with names, and a contact sheet to look at.

    Made-up patients that nobody need protect: for tests, demonstrations and teaching. They look like CT from a
    distance; nothing about disease can be learnt from them.

    Examples:

      openvista synthesise segmentation.seg.nrrd -o synthetic/

      openvista synthesise s0327.nii.gz s0328.nii.gz --names labels.json --count 10 --seed 7 -o synthetic/
    """
    from openvista.synthesis.teaching_set import TEACHING, TeachingSet, draw_set, targets

    set_up_logging(verbose, quiet)
    if names and len(names) not in (1, len(maps)):
        raise InputError(f"--names is given {len(names)} times for {len(maps)} maps: give it once, or once for each")
    check_folder(output)
    of_each: list[Path | None] = [None] * len(maps)
    if names:
        of_each = [*names] if len(names) == len(maps) else [names[0]] * len(maps)
    bodies = [read_label_map(path, file) for path, file in zip(maps, of_each, strict=True)]
    if len({body.name for body in bodies}) < len(bodies):
        raise InputError("two of the maps have the same name: rename one, or their drawings would be mixed up")
    varied = strength > 0
    variety = replace(TEACHING, strength=strength, exchange=0.4 * varied, removal=varied, lesions=varied)
    wanted = TeachingSet(count, (spacing, spacing, spacing), variety, seed)
    make_folder(output)
    check_output(output / "seg.nii.gz")
    drawn: list[Segmentation] = []
    with bars(quiet, counted=True) as bar:
        task = bar.add_task("synthetic CT", total=count)
        for drawing in draw_set(bodies, wanted):
            assert drawing.scan is not None
            image, labels = targets(output, drawing.scan.name)
            write_scan(drawing.scan, image)
            drawing.save(labels)
            if not quiet:
                print(image, labels, sep="\n")
            drawn += [drawing] if len(drawn) < _ON_THE_SHEET else []
            bar.advance(task)
    sheet = write_contact_sheet(drawn, output / "contact_sheet.png")
    if not quiet:
        print(sheet)
