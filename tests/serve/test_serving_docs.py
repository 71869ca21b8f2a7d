"""The examples of docs/serving.md, run as written: its ``bash`` and ``python`` blocks (``sh`` is for starting)."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import SECONDS, ct_file, process

from openvista.serve.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def desk(two_branches, tmp_path_factory) -> Iterator[tuple[Path, str]]:
    """A folder with a CT, and the address of a server whose datastore has the same one."""
    folder = tmp_path_factory.mktemp("desk")
    ct_file(folder / "ct.nii.gz")
    store = folder / "store"
    store.mkdir()
    shutil.copy(folder / "ct.nii.gz", store)
    with process(two_branches, folder / "state", "--datastore", str(store)) as (_, http):
        yield folder, str(http.base_url).rstrip("/")


def test_there_are_examples_for_every_face():
    assert len(BLOCKS) >= 6
    for address in ("/api/v1/", "/v1/vista3d/inference", "/infer/", "openvista.client", "monailabel.client"):
        assert any(address in code for _, code in BLOCKS), address


@pytest.mark.parametrize(("language", "code"), BLOCKS, ids=lambda value: value.splitlines()[0][:40])
def test_the_examples_run(desk, language, code):
    folder, address = desk
    if language == "bash" and shutil.which("curl") is None:
        pytest.skip("no curl here")
    if "monailabel" in code and (importlib.util.find_spec("monailabel") is None or sys.version_info >= (3, 13)):
        pytest.skip("the stock client is not here; the same by hand is tested")
    assert ADDRESS in code
    code = code.replace(ADDRESS, address)
    command = ["bash", "-euc", code] if language == "bash" else [sys.executable, "-W", "ignore", "-c", code]
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_examples_left_what_they_say(desk):
    folder, _ = desk
    written = {path.name for path in folder.iterdir()}
    assert {"case_seg.nii.gz", "case.ovsession"} <= written
    assert list((folder / "results").glob("*_seg.nii.gz"))


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_named(name):
    assert re.search(rf"^\|.*`{name.upper()}`.*\|", TEXT, re.MULTILINE)


def test_the_numbers_have_these_names(desk):
    import httpx

    page = httpx.get(f"{desk[1]}/metrics", trust_env=False).text
    named = set(re.findall(r"`(openvista_\w+)`", TEXT))
    assert len(named) > 10
    assert {name for name in named if f"\n{name}" not in page and f" {name}" not in page} == set()


@pytest.mark.parametrize("file", ["docker/Dockerfile", "docker/compose.yaml", "docs/serving.md"])
def test_no_setting_is_named_that_there_is_not(file):
    text = (PAGE.parents[1] / file).read_text(encoding="utf-8")
    named = {name.lower() for name in re.findall(r"OPENVISTA_SERVE_([A-Z_]+)", text)}
    assert named - {""} <= set(Settings.model_fields)
