"""The viewer as a user's hands and eyes, and the server's own word for comparison."""

import gzip
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from matplotlib import image as png
from scipy import ndimage

PLANES = {"axial": (0.25, 0.25), "render": (0.75, 0.25), "coronal": (0.25, 0.75), "sagittal": (0.75, 0.75)}
"""Middle of each tile of the picture, as fractions of its width and height."""

FRAME = 4
"""Pixels."""

STRAY_PIXELS = 5
"""Of 3D, that may differ where no label is."""


class Viewer:
    """One page.

    Attributes:
        page: Playwright's.
    """

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self._address = address

    def open(self, path: Path) -> None:
        """Choose a file in the dialog and wait for the picture."""
        self.page.wait_for_selector("dialog[open]")
        self.page.set_input_files("#open-file", str(path))
        self.wait_for_picture()

    def wait_for_picture(self) -> None:
        self.page.wait_for_url("**/#session=*")
        self.page.wait_for_selector(".place:not(:empty)")
        self.wait_until_idle()

    def wait_until_idle(self) -> None:
        """Nothing is being worked on, and the last frame is drawn."""
        self.page.wait_for_selector("#work", state="hidden")
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        self.page.wait_for_selector("canvas:not([aria-busy='true'])", state="attached")

    def segment(self, name: str) -> None:
        self.page.click(f"button[data-class='{name}']")
        self.page.wait_for_selector(f"[data-object='{name}']")
        self.wait_until_idle()

    def new_object(self, number: int = 1) -> None:
        """Press the button; the session's objects are called "object 1" and so on."""
        self.page.click("#new-object")
        self.page.wait_for_selector(f"[data-object='object {number}']")

    def zoom_in(self, notches: int) -> None:
        """Around where the mouse is."""
        self.page.keyboard.down("Control")
        for _ in range(notches):
            self.page.mouse.wheel(0, -120)
        self.page.keyboard.up("Control")

    def point(self, plane: str, right: float = 0, down: float = 0) -> tuple[float, float]:
        """Page position in a plane, so many pixels from the middle of its tile.

        A tool's own options make the picture smaller: where its planes are, is known when that has been drawn.
        """
        self.wait_until_idle()
        frame = self.page.locator(".layer").bounding_box()
        across, along = PLANES[plane]
        return frame["x"] + frame["width"] * across + right, frame["y"] + frame["height"] * along + down

    def stroke(self, points: Sequence[tuple[float, float]], button: str = "left", steps: int = 4) -> None:
        """Press at the first point, drag through the others, each in some steps, release."""
        mouse = self.page.mouse
        mouse.move(*points[0])
        mouse.down(button=button)
        for point in points[1:]:
            mouse.move(*point, steps=steps)
        mouse.up(button=button)
        self.wait_until_idle()

    def picture(self) -> np.ndarray:
        """What is on the screen, without the frame that shows focus: float [rows, columns, RGB], 0..1."""
        self.page.mouse.move(5, 795)
        return png.imread(io.BytesIO(self.page.locator(".picture").screenshot()))[FRAME:-FRAME, FRAME:-FRAME, :3]

    def changed_by_labels(self, least: float = 0.1) -> np.ndarray:
        """Pixels of the picture that change by some part of full brightness when the labels are hidden, bool."""
        self.page.locator(".layer").focus()
        shown = self.picture()
        self.page.keyboard.press("h")
        self.wait_until_idle()
        hidden = self.picture()
        self.page.keyboard.press("h")
        self.wait_until_idle()
        return np.abs(shown - hidden).max(axis=2) > least

    def labels_on_screen(self) -> dict[str, int]:
        """Pixels of each tile that change when the labels are hidden.

        Up to ``STRAY_PIXELS`` in 3D count as none: beside labels, rays that graze an edge step a little differently.
        """
        changed = self.changed_by_labels()
        rows, columns = (size // 2 for size in changed.shape)
        tiles = {"axial": (0, 0), "render": (0, columns), "coronal": (rows, 0), "sagittal": (rows, columns)}
        seen = {name: int(changed[r : r + rows, c : c + columns].sum()) for name, (r, c) in tiles.items()}
        return seen | {"render": seen["render"] if seen["render"] > STRAY_PIXELS else 0}

    def shows(self, mask: np.ndarray, reach: int = 60) -> bool:
        """Whether the axial plane, around its middle, shows a mask and nothing else, but for a voxel at its edges."""
        self.page.keyboard.press("n")
        voxels = []
        far = 100  # so that whole voxels tell where parts of them are
        for right, down in ((far, 0), (-far, 0), (0, far), (0, -far), (0, 0)):
            self.page.mouse.click(*self.point("axial", right, down))
            self.wait_until_idle()
            voxels.append(np.array(self.place()[0]))
        changed = self.changed_by_labels(0.01)
        frame = self.page.locator(".picture").bounding_box()
        x, y = self.point("axial")
        row, column = round(y - frame["y"]) - FRAME, round(x - frame["x"]) - FRAME
        offsets = np.arange(-reach, reach + 1)
        steps = [(voxels[first] - voxels[first + 1]) / (2 * far) for first in (0, 2)]
        middle = np.mean(voxels[:4], axis=0)
        down, right = np.meshgrid(offsets, offsets, indexing="ij")
        places = np.rint(middle + right[..., None] * steps[0] + down[..., None] * steps[1]).astype(int)
        around = np.ones((3, 3, 1), bool)
        sure = [ndimage.binary_erosion(mask, around), ~ndimage.binary_dilation(mask, around)]
        inside, outside = (part[tuple(np.moveaxis(places, -1, 0))] for part in sure)
        seen = changed[row - reach : row + reach + 1, column - reach : column + reach + 1]
        clear = (np.abs(right) > 4) & (np.abs(down) > 4)  # of the crosshair
        return bool((inside & clear).any() and seen[inside & clear].all() and not seen[outside].any())

    def place(self) -> tuple[tuple[int, int, int], int, str]:
        """What the status line says of the crosshair: voxel, HU, object."""
        text = self.page.locator(".place").inner_text()
        voxel = re.search(r"voxel (-?\d+), (-?\d+), (-?\d+)", text)
        hu = re.search(r"([−\d]+) HU(?:\s+·\s+(.+))?", text)
        assert voxel, text
        assert hu, text
        x, y, z = (int(number) for number in voxel.groups())
        return (x, y, z), int(hu.group(1).replace("−", "-")), (hu.group(2) or "").strip()

    @property
    def session_id(self) -> str:
        return str(self.page.evaluate("new URLSearchParams(location.hash.slice(1)).get('session')"))

    def api(self, rest: str = "") -> Any:
        """The server's answer about this session, asked with the page's own cookies."""
        answer = self.page.request.get(f"{self._address}/api/v1/sessions/{self.session_id}{rest}")
        assert answer.ok, answer.text()
        return answer

    def scan(self) -> dict[str, Any]:
        """The server's answer about this session's scan."""
        scan_id = self.api().json()["scan_id"]
        return dict(self.page.request.get(f"{self._address}/api/v1/scans/{scan_id}").json())

    def objects(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.api().json()["objects"]}

    def segmentation(self) -> nib.Nifti1Image:
        return read_nifti(self.api("/segmentation").body())

    def mask(self, name: str) -> np.ndarray:
        """An object's own voxels, bool."""
        content = self.api(f"/objects/{self.objects()[name]['id']}/mask").body()
        return np.asanyarray(read_nifti(content).dataobj) > 0

    def can_click(self) -> bool:
        info = self.page.request.get(f"{self._address}/api/v1/info").json()
        return bool(info["features"]["clicks"])


@contextmanager
def visiting(browser: Any, address: str, **device: Any) -> Iterator[Viewer]:
    """A fresh user on some device, in Playwright's words for one."""
    context = browser.new_context(color_scheme="dark", **device)
    page = context.new_page()
    page.set_default_timeout(300_000)  # a busy machine without a graphics card
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    page.goto(address)
    yield Viewer(page, address)
    context.close()
    assert thrown == []


def read_nifti(content: bytes) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
