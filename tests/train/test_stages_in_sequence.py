"""The paper's four stages one after the other, on lists with labelled, pseudo-labelled and unlabelled scans.

Run as a program it is the four commands, one after the other in the same process, with the tiny network.
"""

import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tiny_training import make_list, register

from openvista.weights import find_model

RECIPE = {
    "preset": "tiny",
    "extra_names": {133: "bright ball", 134: "dim ball"},
    "registry": "data_sets.yaml",
    "fold": 0,
    "steps": 2,
    "rounds": 1,
    "learning_rate": 1e-3,
    "average_decay": 0,
    "validate_every": 2,
    "mixing": {"smallest": 8},
}
USED = {"stage1": 4, "stage2": 2, "stage3": 4, "stage4": 4}
"""Cases to train on. Beside two labelled scans: one has supervoxels, one a pseudo-label, one has both. A sixth is held
out."""


@pytest.fixture
def lists(tmp_path):
    """``Balls`` with labels and a mapping beside it, ``Scans`` without any label; maps below folders of their own."""
    balls = make_list(tmp_path, cases=6)
    entries = json.loads(balls.read_text())["training"]
    for kind in ("supervoxels", "pseudo"):
        (tmp_path / kind).mkdir()
    for number, entry in enumerate(entries):
        labels = nib.load(tmp_path / entry["label"])
        values = np.asarray(labels.dataobj)
        pieces = np.indices(values.shape)[0] // 8 + 1 + 3 * values
        for kind, voxels in (("supervoxels", pieces), ("pseudo", np.where(values > 0, values + 132, 0))):
            nib.save(nib.Nifti1Image(voxels.astype(np.uint8), labels.affine), tmp_path / kind / f"ct{number}.nii.gz")
        del entry["label"]
    labelled = [entry | {"label": f"labels{n}.nii.gz", "label_sv": f"ct{n}.nii.gz"} for n, entry in enumerate(entries)]
    bare = [{"image": entry["image"], "fold": 0} for entry in entries]
    for number, keys in ((3, ["label_sv"]), (4, ["pseudo_label"]), (5, ["label_sv", "pseudo_label"])):
        bare[number] |= dict.fromkeys(keys, f"ct{number}.nii.gz")
    (tmp_path / "jsons").mkdir()
    write(tmp_path / "jsons" / "Balls_5_folds.json", {"training": labelled[:3]})
    write(tmp_path / "jsons" / "Scans_5_folds.json", {"training": bare[3:]})
    write(tmp_path / "jsons" / "label_mappings.json", {"Balls": [[0, 0], [1, 133], [2, "dim ball"]]})
    roots = {"root": ".", "supervoxel_root": "supervoxels", "pseudo_label_root": "pseudo"}
    data_sets = {name: {"json": f"jsons/{name}_5_folds.json", **roots} for name in ("Balls", "Scans")}
    write(tmp_path / "data_sets.yaml", {"datasets": data_sets})
    return tmp_path


def write(path, content):
    path.write_text(json.dumps(content))  # JSON is YAML
    return path


@pytest.mark.slow
def test_four_stages_on_two_processes(lists):
    """Unlabelled scans take part where the paper has them: by supervoxels in stage 1, by pseudo-labels from 3 on."""
    recipe = write(lists / "recipe.yaml", RECIPE)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [*torchrun, __file__, str(recipe)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    for stage, cases in USED.items():
        folder = lists / stage
        assert f" {cases} cases to train on" in (folder / "log.txt").read_text()
        with (folder / "train.csv").open(newline="") as file:
            losses = [float(row["loss"]) for row in csv.DictReader(file)]
        assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    card = find_model(lists / "stage4" / "model").card
    assert card.class_ids == (133, 134)
    assert str(lists) not in json.dumps(card.provenance), "no folder of this machine"
    assert [one["datalist"] for one in card.provenance["recipe"]["more_data"]] == ["Scans_5_folds.json"]


if __name__ == "__main__":
    from openvista.cli.main import app

    register()
    recipe, before = Path(sys.argv[1]), []
    for number, stage in enumerate(USED):
        os.environ["TORCHELASTIC_RESTART_COUNT"] = str(number)  # each run meets at a place of its own
        command = ["train", str(recipe), "--set", f"stage={stage}", *before, "-o", str(recipe.parent / stage)]
        app(command, standalone_mode=False)
        before = ["--set", f"start_from={recipe.parent / stage / 'model'}"]
