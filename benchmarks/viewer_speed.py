"""How fast the viewer is with a large CT: PYTHONPATH=tests/e2e python benchmarks/viewer_speed.py

Starts a server and headless Chromium, which draws without a graphics card, opens the made-up CT of 512 x 512 x 400
voxels as a user does, and measures:

- from choosing the file to the first image, and until all of the scan is in the picture;
- a fast wheel of 30 notches a second: frames drawn, and how long the last slice took after the last notch;
- memory of the page: JavaScript's heap with its array buffers, and the most that the process ever had;
- one stroke of the brush: bytes of the answer, and time until the picture shows it.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from large_ct import write_body
from playwright.sync_api import Page, sync_playwright
from viewer import Viewer

from conftest import BROWSER_OPTIONS, find_browser, serving

_NOTCHES = 60
_NOTCH_MS = 33
_MB = 1e6

# what a user waits for is timed in the page, from the moment it gets the file
_WATCH_FILE = """() => {
  const input = document.getElementById('open-file');
  input.addEventListener('change', () => { window.chosen = performance.now(); }, { capture: true });
  const place = document.querySelector('.place');
  window.first = new Promise((done) => new MutationObserver((_, watcher) => {
    if (!place.textContent) return;
    watcher.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - window.chosen)));
  }).observe(place, { childList: true, characterData: true, subtree: true }));
}"""
_WHEEL = """async ([notches, interval]) => {
  const layer = document.querySelector('.layer');
  const { left, top, width, height } = layer.getBoundingClientRect();
  const at = { clientX: left + width / 4, clientY: top + height / 4, bubbles: true, cancelable: true };
  const slider = document.querySelector('.slice-bar.axial input');
  const before = Number(slider.value);
  const seen = new Set();
  const start = performance.now();
  let turned = 0;
  while (turned < notches) {
    // a hand does not wait: what is due by now arrives now
    while (turned < notches && performance.now() >= start + turned * interval) {
      layer.dispatchEvent(new WheelEvent('wheel', { ...at, deltaY: 100 }));
      turned += 1;
    }
    await new Promise((done) => requestAnimationFrame(done));
    seen.add(slider.value);
  }
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const end = performance.now();
  return {
    slices: before - Number(slider.value), frames: seen.size,
    seconds: (end - start) / 1000, late: end - (start + (notches - 1) * interval),
  };
}"""


def main() -> None:
    """Print the figures."""
    arguments = parse()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, started(Path(folder)) as (browser, address):
        scans = {name: Path(folder, f"large{name}") for name in arguments.endings}
        for path in scans.values():
            write_body(path)
        for name, path in scans.items():
            found = [opened(browser, address, path) for _ in range(arguments.repeats)]
            for what in found[0]:
                values = [one[what] for one in found]
                tell(
                    f"{name}: {what}", f"{statistics.median(values):.2f}", f"({', '.join(f'{v:.2f}' for v in values)})"
                )
        for what, value in worked(browser, address, next(iter(scans.values()))).items():
            tell(what, f"{value:.2f}")
    tell("load of the machine over the last minute, at the end", f"{os.getloadavg()[0]:.1f}")


def tell(*parts: str) -> None:
    """A line at once."""
    print(*parts, flush=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="openings of each file; the median counts")
    parser.add_argument("--endings", nargs="+", default=[".nii.gz", ".nii"], help="of the files")
    parser.add_argument("--folder", type=Path, help="for 600 MB of scans and the server's state")
    return parser.parse_args()


@contextmanager
def started(folder: Path) -> Iterator[tuple[Any, str]]:
    """A browser, and the address of a server."""
    with serving(folder / "state") as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(BROWSER_OPTIONS))
        yield browser, address
        browser.close()


@contextmanager
def fresh_page(browser: Any, address: str) -> Iterator[Page]:
    """As a user opens it, with nothing in it."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(600_000)
    page.goto(address)
    page.wait_for_selector("dialog[open]")
    yield page
    context.close()


def opened(browser: Any, address: str, path: Path) -> dict[str, float]:
    """From choosing a file to a picture, then what the wheel does, and what the page takes of memory."""
    with fresh_page(browser, address) as page:
        page.evaluate(_WATCH_FILE)
        before = cpu_seconds(browser)
        page.set_input_files("#open-file", str(path))
        first = page.evaluate("window.first")
        worked = cpu_seconds(browser) - before
        Viewer(page, address).wait_for_picture()
        ready = page.evaluate("performance.now() - window.chosen")
        wheel = page.evaluate(_WHEEL, [_NOTCHES, _NOTCH_MS])
        return {
            "first image, s": first / 1000,
            "first image, processor seconds of the browser": worked,
            "scan with the server and ready for prompts, s": ready / 1000,
            f"slices turned by {_NOTCHES} notches": wheel["slices"],
            "frames drawn a second": wheel["frames"] / wheel["seconds"],
            "last slice after the last notch, ms": wheel["late"],
            **memory(browser, page),
        }


def memory(browser: Any, page: Page) -> dict[str, float]:
    """MB of a page."""
    client = page.context.new_cdp_session(page)
    client.send("HeapProfiler.collectGarbage")
    heap = client.send("Runtime.getHeapUsage")
    peaks = {
        kind: max(peak_mb(process["id"]) for process in processes(browser) if process["type"] == kind)
        for kind in ("renderer", "GPU")
    }
    return {
        "JavaScript's heap, MB": heap["usedSize"] / _MB,
        "array buffers, MB": heap["backingStorageSize"] / _MB,
        "page's process at most, MB": peaks["renderer"],
        "process that draws (the card's memory is in it) at most, MB": peaks["GPU"],
    }


def processes(browser: Any) -> list[dict[str, Any]]:
    """All of the browser, with their kind and the processor time they have used."""
    return list(browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"])


def cpu_seconds(browser: Any) -> float:
    """What the browser has used of processors: on a busy machine it says more than a clock."""
    return sum(float(process["cpuTime"]) for process in processes(browser))


def peak_mb(process: int) -> float:
    """The most that a process had in memory."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / _MB


def worked(browser: Any, address: str, path: Path) -> dict[str, float]:
    """A stroke of the brush."""
    with fresh_page(browser, address) as page:
        viewer = Viewer(page, address)
        viewer.open(path)
        page.keyboard.press("p")
        at = viewer.point("axial")
        start = time.perf_counter()
        with page.expect_response("**/edits") as answer:
            viewer.stroke([at, (at[0] + 20, at[1])])
        seconds = time.perf_counter() - start
        sent = len(answer.value.body())
        return {
            "stroke of the brush: kB of the answer": sent / 1e3,
            "stroke of the brush: s until it is drawn": seconds,
        }


if __name__ == "__main__":
    main()
