"""The notebook that teaches the widget, and the blocks of its page, run in a kernel; the browser is in tests/e2e."""

import re
import shutil
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from openvista.io import read_segmentation

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "look_and_correct.ipynb"
PAGE = ROOT / "docs" / "notebooks.md"


def run(notebook: nbformat.NotebookNode, folder: Path) -> list[nbformat.NotebookNode]:
    """The outputs of all cells, in order."""
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def printed(outputs: list[nbformat.NotebookNode]) -> str:
    return "".join(output.text for output in outputs if output.get("name") == "stdout")


def widgets(outputs: list[nbformat.NotebookNode]) -> list[str]:
    views = (output.get("data", {}).get("application/vnd.jupyter.widget-view+json") for output in outputs)
    return [view["model_id"] for view in views if view]


def test_the_notebook_that_teaches_runs(tmp_path):
    shutil.copytree(ROOT / "examples" / "data", tmp_path / "data")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    committed = printed([output for cell in notebook.cells for output in cell.get("outputs", ())])
    outputs = run(notebook, tmp_path)
    text = printed(outputs)
    assert re.sub(r"[\d.]+", "#", text) == re.sub(r"[\d.]+", "#", committed)  # numbers differ between processors
    before, after, wrong, undone = (
        float(found) for found in re.findall(r"(?:before|after|click|undone): +(\S+)", text)
    )
    assert wrong < before < after == undone
    assert len(widgets(outputs)) == 1
    kept = read_segmentation(tmp_path / "demo-output" / "head_neck_ct_seg.nii.gz")
    assert kept.mask("right parotid").any()


def test_the_notebook_is_kept_without_widgets_that_nobody_can_show():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert "widgets" not in notebook.metadata
    assert widgets([output for cell in notebook.cells for output in cell.get("outputs", ())]) == []


def test_the_blocks_of_the_page_run():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    cells = [nbformat.v4.new_code_cell(block) for block in blocks]
    run(nbformat.v4.new_notebook(cells=cells), ROOT)
    assert [len(widgets(cell.outputs)) for cell in cells] == [1, 1, 0]
