"""The fine-tuning example: the script runs in the layout of the Medical Decathlon, and the notebook says the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from openvista.datalist import map_labels, read_datalist
from openvista.weights import find_model

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPT = EXAMPLES / "finetune_spleen.py"


def cells_of_script(text):
    """Kind and source of each cell of a script in jupytext's percent format."""
    cells = []
    for block in ("\n" + text).split("\n# %%")[1:]:
        head, _, body = block.partition("\n")
        if head.strip() == "[markdown]":
            lines = [line[2:] for line in body.strip().splitlines()]  # "# text", or "#" alone
            cells.append(("markdown", "\n".join(lines)))
        else:
            cells.append(("code", body.strip()))
    return cells


def test_the_notebook_is_in_step_with_the_script():
    notebook = json.loads((EXAMPLES / "finetune_spleen.ipynb").read_text(encoding="utf-8"))
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    script = cells_of_script(SCRIPT.read_text(encoding="utf-8"))
    assert len(script) > 10
    assert cells == script, "run: jupytext --update --to ipynb examples/finetune_spleen.py"


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


def test_the_script_runs_on_the_layout_of_the_decathlon(decathlon):
    short = ["--steps", "2", "--patches", "1", "--patch", "32", "32", "32", "--validate-every", "2", "--overlap", "0"]
    command = [sys.executable, str(SCRIPT), "--data", str(decathlon), "--out", str(decathlon / "run"), *short]
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "label 1 becomes class 3, 'spleen'" in done.stdout
    assert "1 scans to learn from, 1 to validate on, 1 to test on" in done.stdout
    assert "Dice" in done.stdout.splitlines()[-2]
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
