"""A cohort as a job array through submitit: as processes of this machine, and on a real Slurm where there is one."""

import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from one_node_slurm import missing, running_slurm
from serving import ct_file, make_model

from openvista.cohort.engines.slurm import SlurmOptions, slurm_options
from openvista.cohort.manifest import last_states, manifest_path, manifests_in, records
from openvista.errors import InputError


@pytest.fixture(params=["local", "slurm"])
def where(request, tmp_path_factory) -> Iterator[str]:
    """A submitit cluster; a real Slurm is started for it where Debian's packages are installed."""
    if request.param == "local":
        yield "local"
        return
    if absent := missing():
        pytest.skip(f"Slurm is not installed ({', '.join(absent)}): apt install slurmctld slurmd slurm-client munge")
    with running_slurm(tmp_path_factory.mktemp("slurm")):
        yield "slurm"


def command(tmp_path: Path, name: str, *options: object) -> list[str]:
    words = ["batch", tmp_path / "in", "-o", tmp_path / name, "-m", tmp_path / "models" / "small", "--previews", "0"]
    return [sys.executable, "-m", "openvista", *map(str, words), *map(str, options)]


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    make_model(tmp_path / "models", "small", ("automatic",))
    (tmp_path / "in").mkdir()
    for seed in range(12):
        ct_file(tmp_path / "in" / f"{seed}.nii.gz", seed)
    (tmp_path / "in" / "bad.nii.gz").write_text("no image")
    return tmp_path


def options(where: str) -> list[str]:
    settings = ["tasks=2", f"cluster={where}", *(["timeout_min=10"] if where == "slurm" else [])]
    words = ["--engine", "slurm", "--workers", "1"]
    return [*words, *(word for setting in settings for word in ("--engine-option", setting))]


def test_options_are_submitit_s_but_for_two():
    asked = slurm_options({"tasks": "20", "slurm_partition": "gpu", "timeout_min": "600"}, 1)
    assert asked == SlurmOptions(20, 1, "slurm", {"slurm_partition": "gpu", "timeout_min": 600})
    for wrong in ({}, {"tasks": "many"}, {"tasks": "0"}):
        with pytest.raises(InputError, match="tasks=20"):
            slurm_options(wrong, None)


def test_a_parameter_that_slurm_does_not_know_is_told(scans):
    words = command(scans, "array", *options("local"), "--engine-option", "partitoin=gpu")
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "partitoin" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_job_array_gives_what_one_machine_gives(scans, where):
    assert subprocess.run(command(scans, "array", *options(where)), check=False).returncode == 3
    assert subprocess.run(command(scans, "local"), check=False).returncode == 3
    out = scans / "array"
    assert list(manifests_in(out)) == [manifest_path(out, None)]
    found = Counter(last.state for last in last_states(manifests_in(out)).values())
    assert found == {"done": 12, "failed": 1}
    for seed in range(12):
        name = f"{seed}_seg.nii.gz"
        assert (out / name).read_bytes() == (scans / "local" / name).read_bytes()
    assert len((out / "cases.csv").read_text().splitlines()) == 14


def test_a_task_that_is_lost_is_submitted_again(scans):
    shutil.copytree(scans / "in", scans / "in" / "more")  # so that there is time to lose it
    driver = subprocess.Popen(command(scans, "array", *options("local")), stderr=subprocess.PIPE, text=True)
    first = scans / "array" / "manifest.0-of-2.jsonl"
    while not first.exists() or first.read_text().count('"done"') < 2:
        assert driver.poll() is None
        time.sleep(0.02)
    tasks = [process for process in psutil.Process(driver.pid).children(recursive=True) if is_task(process)]
    tasks[-1].kill()
    _, said = driver.communicate()
    assert driver.returncode == 3
    assert "submitted again" in said
    done = Counter(record["case_id"] for record in records(manifests_in(scans / "array")) if record["state"] == "done")
    assert len(done) == 24


def is_task(process: psutil.Process) -> bool:
    try:
        return "submitit.core._submit" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # ended just now; a zombie, too
        return False
