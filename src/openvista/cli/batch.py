"""``openvista batch``: many scans, on one machine or many, each done once."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from openvista.anatomy.combinations import Combination, combinations
from openvista.anatomy.vocabulary import Vocabulary
from openvista.cli.console import bars, set_up_logging
from openvista.cli.options import (
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
    PerClass,
    Precision,
    ProfileName,
    Quiet,
    RunUnlessNamed,
    SegType,
    Strict,
    Verbose,
    WayBack,
    WindowOverlap,
    chosen_profile,
    dicom_options,
    joined,
    output_option,
)
from openvista.cli.result_grid import ResultGrid, Spacing
from openvista.cohort.case import Segmenter
from openvista.cohort.inputs import find_cases
from openvista.cohort.launch import CohortPlan, Tell, local_engine, publish, run_cohort, state_folder
from openvista.cohort.manifest import Shard, manifest_path
from openvista.cohort.shards import merge_shards
from openvista.cohort.storage import is_remote, local_path
from openvista.cohort.summary import CASES, VOLUMES, write_summary
from openvista.cohort.tally import Tally
from openvista.errors import InputError, UnfinishedError, needs_extra
from openvista.io.paths import known_format
from openvista.pacs.dicomweb import check_base
from openvista.weights import find_model

ENGINES = ("local", "ray", "slurm")


class _Run(TyperCommand):
    def format_usage(self, ctx: Any, formatter: Any) -> None:
        formatter.write_usage("openvista batch", "[OPTIONS] INPUT... -o OUTPUT")


app = typer.Typer(
    cls=RunUnlessNamed, help="Segment a cohort: thousands of CT scans, on one machine or many, each done once."
)


@app.command("run", cls=_Run, epilog="After the last shard: openvista batch merge OUTPUT")
def batch(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Folders, with all scans below them; scans; patterns in quotes; data lists; CSV files with a column "
            "image; addresses such as s3://bucket/scans, or of series in a PACS (DICOMweb).",
        ),
    ],
    output: Annotated[str, output_option("Folder or address for the results, as the scans lie in the input.")],
    classes: Annotated[
        list[str] | None,
        typer.Option("-c", "--classes", "--class", metavar="CLASS", help="Name or id; repeatable. Default: all."),
    ] = None,
    model: ModelName = "starter",
    modality: Modality = None,
    device: Device = "auto",
    precision: Precision = "auto",
    profile: ProfileName = "best",
    fast: Fast = False,
    mode: WayBack = None,
    overlap: WindowOverlap = None,
    everywhere: Everywhere = False,
    spacing: Spacing = None,
    series: DicomSeries = None,
    fill_gaps: FillGaps = False,
    strict: Strict = False,
    format: Formats = None,
    per_class: PerClass = False,
    combine: Combine = None,
    compress: Compress = False,
    seg_type: SegType = "binary",
    keyhole: Keyhole = False,
    keep_identifiers: KeepIdentifiers = False,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Store results in a PACS (DICOMweb), too: those of --format that are DICOM, or dicom-seg.",
        ),
    ] = None,
    table: Annotated[bool, typer.Option("--table", help="Write <scan>_seg.csv for each scan.")] = False,
    drop_unlikely: DropUnlikely = False,
    engine: Annotated[str, typer.Option("-e", "--engine", help="local, ray or slurm.")] = "local",
    workers: Annotated[
        int | None, typer.Option("-w", "--workers", min=1, help="Scans at a time. Default: one per GPU or CPU core.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", min=1, help="Stop a scan that takes longer.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="INDEX/COUNT", help="Only this part of the scans; INDEX is from 0.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--engine-option", metavar="KEY=VALUE", help="Of ray or slurm, see docs/cohorts.md; repeatable."),
    ] = None,
    pipeline: InPipeline = True,
    verify: Annotated[bool, typer.Option("--verify", help="Check the SHA-256 of results that are there.")] = False,
    again: Annotated[bool, typer.Option("--retry-quarantined", help="Try scans in quarantine, too.")] = False,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the manifest, where results go to a bucket.")
    ] = None,
    previews: Annotated[int, typer.Option(min=0, help="Pictures of the strangest cases in the report.")] = 6,
    prometheus: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write numbers for Prometheus' textfile collector.")
    ] = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Segment a cohort: thousands of CT scans, on one machine or many, each done once.

    Weights are loaded once per worker. What becomes of each scan is noted in OUTPUT/manifest.jsonl. Run the same
    command again to go on: what is done is kept, unless the scan, the model or the settings have changed. A scan that
    cannot be read, runs out of memory or kills its worker stops nothing. report.html, cases.csv and volumes.csv tell
    the rest. Exit code: 0 all done, 3 some failed, 130 stopped.

    Examples:

      openvista batch scans/ -o out/

      openvista batch "scans/**/*.nii.gz" -o out/ --class liver --workers 2 --timeout 900

      openvista batch cohort.csv -o out/ --shard 0/4 --per-class --combine lung

      openvista batch scans/ -o out/ --engine ray --engine-option address=auto
    """
    set_up_logging(verbose, quiet)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # how Slurm and Kubernetes ask us to stop
    if engine not in ENGINES:
        raise InputError(f"no engine {engine!r}: there is {', '.join(ENGINES)}")
    place = ResultGrid.of_options(spacing)
    place.check_formats([*(format or ()), *(["dicom-seg"] if store else [])])
    found = find_model(model)
    vocabulary = found.card.vocabulary(modality)
    ids = vocabulary.expand("all" if classes is None else joined(classes))
    wholes = combinations(combine or (), vocabulary, ids)
    if store is not None:
        check_base(store)
    segmenter = Segmenter(
        output=output if is_remote(output) else os.path.abspath(local_path(output)),
        model=model if found.path.name == model else os.path.abspath(found.path),
        device=device,
        precision=precision,
        profile=chosen_profile(profile, fast, mode, overlap, everywhere),
        classes=tuple(ids),
        wholes=tuple(wholes),
        formats=tuple(dict.fromkeys(known_format(each) for each in format or ["nii.gz"])),
        per_class=per_class,
        compress=compress,
        dicom=dicom_options(format, seg_type, keyhole, keep_identifiers),
        store=store or "",
        fill_gaps=fill_gaps,
        strict=strict,
        table=table,
        spacing=place.spacing,
        overlaps=pipeline,
        drop_unlikely=drop_unlikely,
        modality=modality,
    )
    plan = CohortPlan(
        cases=tuple(find_cases(inputs, output, series)),
        segmenter=segmenter,
        weights_sha256=found.card.weights_sha256,
        names=_names(vocabulary, ids, wholes),
        state=state_folder(output, state).absolute(),
        verify=verify,
        again=again,
        case_seconds=timeout,
        prometheus=prometheus,
    )
    if shard is not None:
        plan = plan.of_shard(Shard.parse(shard))
    options = _options(setting or ())
    with _bar(len(plan.cases), quiet) as tell:
        tally = _run(plan, engine, workers, options, tell)
    if shard is None:
        report = write_summary(plan.state, segmenter.output, plan.names, (case.id for case in plan.cases), previews)
        if is_remote(output):
            publish(plan, report, report.with_name(CASES), report.with_name(VOLUMES))
    _conclude(tally, plan, quiet)


