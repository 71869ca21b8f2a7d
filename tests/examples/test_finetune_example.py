"""The fine-tuning example: the script runs in the layout of the Medical Decathlon, and the notebook says the same."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from openvista.datalist import map_labels, read_datalist
from openvista.weights import find_model

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPT = EXAMPLES / "finetune_spleen.py"
NOTEBOOK = SCRIPT.with_suffix(".ipynb")
cells_of_script = runpy.run_path(str(EXAMPLES / "make_notebook.py"))["cells_of_script"]


def outputs(notebook):
    """What each code cell gave: texts and pictures, in order."""
    kinds = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            kinds.append([output["output_type"] + str([*output.get("data", ())]) for output in cell["outputs"]])
    return kinds


def printed_by(notebook):
    found = [output.get("text", ()) for cell in notebook["cells"] for output in cell.get("outputs", ())]
    return "".join(line for text in found for line in text)


def test_the_notebook_is_in_step_with_the_script():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    script = cells_of_script(SCRIPT.read_text(encoding="utf-8"))
    assert len(script) > 10
    assert cells == script, "run: python examples/make_notebook.py examples/finetune_spleen.py"


def test_the_notebook_shows_curves_and_pictures():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    kinds = outputs(notebook)
    assert sum("image/png" in kind for cell in kinds for kind in cell) == 3  # patches, curves, result
    assert NOTEBOOK.stat().st_size < 600_000
    printed = printed_by(notebook)
    assert "step   40, loss" in printed
    assert "surface Dice at 2 mm" in printed


def test_the_small_pack_is_whole_small_and_learnt_from_apart():
    listed = read_datalist(EXAMPLES / "data" / "finetune.json")
    training, validation = listed.split(fold=0)
    cases = [*training, *validation, *listed.testing]
    assert (len(training), len(validation), len(listed.testing)) == (2, 1, 1)
    assert len({case.image for case in cases}) == 4
    for case in cases:
        assert np.array_equal(np.unique(nib.load(case.label).dataobj), [0, *sorted(case.annotated)])
        assert case.image.name in (EXAMPLES / "data" / "README.md").read_text()
    assert sum(file.stat().st_size for file in (EXAMPLES / "data").iterdir()) < 2e6
    card = find_model("starter").card
    assert 138 not in card.class_ids  # the example's new id


@pytest.fixture
def decathlon(tmp_path, example_ct, example_labels):
    """Task09's layout, with the mandible in the part of the spleen."""
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder).mkdir()
    entries = []
    for number, first in enumerate((58, 61, 64)):
        box = (slice(50, 80), slice(30, 58), slice(first, first + 26))
        labels = nib.load(example_labels).slicer[box]
        spleen = (np.asarray(labels.dataobj) == 7).astype(np.uint8)
        nib.save(nib.load(example_ct).slicer[box], tmp_path / "imagesTr" / f"spleen_{number}.nii.gz")
        nib.save(nib.Nifti1Image(spleen, labels.affine), tmp_path / "labelsTr" / f"spleen_{number}.nii.gz")
        names = {"image": f"./imagesTr/spleen_{number}.nii.gz", "label": f"./labelsTr/spleen_{number}.nii.gz"}
        entries.append(names)
    content = {"name": "Spleen", "labels": {"0": "background", "1": "spleen"}, "training": entries, "test": []}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    return tmp_path


@pytest.mark.slow
def test_the_notebook_runs_on_the_layout_of_the_decathlon(decathlon):
    """Cell by cell, with fewer and smaller patches; so does the script, which has the same cells."""
    short = ["--steps", "2", "--patches", "1", "--patch", "32", "32", "32", "--validate-every", "2", "--overlap", "0"]
    command = [sys.executable, str(EXAMPLES / "make_notebook.py"), str(SCRIPT), "--to", str(decathlon / "short.ipynb")]
    arguments = ["--", "--data", str(decathlon), "--out", str(decathlon / "run"), *short]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=600, check=False, cwd=EXAMPLES.parent
    )
    assert done.returncode == 0, done.stderr
    notebook = json.loads((decathlon / "short.ipynb").read_text(encoding="utf-8"))
    printed = printed_by(notebook)
    assert "label 1 becomes class 3, 'spleen'" in printed
    assert "1 scans to learn from, 1 to validate on, 1 to test on" in printed
    assert "without gradient scaler" in printed or torch.cuda.is_available()
    assert "Dice" in printed.splitlines()[-2]
    assert outputs(notebook) == outputs(json.loads(NOTEBOOK.read_text(encoding="utf-8")))
    made = {"patches.png", "curves.png", "result.png", "prediction.nii.gz"}
    assert made <= {file.name for file in (decathlon / "run").iterdir()}
    card = find_model(decathlon / "run" / "model").card
    assert (card.classes, card.provenance["base_model"]) == ((3,), "starter")


def test_the_mapping_of_the_small_pack_is_new_to_the_starter():
    from openvista.anatomy.vocabulary import Vocabulary

    card = find_model("starter").card
    vocabulary = Vocabulary(card.class_ids, card.extra_classes, card.extra_aliases)
    listed = read_datalist(EXAMPLES / "data" / "finetune.json")
    mapping = map_labels(listed, ["mandible=new:jaw to learn"], vocabulary)
    assert mapping.classes == {7: 138}
