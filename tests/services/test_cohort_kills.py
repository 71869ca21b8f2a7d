"""Two hundred scans, while the driver and its workers are killed again and again: every scan is done, none is lost."""

import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
from serving import ct_file, make_model

from openvista.cohort.manifest import last_states, manifests_in
from openvista.weights.card import sha256_of

SCANS, KILLS = 200, 20


def test_random_kills(tmp_path: Path):
    model = make_model(tmp_path / "models", "small", ("automatic",))
    for seed in range(SCANS):
        (tmp_path / "in" / str(seed % 7)).mkdir(parents=True, exist_ok=True)
        ct_file(tmp_path / "in" / str(seed % 7) / f"{seed}.nii.gz", seed)
    words = ["batch", tmp_path / "in", "-o", tmp_path / "out", "-m", model, "--previews", "0", "--workers", "2"]
    command = [sys.executable, "-m", "openvista", *map(str, words)]
    chance = random.Random(23)
    driver = subprocess.Popen(command)
    killed = 0
    while killed < KILLS:
        wait_for_more(tmp_path / "out", chance.randint(1, 8), driver)
        if chance.random() < 0.5:
            driver.kill()
            driver.wait()
            driver = subprocess.Popen(command)
            killed += 1
        elif workers := workers_of(driver):
            with suppress(psutil.NoSuchProcess):  # it has just ended
                chance.choice(workers).kill()
                killed += 1
    assert driver.wait(300) == 0
    states = last_states(manifests_in(tmp_path / "out"))
    assert {case_id: last.state for case_id, last in states.items()} == {
        f"{seed % 7}/{seed}": "done" for seed in range(SCANS)
    }
    for last in states.values():
        assert len(last.outputs) == 2
        for output in last.outputs:
            assert sha256_of(tmp_path / "out" / output.path) == output.sha256
    assert list((tmp_path / "out").rglob(".*")) == []


def wait_for_more(out: Path, count: int, driver: "subprocess.Popen[bytes]") -> None:
    """Until so many scans more are done."""
    manifest = out / "manifest.jsonl"
    goal = done_in(manifest) + count
    while done_in(manifest) < goal:
        assert driver.poll() is None, "the driver ended by itself: more scans are needed for so many kills"
        time.sleep(0.02)


def workers_of(driver: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """Those that run; one may end while it is looked at."""
    workers = []
    for child in psutil.Process(driver.pid).children():
        with suppress(psutil.NoSuchProcess):  # a zombie, too
            if "spawn_main" in str(child.cmdline()):
                workers.append(child)
    return workers


def done_in(manifest: Path) -> int:
    return manifest.read_text().count('"state": "done"') if manifest.exists() else 0
