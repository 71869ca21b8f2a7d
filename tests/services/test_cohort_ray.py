"""A cohort on a real Ray cluster: whatever dies, every case ends once, and the files are those of the local engine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import ray
from ray_cluster import three_nodes
from serving import ct_file, make_model

from openvista.cohort.driver import drive, what_to_do
from openvista.cohort.engines.ray import RayEngine, RayOptions, ray_options
from openvista.cohort.manifest import last_states, manifests_in, open_manifest, records
from openvista.cohort.storage import Place
from openvista.cohort.tally import Tally
from openvista.errors import InputError, OpenVistaError
from small_cohort import KEY, Copying, make_cases, notes_of


@pytest.fixture(scope="module")
def cluster():
    with three_nodes() as started:
        yield started


@pytest.fixture
def copying(tmp_path: Path) -> Copying:
    (tmp_path / "notes").mkdir()
    return Copying(str(tmp_path / "out"), str(tmp_path / "notes"))


def run(cluster, copying: Copying, cases, seconds: float | None = None, tell=lambda tally: None) -> Tally:
    out = Path(copying.output)
    with open_manifest(out, None, KEY) as manifest:
        manifest.begin(len(cases), {1: "liver"})
        todo = what_to_do(cases, last_states(manifests_in(out)), KEY, Place(copying.output))
        engine = RayEngine(copying, RayOptions(cluster.address), len(todo.attempts), seconds)
        try:
            return drive(todo, engine, manifest, tell)
        finally:
            engine.close()


def states(copying: Copying) -> dict[str, str]:
    return {case_id: last.state for case_id, last in last_states(manifests_in(Path(copying.output))).items()}


def test_each_kind_of_failure_has_its_own_end(cluster, copying, tmp_path):
    names = ("good", "kills once", "kills", "slow", "memory", "bug", "missing")
    cases = make_cases(tmp_path / "in", *names)
    (tmp_path / "in" / "missing").unlink()
    tally = run(cluster, copying, cases, seconds=5)
    assert states(copying) == dict(
        zip(names, ("done", "done", "quarantined", "failed", "done", "quarantined", "failed"), strict=True)
    )
    assert tally.failed == {"worker": 1, "timeout": 1, "bug": 1, "input": 1}
    tries = Counter(note[2] for note in notes_of(copying) if note[1] == "copy")
    assert (tries["kills once"], tries["kills"], tries["slow"]) == (2, 3, 2)
    assert tries["good"] <= 2  # a worker may be killed by its next scan before its last answer has left


def test_a_worker_begins_once_and_both_nodes_work(cluster, copying, tmp_path):
    cases = make_cases(tmp_path / "in", *(f"pause {number}" for number in range(12)))
    assert run(cluster, copying, cases).done == 12
    begun = Counter(note[0] for note in notes_of(copying) if note[1] == "begin")
    assert set(begun.values()) == {1}
    assert len(begun) == 2


def test_a_node_is_taken_away_while_it_works(cluster, copying, tmp_path):
    cases = make_cases(tmp_path / "in", *(f"pause {number}" for number in range(12)))
    extra = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    removed = []

    def tell(tally: Tally) -> None:
        if tally.done >= 4 and not removed:
            removed.append(cluster.remove_node(extra, allow_graceful=False))

    tally = run(cluster, copying, cases, tell=tell)
    assert removed
    assert (tally.done, tally.failures) == (12, 0)
    assert tally.retries >= 1


def test_a_model_that_nobody_can_load_ends_the_run(cluster, copying, tmp_path):
    Path(copying.notes, "refuse").touch()
    with pytest.raises(OpenVistaError, match="no such model"):
        run(cluster, copying, make_cases(tmp_path / "in", "a"))


def test_options_are_numbers_but_for_the_address():
    asked = ray_options({"address": "auto", "cpus": "4", "memory_gb": "8", "resource.site_a": "0.1"}, 3)
    assert asked == RayOptions("auto", 3, cpus=4, memory_gb=8, resources={"site_a": 0.1})
    for wrong in ({"cpu": "1"}, {"cpus": "one"}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            ray_options(wrong, None)


def test_a_cluster_without_room_is_told(cluster, copying):
    with pytest.raises(InputError, match="no room for a worker"):
        RayEngine(copying, RayOptions(cluster.address, cpus=1000), 1)
    with pytest.raises(InputError, match="no room for a worker"):
        RayEngine(copying, RayOptions(cluster.address, resources={"site_a": 1}), 1)
    ray.shutdown()


def test_the_driver_is_killed_and_started_again_and_the_files_are_those_of_the_local_engine(cluster, tmp_path):
    model = make_model(tmp_path / "models", "small", ("automatic",))
    (tmp_path / "in").mkdir()
    for seed in range(16):
        ct_file(tmp_path / "in" / f"{seed}.nii.gz", seed)

    def command(name: str, *options: str) -> list[str]:
        words = ["batch", tmp_path / "in", "-o", tmp_path / name, "-m", model, "--previews", "0", *options]
        return [sys.executable, "-m", "openvista", *map(str, words)]

    on_ray = command("ray", "--engine", "ray", "--engine-option", f"address={cluster.address}")
    driver = subprocess.Popen(on_ray, env=os.environ)
    manifest = tmp_path / "ray" / "manifest.jsonl"
    while not manifest.exists() or manifest.read_text().count('"done"') < 4:
        assert driver.poll() is None
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert subprocess.run(on_ray, env=os.environ, check=False).returncode == 0
    assert subprocess.run(command("local"), check=False).returncode == 0
    done = Counter(record["case_id"] for record in records([manifest]) if record["state"] == "done")
    assert done == {str(seed): 1 for seed in range(16)}
    assert json.loads((tmp_path / "ray" / "progress.json").read_text())["kept"] >= 4
    for seed in range(16):
        for ending in ("nii.gz", "json"):
            name = f"{seed}_seg.{ending}"
            assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
