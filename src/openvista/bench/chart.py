"""The ratios as a picture: a bar for each, its spread as a line across its end."""

from pathlib import Path

from openvista.bench.figures import BenchResult
from openvista.errors import needs_extra
from openvista.io.atomic import replacing


def draw_chart(result: BenchResult, path: Path) -> None:
    """Write a picture of a result.

    Args:
        result: with at least one row.
        path: its ending says the format, such as ``.png``.

    Raises:
        MissingExtraError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    with needs_extra("matplotlib", "bench", "draw the ratios"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    bars = [(row, ratio) for row in result.rows for ratio in row.ratios][::-1]
    figure = Figure(figsize=(10, 1.5 + 0.3 * len(bars)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    names = [f"{row.part}: {row.work}\n{ratio.peer} / {ratio.ours}" for row, ratio in bars]
    axes.barh(
        range(len(bars)),
        [ratio.median for _, ratio in bars],
        color=["C0" if "float32" in ratio.peer else "C1" for _, ratio in bars],
        xerr=[
            [ratio.median - ratio.least for _, ratio in bars],
            [ratio.most - ratio.median for _, ratio in bars],
        ],
    )
    axes.set_yticks(range(len(bars)), names, fontsize=7)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(xscale="log", xlabel="times the peer's speed", title=f"{result.network} on {result.machine.cpu}")
    with replacing(path) as partial:
        figure.savefig(partial, dpi=100, format=path.suffix.lstrip(".") or "png")
