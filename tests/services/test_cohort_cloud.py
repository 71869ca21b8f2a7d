"""A cohort from a bucket to a bucket: moto's S3 on this machine, which goes away for a while."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from serving import ct_file, make_model

from openvista.cohort.manifest import records
from openvista.io import read_scan
from small_dicom import write_series

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def server() -> Iterator[ThreadedMotoServer]:
    started = ThreadedMotoServer("127.0.0.1", port=0)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def environment(server, tmp_path) -> dict[str, str]:
    host, port = server.get_host_and_port()
    return {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": f"http://{host}:{port}", "HOME": str(tmp_path)}


@pytest.fixture
def bucket(environment, tmp_path):
    """With five scans: four files, and one of slices."""
    keys = dict(zip(("aws_access_key_id", "aws_secret_access_key", "region_name"), CREDENTIALS.values(), strict=True))
    made = boto3.resource("s3", endpoint_url=environment["AWS_ENDPOINT_URL"], **keys).Bucket("cohort")
    made.create()
    made.objects.delete()
    for seed in range(4):
        made.upload_file(str(ct_file(tmp_path / f"{seed}.nii.gz", seed)), f"in/site/{seed}.nii.gz")
    scan = read_scan(tmp_path / "0.nii.gz")
    for file in write_series(tmp_path / "study", scan.voxels, scan.grid.affine):
        made.upload_file(str(file), f"in/study/{file.name}")
    return made


def start(tmp_path: Path, environment: dict[str, str], *options: str) -> "subprocess.Popen[str]":
    model = tmp_path / "models" / "small"
    if not model.exists():
        make_model(tmp_path / "models", "small", ("automatic",))
    words = ["batch", "s3://cohort/in", "-o", "s3://cohort/out", "-m", str(model), "--previews", "0", *options]
    command = [sys.executable, "-m", "openvista", *words]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def finish(driver: "subprocess.Popen[str]") -> tuple[int, str]:
    _, said = driver.communicate(timeout=300)
    return driver.returncode, said


def test_from_bucket_to_bucket_and_again_from_another_machine(bucket, environment, tmp_path):
    assert finish(start(tmp_path, environment, "--state", str(tmp_path / "state"))) == (0, "")
    stored = {item.key: item.last_modified for item in bucket.objects.filter(Prefix="out/")}
    expected = [f"out/site/{seed}_seg.{ending}" for seed in range(4) for ending in ("nii.gz", "json")]
    expected += ["out/study_seg.nii.gz", "out/study_seg.json"]
    about = ["out/manifest.jsonl", "out/report.html", "out/cases.csv", "out/volumes.csv"]
    assert sorted(stored) == sorted(expected + about)
    bucket.Object("out/site/2_seg.nii.gz").delete()
    assert finish(start(tmp_path, environment, "--state", str(tmp_path / "elsewhere"))) == (0, "")
    now = {item.key: item.last_modified for item in bucket.objects.filter(Prefix="out/")}
    done = [record["case_id"] for record in records([tmp_path / "elsewhere" / "manifest.jsonl"]) if "ended" in record]
    assert sorted(done) == ["site/0", "site/1", "site/2", "site/2", "site/3", "study"]
    assert now.keys() == stored.keys()


def test_a_bucket_that_is_away_for_a_while(bucket, server, environment, tmp_path):
    driver = start(tmp_path, environment, "--state", str(tmp_path / "state"), "--workers", "1")
    manifest = tmp_path / "state" / "manifest.jsonl"
    while not manifest.exists() or '"done"' not in manifest.read_text():
        assert driver.poll() is None
        time.sleep(0.02)
    port = server.get_host_and_port()[1]
    server.stop()
    while '"storage"' not in manifest.read_text():
        assert driver.poll() is None
        time.sleep(0.1)
    returned = ThreadedMotoServer("127.0.0.1", port=port)
    returned.start()
    try:
        assert finish(driver) == (0, "")
    finally:
        returned.stop()


def test_credentials_that_are_missing_or_wrong_are_told(bucket, environment, tmp_path):
    bare = {key: value for key, value in environment.items() if key not in CREDENTIALS}
    code, said = finish(start(tmp_path, {**bare, "AWS_EC2_METADATA_DISABLED": "true"}, "--state", str(tmp_path / "s")))
    assert code == 2
    assert "check the address, the network and the credentials" in said
    assert len(said.strip().splitlines()) == 1


def test_a_bucket_needs_a_folder_for_the_manifest(bucket, environment, tmp_path):
    code, said = finish(start(tmp_path, environment))
    assert code == 2
    assert "--state FOLDER" in said
