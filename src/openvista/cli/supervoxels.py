"""``openvista supervoxels``: scans cut into pieces whose voxels look alike, for training by clicks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import TaskID

import openvista
from openvista.cli.console import STAGES, bars, error_console, say, set_up_logging
from openvista.cli.files import check_folder
from openvista.cli.options import (
    CT_HELP,
    Device,
    DicomSeries,
    FillGaps,
    Overwrite,
    Preview,
    Quiet,
    Verbose,
    model_option,
    output_option,
)
from openvista.datalist import DataList, read_datalist, write_datalist
from openvista.errors import InputError, MissingExtraError, OutputError
from openvista.inference.progress import Progress as Step
from openvista.io import check_output
from openvista.io.atomic import make_folder
from openvista.io.paths import find_image

if TYPE_CHECKING:
    from openvista.supervoxels.batch import JobOutcome, SupervoxelJob
    from openvista.supervoxels.source import FeatureSource

_KINDS = ("model", "intensity", "sam")


def supervoxels(
    scans: Annotated[
        list[Path] | None, typer.Argument(metavar="CT...", help=f"{CT_HELP}; or folders with one image.")
    ] = None,
    datalist: Annotated[
        Path | None, typer.Option("-l", "--datalist", help="A JSON data list, instead of scans; a new one is written.")
    ] = None,
    output: Annotated[
        Path | None, output_option("Folder. Default: the current one; with a data list, the list's own.")
    ] = None,
    features: Annotated[str, typer.Option("-f", "--features", help="model, intensity or sam.")] = "model",
    model: Annotated[
        str | None,
        model_option(
            "Whose features: name or folder of a model ([cyan]starter[/cyan]); with --features sam, a folder or hub "
            "name of SAM ([cyan]facebook/sam-vit-huge[/cyan])."
        ),
    ] = None,
    segments: Annotated[int, typer.Option("-n", "--segments", help="About how many per scan.")] = 100,
    compactness: Annotated[
        float | None,
        typer.Option(help="Larger: rounder pieces. Default: 0.01 (model, sam), 0.1 (intensity)."),
    ] = None,
    sigma: Annotated[float, typer.Option(help="Smoothing of the features beforehand, in mm.")] = 3.0,
    split: Annotated[str, typer.Option(help="Of a data list: training, testing or all.")] = "training",
    series: DicomSeries = None,
    fill_gaps: FillGaps = False,
    preview: Preview = False,
    overwrite: Overwrite = False,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Scans at a time. Default: 2, where there are 2 cores.")
    ] = None,
    device: Device = "auto",
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Cut CT scans into supervoxels: pieces whose voxels look alike, numbered from 1; the air around the patient is 0.

    Training by clicks uses them to learn what an object is, beyond the structures somebody labelled.

    Each scan gets <scan>_sv.nii.gz on its own voxels. A data list gets them in the folder supervoxels/ and, beside that
    folder, a copy of the list that names them, <list>_supervoxels.json. Run the same command again to resume: maps that
    are whole and were made with the same choices are kept.

    Small structures want more pieces: --segments 400 for head and neck.

    Examples:

      openvista supervoxels ct.nii.gz --preview

      openvista supervoxels --datalist data/dataset.json --segments 400

      openvista supervoxels --datalist data/dataset.json -o out/ --features sam --model facebook/sam-vit-huge
    """
    from openvista.supervoxels import Clustering
    from openvista.supervoxels.batch import JobSettings, do_jobs, usual_workers, with_supervoxels

    set_up_logging(verbose, quiet)
    if bool(scans) == bool(datalist):
        raise InputError("give either scans or --datalist LIST, for example: openvista supervoxels ct.nii.gz")
    if features not in _KINDS:
        raise InputError(f"no features {features!r}: there is {', '.join(_KINDS)}")
    listed, jobs, list_target = _plan(scans or [], datalist, output, split)
    _check_extras(preview)
    clustering = Clustering(segments=segments, sigma_mm=sigma)  # refused before weights are read
    if compactness is not None:
        clustering = replace(clustering, compactness=compactness)
    source = _source(features, model, device, quiet)
    if compactness is None:
        clustering = replace(clustering, compactness=source.compactness)
    settings = JobSettings(source, clustering, overwrite, preview, series, fill_gaps)
    with _bars(len(jobs), quiet) as (progress, done):
        outcomes = do_jobs(jobs, settings, min(workers or usual_workers(), len(jobs)), progress, done)
    if listed is not None and list_target is not None and any(outcome.error is None for outcome in outcomes):
        write_datalist(with_supervoxels(listed, outcomes), list_target)
    _tell(outcomes, list_target, quiet)


