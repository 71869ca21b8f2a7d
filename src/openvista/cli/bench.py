"""``openvista bench``: ours and the peer on this machine."""

import statistics
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from openvista.cli.console import say, set_up_logging
from openvista.cli.options import Device, Quiet, Verbose, joined, model_option, output_option, three_numbers
from openvista.errors import InputError
from openvista.io.atomic import replacing

_FILE_WIDTH = 160
"""Characters a line, where the table goes into a file."""


def bench(
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help="window, everything, click, training, start, server, agreement, scaling; repeatable. Default: all.",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Medians are over so many turns of each.")] = 5,
    full: Annotated[
        bool, typer.Option("--full", help="The published size, 48 filters and 128³, on 512×512×200: takes hours.")
    ] = False,
    model: Annotated[
        str | None, model_option("Weights that both get. Default: random ones, 16 filters and windows of 64³.")
    ] = None,
    shape: Annotated[str | None, typer.Option(metavar="X,Y,Z", help="Voxels of the made-up CT.")] = None,
    spacing: Annotated[str | None, typer.Option(metavar="X,Y,Z", help="Its voxel size in mm.")] = None,
    classes: Annotated[int, typer.Option(min=1, help="Asked for in it, if the model knows so many.")] = 117,
    filters: Annotated[int | None, typer.Option(min=8, help="Of a network with random weights.")] = None,
    window: Annotated[int | None, typer.Option(min=32, help="Its window, voxels per axis.")] = None,
    device: Device = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch. Default: torch's own choice.")] = None,
    output: Annotated[Path | None, output_option("A .json file for every number.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="A picture of the ratios (.png, .svg).")] = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Time ours against the peer (MONAI's pipeline with its own network, on equal weights) in one process.

    Both take turns; ratios are taken round by round. The peer runs as shipped, in float32, and under autocast.

    Examples:

      openvista bench

      openvista bench --only window --only click --model starter

      openvista bench --full -o bench.json --plot bench.png
    """
    from openvista.bench.contest import FULL, Contest, Sizes
    from openvista.bench.figures import BenchResult
    from openvista.bench.run_parts import ALL_PARTS, run_parts

    set_up_logging(verbose, quiet)
    warnings.filterwarnings("ignore", module="monai")  # of its own deprecated defaults
    asked = joined(only).split(",") if only else list(ALL_PARTS)
    for part in asked:
        if part not in ALL_PARTS:
            raise InputError(f"--only {part}: there is {', '.join(ALL_PARTS)}")
    if window is not None and window % 16:
        raise InputError(f"--window {window}: it must be a multiple of 16")
    if model is not None and (filters or window):
        raise InputError("--filters and --window are for random weights: leave them or --model out")
    _check_file(output, "--output", (".json",))
    _check_file(plot, "--plot", (".png", ".svg", ".pdf"))
    sizes = FULL if full else Sizes()
    sizes = Sizes(
        filters=filters or sizes.filters,
        window=window or sizes.window,
        shape=three_numbers(shape, "--shape", int) if shape else sizes.shape,
        spacing=three_numbers(spacing, "--spacing", float) if spacing else sizes.spacing,
        classes=classes,
    )
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    contest = Contest(sizes, model, device)
    result: BenchResult = run_parts(contest, asked, rounds, lambda part: None if quiet else say("note", f"{part} ..."))
    _print(result)
    if output is not None:
        with replacing(output) as partial:
            partial.write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if plot is not None and result.rows:
        from openvista.bench.chart import draw_chart

        draw_chart(result, plot)


def _check_file(path: Path | None, option: str, endings: tuple[str, ...]) -> None:
    if path is None:
        return
    if path.suffix not in endings:
        raise InputError(f"{option} {path}: end it with {' or '.join(endings)}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{option} {path}: there is no folder {path.parent}; make it first")


def _print(result: object) -> None:
    from openvista.bench.figures import BenchResult

    assert isinstance(result, BenchResult)
    machine, console = result.machine, Console()
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    console.print(
        f"{machine.cpu}, {machine.cores} cores ({', '.join(machine.flags)}), {machine.memory_gb:g} GB, on "
        f"{machine.device}, {machine.threads} threads; torch {machine.versions['torch']}, "
        f"monai {machine.versions['monai']}\n{result.network}; {result.rounds} rounds",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    table = Table("part", "work", "ours", "s", "peer", "s", "times ours (least to most)", header_style="bold")
    for row in result.rows:
        medians = {way: f"{statistics.median(seconds):.3f}" for way, seconds in row.seconds.items()}
        for one in row.ratios:
            spread = f"{one.median:.2f} ({one.least:.2f} to {one.most:.2f})"
            table.add_row(row.part, row.work, one.ours, medians[one.ours], one.peer, medians[one.peer], spread)
    if result.rows:
        console.print(table)
    if result.slopes:
        slopes = Table("way", "seconds per", "slope", "at none", header_style="bold")
        for line in result.slopes:
            slopes.add_row(line.way, line.against, f"{line.per_unit:.4f}", f"{line.fixed:.3f}")
        console.print(slopes)
    if result.agreement is not None:
        same = result.agreement
        console.print(
            f"labels equal to the peer's float32: {same.equal_choices:.5f} in float32, {same.as_it_runs:.5f} in the "
            f"planned precision; foreground {same.foreground:.3f}",
            soft_wrap=True,
            highlight=False,
        )
