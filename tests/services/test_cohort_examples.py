"""The examples of docs/cohorts.md: Snakemake is run, manifests of Kubernetes are checked against its schemas."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from serving import ct_file

PAGE = (Path(__file__).parents[2] / "docs" / "cohorts.md").read_text(encoding="utf-8")
KUBERNETES = "1.31"
"""The first version in which an index's own limit of tries is stable, and older than every version in use."""


def block(name: str) -> str:
    found = re.findall(rf"^```\w+ {name}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return found[0]


def test_snakemake_runs_shards_and_merges_them(tmp_path):
    snakemake = shutil.which("snakemake", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if snakemake is None:
        pytest.skip("Snakemake is not installed: pip install snakemake")
    (tmp_path / "scans").mkdir()
    for seed in range(4):
        ct_file(tmp_path / "scans" / f"{seed}.nii.gz", seed)
    (tmp_path / "scans" / "bad.nii.gz").write_text("no image")
    (tmp_path / "Snakefile").write_text(block("snakemake"))
    program = tmp_path / "bin" / "openvista"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m openvista "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([snakemake, "--cores", "1"], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)
    cases = (tmp_path / "out" / "cases.csv").read_text()
    assert (cases.count(",done,"), cases.count(",failed,")) == (4, 1)


def test_the_kubernetes_job_fits_its_schema():
    job = yaml.safe_load(block("kubernetes"))
    kubernetes_validate.validate(job, KUBERNETES, strict=True)
    del job["spec"]["template"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, KUBERNETES, strict=True)


def test_the_pods_of_kuberay_and_argo_fit_their_schemas():
    ray = yaml.safe_load(block("kuberay"))["spec"]["rayClusterSpec"]
    argo = yaml.safe_load(block("argo"))["spec"]["templates"]
    pods = [ray["headGroupSpec"]["template"], *(group["template"] for group in ray["workerGroupSpecs"])]
    pods.append({"spec": {"containers": [{"name": "main", **argo[1]["container"]}]}})
    for pod in pods:
        whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "checked"}, **pod}
        kubernetes_validate.validate(whole, KUBERNETES, strict=True)