def _plan(
    scans: list[Path], datalist: Path | None, output: Path | None, split: str
) -> tuple[DataList | None, list["SupervoxelJob"], Path | None]:
    """What to do, and where the new data list goes; refused before anything is computed."""
    from openvista.supervoxels.batch import SupervoxelJob, cases_of, jobs_of, map_path

    folder = output or (datalist.parent if datalist else Path())
    check_folder(folder)
    if datalist is None:
        images = [find_image(scan) for scan in scans]
        jobs = [SupervoxelJob(image, map_path(folder, image)) for image in images]
        listed, list_target = None, None
    else:
        listed = read_datalist(datalist, must_exist=False)  # it may name the maps that are to be made
        jobs = jobs_of(cases_of(listed, split), folder / "supervoxels")
        list_target = folder / f"{datalist.stem}_supervoxels.json"
    for job in jobs:
        make_folder(job.target.parent)
        check_output(job.target, job.image)
    if len({job.target for job in jobs}) < len(jobs):
        raise OutputError("two of the scans have the same name and would be written to one file; run them one by one")
    return listed, jobs, list_target


def _check_extras(preview: bool) -> None:
    """Missing packages are told before hours of work, not after."""
    if find_spec("skimage") is None:
        raise MissingExtraError("scikit-image", "supervoxels", "make supervoxels")
    if preview and find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "report", "draw the preview picture")


def _source(features: str, model: str | None, device: str, quiet: bool) -> "FeatureSource":
    from openvista.inference.device import find_device
    from openvista.supervoxels.model_features import ModelFeatures
    from openvista.supervoxels.sam_features import VIT_HUGE, load_sam
    from openvista.supervoxels.source import IntensityFeatures

    if features == "intensity":
        return IntensityFeatures()
    if features == "sam":
        if quiet or not error_console().is_terminal:
            _silence_transformers()
        return load_sam(model or VIT_HUGE, find_device(device))
    return ModelFeatures(openvista.load_model(model or "starter", device))


def _silence_transformers() -> None:
    """Its bars, which it draws whether or not anybody looks."""
    if find_spec("transformers") is not None:
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()


@contextmanager
def _bars(
    total: int, quiet: bool
) -> Iterator[tuple[Callable[["SupervoxelJob", Step], None], Callable[["JobOutcome"], None]]]:
    """A bar for all scans, and one for each that is being worked on, on standard error."""
    with bars(quiet, counted=True) as bar:
        every = bar.add_task("scans", total=total)
        tasks: dict[Path, TaskID] = {}

        def progress(job: "SupervoxelJob", step: Step) -> None:
            if job.target not in tasks:
                tasks[job.target] = bar.add_task("", total=None)
            text = f"  {job.image.name}: {STAGES.get(step.stage, step.stage)}"
            bar.update(tasks[job.target], description=text, completed=step.done, total=step.total)

        def done(outcome: "JobOutcome") -> None:
            bar.advance(every)
            if outcome.job.target in tasks:
                bar.remove_task(tasks.pop(outcome.job.target))

        yield progress, done


def _tell(outcomes: list["JobOutcome"], list_target: Path | None, quiet: bool) -> None:
    """What was made, and an error when something was not."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if len(outcomes) == len(failed) == 1:
        raise InputError(failed[0].error)
    for outcome in failed:
        say("error", outcome.error)
    if not quiet:
        for outcome in outcomes if list_target is None else ():
            if outcome.error is None:
                print(outcome.job.target)
        made = [outcome for outcome in outcomes if outcome.count]
        kept = len(outcomes) - len(made) - len(failed)
        if list_target is not None:
            mean = sum(outcome.count for outcome in made) / max(len(made), 1)
            print(f"{list_target}: {len(made)} made ({mean:.0f} supervoxels in the mean), {kept} kept")
    if failed:
        names = ", ".join(outcome.job.image.name for outcome in failed[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        raise InputError(f"{len(failed)} of {len(outcomes)} scans failed ({names}{more}); the others are done")