@app.command("merge")
def merge(
    folder: Annotated[Path, typer.Argument(help="What -o, or --state, was for the shards.")],
    output: Annotated[str | None, output_option("Where the results are, if not in that folder.")] = None,
    previews: Annotated[int, typer.Option(min=0, help="Pictures of the strangest cases in the report.")] = 6,
    quiet: Quiet = False,
) -> None:
    """Put the manifests of all shards together, and write the report of the whole cohort."""
    names, left = merge_shards(folder)
    report = write_summary(folder, output or str(folder), names, previews=previews)
    if not quiet:
        print(report)
    if left:
        raise UnfinishedError(f"{left} scans have no result yet; run their shards again")


def _names(vocabulary: Vocabulary, ids: Sequence[int], wholes: Sequence[Combination]) -> dict[int, str]:
    """Of the structures in the results."""
    parts = {part for whole in wholes for part in whole.parts}
    names = {class_id: vocabulary.name(class_id) for class_id in ids if class_id not in parts}
    return names | {whole.id: whole.name for whole in wholes}


def _options(settings: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in settings]
    for key, found, value in pairs:
        if not (key and found and value):
            raise InputError(f"--engine-option {key}{found}{value}: write KEY=VALUE")
    return {key: value for key, _, value in pairs}


def _run(plan: CohortPlan, engine: str, workers: int | None, options: dict[str, str], tell: Tell) -> Tally:
    if engine == "ray":
        with needs_extra("ray", "ray", "run on a Ray cluster"):
            ray = import_module("openvista.cohort.engines.ray")
        asked = ray.ray_options(options, workers)
        return run_cohort(plan, lambda tries: ray.RayEngine(plan.segmenter, asked, tries, plan.case_seconds), tell)
    if engine == "slurm":
        with needs_extra("submitit", "slurm", "submit to Slurm"):
            slurm = import_module("openvista.cohort.engines.slurm")
        return slurm.run_on_slurm(plan, slurm.slurm_options(options, workers), tell)
    if options:
        raise InputError(f"--engine-option {next(iter(options))}: the local engine has no options")
    return run_cohort(plan, lambda tries: local_engine(plan, workers, tries), tell)


@contextmanager
def _bar(total: int, quiet: bool) -> Iterator[Tell]:
    """Cases, time left, and failures by kind."""
    with bars(quiet, counted=True) as bar:
        task = bar.add_task("scans", total=total)

        def tell(tally: Tally) -> None:
            failed = ", ".join(f"{count} {kind}" for kind, count in tally.failed.items() if count)
            text = f"scans, {tally.per_hour:.0f} per hour" + (f", failed: {failed}" if failed else "")
            bar.update(task, completed=tally.finished, description=text)

        yield tell


def _conclude(tally: Tally, plan: CohortPlan, quiet: bool) -> None:
    """The last line, and exit code 3 where something is missing."""
    if not quiet:
        kept = f" and {tally.kept} earlier" if tally.kept else ""
        print(f"{plan.segmenter.output}: of {tally.total} scans {tally.done} done now{kept}")
    if tally.failures:
        kinds = [f"{count} {kind}" for kind, count in tally.failed.items() if count]
        kinds += [f"{tally.left_aside} in quarantine since before"] if tally.left_aside else []
        told = plan.state / (CASES if plan.shard is None else manifest_path(plan.state, plan.shard).name)
        raise UnfinishedError(f"{tally.failures} of {tally.total} scans failed ({', '.join(kinds)}); see {told}")
