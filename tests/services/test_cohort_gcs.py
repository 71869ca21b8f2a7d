"""A cohort from a Google bucket to a Google bucket: gcp-storage-emulator on this machine, through gcsfs."""

import os
import subprocess
import sys

import pytest
import requests
from gcp_storage_emulator.server import create_server
from serving import ct_file, make_model


@pytest.fixture
def address():
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="cohort")
    server.start()
    try:
        yield "http://{}:{}".format(*server._api._httpd.server_address[:2])
    finally:
        server.stop()


def stored(address: str) -> set[str]:
    found = requests.get(f"{address}/storage/v1/b/cohort/o", timeout=10).json()
    return {item["name"] for item in found.get("items", [])}


def test_from_bucket_to_bucket_and_nothing_twice(address, tmp_path):
    model = make_model(tmp_path / "models", "small", ("automatic",))
    for seed in range(3):
        content = ct_file(tmp_path / f"{seed}.nii.gz", seed).read_bytes()
        where = f"{address}/upload/storage/v1/b/cohort/o?uploadType=media&name=in/site/{seed}.nii.gz"
        requests.post(where, data=content, headers={"Content-Type": "application/gzip"}, timeout=10).raise_for_status()
    words = ["batch", "gs://cohort/in", "-o", "gs://cohort/out", "--state", tmp_path / "state", "-m", model]
    command = [sys.executable, "-m", "openvista", *map(str, words), "--previews", "0"]
    environment = {
        **os.environ,
        "STORAGE_EMULATOR_HOST": address,
        "FSSPEC_GCS_TOKEN": "anon",
        "FSSPEC_GS_TOKEN": "anon",
    }
    for done in ("3 done now", "0 done now and 3 earlier"):
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert done in ended.stdout
    results = {f"out/site/{seed}_seg.{ending}" for seed in range(3) for ending in ("nii.gz", "json")}
    about = {"out/manifest.jsonl", "out/report.html", "out/cases.csv", "out/volumes.csv"}
    assert {name for name in stored(address) if name.startswith("out/")} == results | about
