"""``openvista supervoxels`` as a user meets it: real processes on the example CT."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import nibabel as nib
import numpy as np
import pytest

pytest.importorskip("skimage")


def openvista(*arguments, cwd=None):
    command = [sys.executable, "-m", "openvista", "supervoxels", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "160", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300, check=False)


@pytest.fixture(scope="module")
def small_ct(tmp_path_factory, example_ct):
    """A piece of the example CT, so that a run takes seconds."""
    path = tmp_path_factory.mktemp("ct") / "small.nii.gz"
    nib.save(nib.load(example_ct).slicer[35:85, 10:58, 60:100], path)
    return path


def assert_refused(done, *words):
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0]


def test_one_scan_with_the_starters_features_and_a_picture(small_ct, tmp_path):
    done = openvista(small_ct, "-o", tmp_path / "out", "--segments", "60", "--preview")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"small_sv.nii.gz", "small_sv.json", "small_sv.png"}
    assert done.stdout.strip() == str(tmp_path / "out" / "small_sv.nii.gz")
    ct, stored = nib.load(small_ct), nib.load(tmp_path / "out" / "small_sv.nii.gz")
    labels, hu = np.asarray(stored.dataobj), np.asarray(ct.dataobj)
    assert np.array_equal(stored.affine, ct.affine)
    assert 40 <= labels.max() <= 120
    assert (labels[hu > -200] > 0).mean() > 0.995
    assert (labels[hu < -900] == 0).mean() > 0.9
    described = json.loads((tmp_path / "out" / "small_sv.json").read_text())["supervoxels"]
    assert (described["features"], described["model"], described["compactness"]) == ("model", "starter", 0.01)


@pytest.mark.slow
def test_a_preview_of_what_is_there_already_and_a_list_that_names_its_maps(small_ct, tmp_path):
    shutil.copy(small_ct, tmp_path / "one.nii.gz")
    entries = [{"image": "one.nii.gz", "label_sv": "supervoxels/one_sv.nii.gz"}]
    (tmp_path / "list.json").write_text(json.dumps({"training": entries}))
    command = ["-l", tmp_path / "list.json", "--features", "intensity", "-n", "30"]
    assert openvista(*command).returncode == 0
    made = tmp_path / "supervoxels" / "one_sv.nii.gz"
    before = made.stat().st_mtime_ns
    assert not made.with_name("one_sv.png").exists()
    assert openvista(*command, "--preview").returncode == 0
    assert made.with_name("one_sv.png").stat().st_size > 1000
    assert made.stat().st_mtime_ns == before


def test_supervoxels_follow_structures_better_than_boxes_do(small_ct, example_labels, tmp_path):
    done = openvista(small_ct, "-o", tmp_path, "--segments", "200", "-q", "--features", "intensity")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    labels = np.asarray(nib.load(tmp_path / "small_sv.nii.gz").dataobj).astype(int)
    mandible = np.asarray(nib.load(example_labels).slicer[35:85, 10:58, 60:100].dataobj) == 7
    places = np.indices(labels.shape) // np.array([6, 6, 8])[:, None, None, None]
    boxes = np.where(labels > 0, places[0] * 10_000 + places[1] * 100 + places[2] + 1, 0)
    assert len(np.unique(boxes)) > labels.max(), "the comparison should favour boxes"

    def caught(parts):
        _, number = np.unique(parts, return_inverse=True)
        number = number.reshape(parts.shape)
        share = np.bincount(number.ravel(), mandible.ravel()) / np.bincount(number.ravel())
        union = (share > 0.5)[number]
        return 2 * (union & mandible).sum() / (union.sum() + mandible.sum())

    assert caught(labels) > caught(boxes)


def test_a_data_list_is_done_and_done_again_in_no_time(small_ct, tmp_path):
    for name in ("one", "two"):
        shutil.copy(small_ct, tmp_path / f"{name}.nii.gz")
    (tmp_path / "broken.nii.gz").write_bytes(small_ct.read_bytes()[:3000])
    entries = [{"image": f"{name}.nii.gz"} for name in ("one", "broken", "two")]
    (tmp_path / "list.json").write_text(json.dumps({"training": entries}))
    done = openvista("--datalist", tmp_path / "list.json", "--features", "intensity", "-n", "30")
    assert done.returncode == 2
    assert "broken.nii.gz" in done.stderr
    assert "1 of 3 scans" in done.stderr
    assert "Traceback" not in done.stderr
    written = json.loads((tmp_path / "list_supervoxels.json").read_text())["training"]
    assert [entry.get("label_sv") for entry in written] == [
        "supervoxels/one_sv.nii.gz",
        None,
        "supervoxels/two_sv.nii.gz",
    ]
    (tmp_path / "list.json").write_text(json.dumps({"training": [entries[0], entries[2]]}))
    before = (tmp_path / "supervoxels" / "one_sv.nii.gz").stat().st_mtime_ns
    done = openvista("-l", tmp_path / "list.json", "--features", "intensity", "-n", "30")
    assert done.returncode == 0, done.stderr
    assert "0 made" in done.stdout
    assert "2 kept" in done.stdout
    assert (tmp_path / "supervoxels" / "one_sv.nii.gz").stat().st_mtime_ns == before


BAD_INPUT = [
    ([], ["--datalist"]),
    (["CT", "--datalist", "list.json"], ["--datalist"]),
    (["nowhere.nii.gz"], ["nowhere.nii.gz", "no such file"]),
    (["--datalist", "nowhere.json"], ["nowhere.json", "does not exist"]),
    (["CT", "--features", "edges"], ["edges", "intensity"]),
    (["CT", "-n", "1"], ["segments", "1"]),
    (["CT", "--compactness", "0"], ["compactness", "0"]),
    (["CT", "--sigma", "-2"], ["sigma", "-2"]),
    (["CT", "CT"], ["same name"]),
    (["CT", "-m", "best-model"], ["best-model", "starter"]),
    (["CT", "-o", "CT"], ["is a file"]),
    (["CT", "--features", "sam", "-m", "no-such-sam"], ["no-such-sam", "SAM"]),
    (["--datalist", "LIST", "--split", "tests"], ["tests", "training"]),
    (["--datalist", "LIST", "--split", "testing"], ["testing", "no case"]),
]
ALL_IN_ONE = """
import json, sys
from openvista.cli.main import app
from openvista.errors import OpenVistaError
for arguments in json.loads(sys.argv[1]):
    try:
        app(["supervoxels", *arguments], standalone_mode=False)
        print(json.dumps([0, ""]))
    except OpenVistaError as error:
        print(json.dumps([error.exit_code, str(error)]))
"""


@pytest.mark.skipif(find_spec("transformers") is None, reason="needs the extra sam")
def test_bad_input_is_one_line_and_exit_code_2(small_ct, example_datalist, tmp_path):
    filled = []
    for arguments, _ in BAD_INPUT:
        paths = [part.replace("CT", str(small_ct)).replace("LIST", str(example_datalist)) for part in arguments]
        filled.append(paths if "-o" in arguments else [*paths, "-o", str(tmp_path / "out")])
    command = [sys.executable, "-c", ALL_IN_ONE, json.dumps(filled)]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=offline)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(BAD_INPUT)
    for (code, message), (arguments, words) in zip(results, BAD_INPUT, strict=True):
        assert code == 2, arguments
        assert "\n" not in message, arguments
        assert all(word in message for word in words), (arguments, message)
    assert not list(tmp_path.glob("out/**/*.nii.gz"))
