"""The annotators' round with ``openvista serve --datastore --train`` as a process: list, infer, save, learn from it."""

import gzip
import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import nibabel as nib
import numpy as np
import pytest
from serving import ct_file, process

from openvista.weights import find_model

pytest.importorskip("yaml")  # of the extra [train]


SHAPE = (24, 24, 20)
PATIENCE = 600.0  # seconds; the training has a low priority, and the machine may do much else
STARTER = "starter"  # what is fine-tuned must be of a preset's size


def drawing(path: Path) -> Path:
    """What an annotator might have drawn, as segment 1."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[6:18, 6:18, 5:15] = 1
    nib.save(nib.Nifti1Image(labels, np.diag([-4.0, -4.0, 3.0, 1.0])), path)
    return path


def save_label(http: httpx.Client, image: str, path: Path) -> None:
    note = {"params": json.dumps({"label_info": [{"name": "brainstem", "idx": 1}]})}
    with path.open("rb") as file:
        answer = http.put("/datastore/label", params={"image": image}, files={"label": (path.name, file)}, data=note)
    assert answer.json() == {"image": image, "label": image}


@pytest.fixture
def store(tmp_path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    for seed in (1, 2):
        ct_file(folder / f"case {seed}.nii.gz", seed=seed, shape=SHAPE, affine=np.diag([-4.0, -4.0, 3.0, 1.0]))
    return folder


def infer(http: httpx.Client, image: str, params: dict) -> bytes:
    form = {"params": (None, json.dumps(params))}
    answer = http.post("/infer/vista3d", params={"image": image, "output": "image"}, files=form)
    assert answer.status_code == 200, answer.text
    return answer.content


def wait_for_training(http: httpx.Client) -> dict:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        job = http.get("/train/").json()
        if job["status"] != "RUNNING":
            return job
        time.sleep(0.3)
    raise AssertionError("the training did not end")


@pytest.mark.slow
def test_the_annotators_round_ends_in_a_model(store, tmp_path):
    state = tmp_path / "state"
    with process(STARTER, state, "--datastore", str(store), "--train") as (_, http):
        assert http.get("/info/").json()["trainers"]["vista3d"]["config"] == {"minutes": 30.0}
        assert http.post("/train/vista3d", json={}).json()["code"] == "no-labels"
        assert list((state / "train").iterdir()) == []
        assert sorted(http.get("/datastore/", params={"output": "all"}).json()["objects"]) == ["case 1", "case 2"]
        for image in ("case 1", "case 2"):
            assert gzip.decompress(infer(http, image, {"label_prompt": ["brainstem"]}))
            save_label(http, image, drawing(tmp_path / "drawn.nii.gz"))
        assert http.post("/train/vista3d", json={"minutes": "many"}).status_code == 422
        assert http.post("/train/vista3d", json={"minutes": 0.02}).json()["status"] == "RUNNING"
        assert http.get("/train/", params={"check_if_running": True}).status_code == 200
        assert http.post("/train/vista3d", json={}).status_code == 429
        job = wait_for_training(http)
        assert job["status"] == "DONE", job
        assert job["progress"]["step"] >= 1
        assert str(tmp_path) not in json.dumps(job)
        assert job["details"][-1].endswith("run/model")
        assert http.get("/train/", params={"check_if_running": True}).status_code == 404
        assert http.post("/train/vista3d", json={"minutes": 10}).json()["status"] == "RUNNING"
        assert http.delete("/train/").json()["status"] == "STOPPED"
        assert http.get("/info/").json()["train_stats"] == {"vista3d": {"status": "STOPPED"}}
    card = find_model(str(next((state / "train").glob("*/run/model")))).card
    assert len(card.class_ids) == 1


def test_a_job_ends_with_the_server_that_started_it():
    """However the server ends: its end of the pipe closes."""
    command = [sys.executable, "-m", "openvista.serve.worker", "serve", "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as job:
        try:
            assert b"http://" in next(line for line in job.stdout if b"http://" in line)
            assert job.poll() is None
            job.stdin.close()
            job.wait(PATIENCE)
        finally:
            job.kill()
