"""The preview picture: written whole, nothing overlaps, any segmentation works."""

import builtins
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from openvista.errors import MissingExtraError, OutputError
from openvista.geometry.grid import Grid
from openvista.report.preview import draw_preview, write_preview
from openvista.scan import Scan, Segmentation


def segmentation(shape: tuple[int, int, int] = (20, 22, 18), count: int = 3, scan: bool = True) -> Segmentation:
    labels = np.zeros(shape, np.uint16)
    flat = labels.reshape(-1)
    for key in range(1, count + 1):
        flat[(key - 1) * flat.size // (count + 1) : key * flat.size // (count + 1)] = key
    grid = Grid(shape, np.diag([-3.0, 3.0, 4.0, 1.0]))
    names = {key: f"a_structure $with_{key}$ a rather long name" for key in range(1, count + 1)}
    voxels = np.where(labels > 0, 40, -1000).astype(np.int16)
    source = Scan(voxels, grid, "case_01 $x^2$") if scan else None
    return Segmentation(labels, grid, names, {}, source, {"model": "starter"})


def test_writes_a_png_and_nothing_else(tmp_path: Path) -> None:
    assert write_preview(segmentation(), tmp_path / "preview.png") == tmp_path / "preview.png"
    assert [file.name for file in tmp_path.iterdir()] == ["preview.png"]
    picture = matplotlib.image.imread(tmp_path / "preview.png")
    assert min(picture.shape[:2]) > 800
    assert picture[..., :3].std() > 0.05


@pytest.mark.parametrize("count", [1, 40, 41, 120])
def test_no_text_overlaps_another_or_leaves_the_picture(count: int) -> None:
    shown = segmentation(count=count)
    every_measure = ("volume", "HU", "elongation", "place")
    figure = draw_preview(replace(shown, unlikely={1: every_measure, count: ("HU",)}))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = figure.get_size_inches() * figure.dpi
    renderer = canvas.get_renderer()
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    boxes = np.array([text.get_window_extent(renderer).extents for text in texts if text.get_text() != "*"])
    assert len(boxes) > 2 * count
    assert any(text.get_text() == "unlikely: HU" for text in texts)
    assert boxes[:, :2].min() >= 0
    assert (boxes[:, 2:] <= (width, height)).all()
    for index, (left, bottom, right, top) in enumerate(boxes):
        others = boxes[index + 1 :]
        across = np.minimum(right, others[:, 2]) - np.maximum(left, others[:, 0])
        along = np.minimum(top, others[:, 3]) - np.maximum(bottom, others[:, 1])
        assert not ((across > 0) & (along > 1)).any(), texts[index].get_text()


@pytest.mark.parametrize(
    ("shape", "count", "scan"),
    [((20, 20, 1), 2, True), ((1, 20, 20), 2, True), ((1, 1, 1), 1, True), ((9, 9, 9), 0, True), ((9, 9, 9), 2, False)],
)
def test_thin_empty_and_scanless(tmp_path: Path, shape: tuple[int, int, int], count: int, scan: bool) -> None:
    seg = segmentation(shape, count, scan)
    if shape == (1, 1, 1):
        seg.labels[:] = 1
    assert write_preview(seg, tmp_path / "p.png").stat().st_size > 5000


def test_unwritable(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"nowhere.*create the folder"):
        write_preview(segmentation(), tmp_path / "nowhere" / "p.png")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"openvista\[report\]"):
        draw_preview(segmentation())


def test_no_pyplot_and_no_import_before_it_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from openvista.geometry.grid import Grid\n"
        "from openvista.scan import Segmentation\n"
        "import openvista.report.preview as preview\n"
        "assert 'matplotlib' not in sys.modules\n"
        "labels = np.ones((4, 4, 4), np.uint8)\n"
        "segmentation = Segmentation(labels, Grid((4, 4, 4), np.eye(4)), {1: 'a'})\n"
        "preview.write_preview(segmentation, sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "p.png")], check=True)
