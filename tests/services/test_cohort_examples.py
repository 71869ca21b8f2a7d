"""The examples of docs/cohorts.md: Snakemake is run, manifests of Kubernetes are checked against its schemas."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from hera.workflows.models import Workflow
from serving import ct_file
from typer.testing import CliRunner

from openvista.cli.main import app
from openvista.errors import InputError

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


def test_the_argo_workflow_is_one():
    """Hera's models are made from Argo's own schema; what they do not know they leave out."""
    workflow = yaml.safe_load(block("argo"))

    def known(content: dict) -> dict:
        return json.loads(Workflow.model_validate(content).model_dump_json(by_alias=True, exclude_none=True))

    assert known(workflow) == workflow
    workflow["spec"]["templates"][1]["retryStrategies"] = {"limit": "3"}
    assert known(workflow) != workflow


def test_the_ray_job_has_what_kuberay_needs():
    """No package carries KubeRay's schema: these are the fields that its documentation calls required."""
    job = yaml.safe_load(block("kuberay"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["spec"].keys() <= {"entrypoint", "shutdownAfterJobFinishes", "rayClusterSpec"}
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["headGroupSpec"].keys() == {"rayStartParams", "template"}
    for group in cluster["workerGroupSpecs"]:
        assert group.keys() == {"groupName", "replicas", "rayStartParams", "template"}
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    words = job["spec"]["entrypoint"].split()
    assert words[0] == "openvista"
    assert_is_command(words[1:])


@pytest.mark.parametrize("name", ["kubernetes", "argo"])
def test_containers_call_commands_that_there_are(name):
    content = yaml.safe_load(block(name))
    if name == "kubernetes":
        container = content["spec"]["template"]["spec"]["containers"][0]
    else:
        container = content["spec"]["templates"][1]["container"]
    words = [re.sub(r"\$\(JOB_COMPLETION_INDEX\)|{{inputs.parameters.index}}", "0", word) for word in container["args"]]
    assert_is_command(words)


def test_nextflow_calls_a_command_that_there_is():
    """Nextflow needs Java and is not run: its braces close, and its script is a command of ours."""
    text = block("nextflow")
    assert text.count("{") == text.count("}")
    script = re.search(r'script: "(.*)"', text)
    assert script is not None
    assert_is_command(re.sub(r"\${params.shards}", "4", script[1]).replace("${index}", "0").split()[1:])


def assert_is_command(words: list[str]) -> None:
    """Its options are known and have values that can be read; the scans are not there."""
    ended = CliRunner().invoke(app, words)
    assert isinstance(ended.exception, InputError), ended.output
    assert re.search("no such file or folder|cannot be reached", str(ended.exception))


def test_the_pods_of_kuberay_and_argo_fit_their_schemas():
    ray = yaml.safe_load(block("kuberay"))["spec"]["rayClusterSpec"]
    argo = yaml.safe_load(block("argo"))["spec"]["templates"]
    pods = [ray["headGroupSpec"]["template"], *(group["template"] for group in ray["workerGroupSpecs"])]
    pods.append({"spec": {"containers": [{"name": "main", **argo[1]["container"]}]}})
    for pod in pods:
        whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "checked"}, **pod}
        kubernetes_validate.validate(whole, KUBERNETES, strict=True)
