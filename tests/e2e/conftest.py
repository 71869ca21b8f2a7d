"""A real ``openvista serve`` on loopback, and Debian's Chromium. Not run by ``make test``."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import pytest
from viewer import Viewer, visiting

pytest.importorskip("playwright.sync_api", reason="pip install 'openvista[e2e]'")

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[2]
MODEL = os.environ.get("OPENVISTA_E2E_MODEL", "starter")
START_SECONDS = 120
BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome")
# WebGL without a graphics card; the sandbox needs rights that containers lack
BROWSER_OPTIONS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """Where the server is that the tests of a file share: it keeps so many scans only."""
    with serving(tmp_path_factory.mktemp("state")) as found:
        yield found


@contextmanager
def serving(state: Path) -> Iterator[str]:
    """Address of a server that keeps its scans in a folder."""
    command = [sys.executable, "-m", "openvista", "serve", "--port", "0", "--no-restart", "--model", MODEL]
    command += ["--state", str(state), "--root", str(ROOT / "examples" / "data")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    timer = threading.Timer(START_SECONDS, process.kill)
    timer.start()
    try:
        found = _printed_address(process)
        timer.cancel()
        yield found
    finally:
        timer.cancel()
        process.terminate()
        process.wait(60)


def _printed_address(process: subprocess.Popen[str]) -> str:
    for line in process.stdout or ():
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            return found.group()
    raise AssertionError(f"openvista serve ended with {process.wait()} before it printed its address")


@pytest.fixture(scope="session")
def small_ct(tmp_path_factory, example_ct: Path) -> Path:
    """A few windows of the network out of the example, with the middle of the larynx in the middle."""
    path = tmp_path_factory.mktemp("scans") / "small.nii.gz"
    nib.save(nib.load(example_ct).slicer[35:85, 14:66, 40:80], path)
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=list(BROWSER_OPTIONS))
        yield started
        started.close()


def find_browser() -> str | None:
    """Chromium's program."""
    return next(filter(None, map(shutil.which, BROWSER_NAMES)), None)


@pytest.fixture
def viewer(browser: Browser, address: str) -> Iterator[Viewer]:
    """A fresh user with an empty viewer, ready to open a scan; the page must not have thrown anything."""
    with visiting(browser, address, viewport={"width": 1280, "height": 800}) as found:
        yield found
