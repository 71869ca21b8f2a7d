"""A script in jupytext's percent format, run cell by cell, becomes a notebook with its outputs.

    python examples/make_notebook.py examples/finetune_spleen.py [--to FILE.ipynb] [-- ARGUMENTS OF THE SCRIPT]

Run it from the root of the repository. Needs matplotlib, but no Jupyter: what a cell prints and the figures it leaves
open are its outputs.
"""

import argparse
import base64
import contextlib
import io
import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

DPI = 70


def cells_of_script(text):
    """Kind ("markdown" or "code") and source of each cell."""
    cells = []
    for block in ("\n" + text).split("\n# %%")[1:]:
        head, _, body = block.partition("\n")
        if head.strip() == "[markdown]":
            lines = [line[2:] for line in body.strip().splitlines()]  # "# text", or "#" alone
            cells.append(("markdown", "\n".join(lines)))
        else:
            cells.append(("code", body.strip()))
    return cells


def outputs_of(source, name, namespace):
    """Run a cell; what it prints and draws, as a notebook keeps it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, name, "exec"), namespace)
    outputs = [{"name": "stdout", "output_type": "stream", "text": _lines(printed.getvalue())}] * bool(printed.tell())
    for number in plt.get_fignums():
        picture = io.BytesIO()
        plt.figure(number).savefig(picture, format="png", bbox_inches="tight", dpi=DPI)
        data = {"image/png": base64.b64encode(picture.getvalue()).decode()}
        outputs.append({"data": data, "metadata": {}, "output_type": "display_data"})
    plt.close("all")
    return outputs


def make_notebook(script):
    """The notebook of a script, as JSON holds it; the script is run."""
    namespace = {"__name__": "__main__"}  # no __file__: that is how the script knows that it is a notebook
    cells, runs = [], 0
    for index, (kind, source) in enumerate(cells_of_script(script.read_text(encoding="utf-8"))):
        cell = {"cell_type": kind, "id": f"cell-{index}", "metadata": {}, "source": _lines(source)}
        if kind == "code":
            runs += 1
            cell |= {"execution_count": runs, "outputs": outputs_of(source, f"cell {index}", namespace)}
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _lines(text):
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("script", type=Path)
    parser.add_argument("--to", type=Path, help="default: beside the script")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:end])
    target = (options.to or options.script.with_suffix(".ipynb")).resolve()
    sys.argv = [str(options.script), *sys.argv[end + 1 :]]
    target.write_text(json.dumps(make_notebook(options.script), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
