"""A disk that is full at every write, and folders that cannot be written: on a small disk of its own (tmpfs; root)."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from serving import ct_file, make_model, post_file, running

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

from kills import Child, Command, check_whole, make_commands, unfinished

from small_dicom import ACQUISITIONS, affine_of, write_series

pytestmark = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root mounts")

PAGE = 4096
SIZES = [2, 3, 5, 8, 12, 20, 40, 80, 160, 320, 640, 1280]
"""Of the disk in pages: with each, another write is the one that fails."""


class Disk:
    """A file system in memory, of so many pages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mount("size=1g", "-t", "tmpfs", "tmpfs")

    def _mount(self, options: str, *words: str) -> None:
        command = ["mount", *words, "-o", options, self.folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"cannot mount here: {done.stderr.strip()}")

    def resize(self, pages: int) -> None:
        self._mount(f"remount,size={pages * PAGE}")

    @property
    def used(self) -> int:
        """Pages that hold something."""
        state = os.statvfs(self.folder)
        return (state.f_blocks - state.f_bfree) * state.f_frsize // PAGE

    def protect(self, yes: bool) -> None:
        self._mount(f"remount,{'ro' if yes else 'rw'}")

    def close(self) -> None:
        subprocess.run(["umount", "-l", self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    (tmp_path / "disk").mkdir()
    opened = Disk(tmp_path / "disk")
    yield opened
    opened.close()


def phantom() -> np.ndarray:
    """A CT for the formats that need DICOM."""
    return np.random.default_rng(0).integers(-200, 300, (20, 18, 8)).astype(np.int16)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Command]:
    folder = tmp_path_factory.mktemp("commands")
    made = make_commands(folder)
    ct, tiny = made["segment"].arguments(folder)[1], str(folder / "tiny")
    series = folder / "series"
    write_series(series, phantom(), affine_of(ACQUISITIONS["axial"], (3.0, 3.0, 3.0)))
    for form in ("nii", "nrrd", "seg.nrrd", "mha", "stl", "glb", "dicom-seg", "dicom-rtstruct", "dicom-sr"):
        source = str(series) if form.startswith("dicom") else ct
        made[form] = Command(lambda out, form=form, source=source: [
            "segment", source, "-m", tiny, "-o", f"{out}/", "--format", form, "--statistics", "-q"])  # fmt: skip
    made["per class"] = Command(lambda out: ["segment", ct, "-m", tiny, "-o", f"{out}/", "--per-class",
                                             "--probabilities", "-q"])  # fmt: skip
    made["batch"] = Command(lambda out: ["batch", ct, str(folder / "ct1.nii.gz"), "-o", str(out), "-m", tiny,
                                         "--workers", "1", "-q"])  # fmt: skip
    return made


def run(command: Command, out: Path, log: Path, again: bool) -> tuple[int | None, str]:
    child = Child([*command.arguments(out), *(command.again if again else ())], log)
    return child.wait(600), child.said()


NAMES = ["segment", "nii", "nrrd", "seg.nrrd", "mha", "stl", "glb", "dicom-seg", "dicom-rtstruct", "dicom-sr",
         "per class", "click", "evaluate", "finetune", "batch"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_disk_that_is_full_at_every_write(commands, disk, tmp_path, name):
    """One line that names the file and the reason; what is there is whole; with space, the second start goes on."""
    command, failed = commands[name], 0
    out = disk.folder / "out"
    out.mkdir()
    for pages in SIZES if name != "finetune" else [8, 40, 2000, 14000]:
        disk.resize(pages)
        status, said = run(command, out, tmp_path / "log", any(out.iterdir()))
        assert "Traceback" not in said, said
        check_whole(out)
        assert unfinished(out) - {out / "run" / "tensorboard"} == set(), said
        if status == 0:
            break
        failed += 1
        assert status in (2, 3) if name == "batch" else status == 2, said
        assert "No space left on device" in said, said
        assert name == "batch" or len(said.partition("error: ")[2].splitlines()) <= 2, said
    disk.resize(1 << 18)
    status, said = run(command, out, tmp_path / "log", any(out.iterdir()))
    assert status == 0, said
    check_whole(out)
    assert failed > 0


@pytest.mark.parametrize("name", ["segment", "dicom-seg", "click", "evaluate", "finetune", "batch"])
def test_a_folder_that_cannot_be_written(commands, disk, tmp_path, name):
    out = disk.folder / "out"
    out.mkdir()
    disk.protect(True)
    status, said = run(commands[name], out, tmp_path / "log", False)
    disk.protect(False)
    assert status == 2, said
    assert "Traceback" not in said
    assert "Read-only file system" in said or "Permission denied" in said
    assert list(out.iterdir()) == []


def test_an_upload_to_a_full_server_is_507_and_not_the_users_fault(disk, tmp_path):
    content = np.random.default_rng(0).bytes(40 * PAGE)  # a file that gzip cannot pack
    ct = ct_file(tmp_path / "ct.nii.gz").read_bytes()
    model, state = make_model(tmp_path / "model", "small", ("automatic",)), disk.folder / "state"
    with running(models=(str(model),), state=state) as server:
        before = sorted(state.rglob("*"))
        disk.resize(disk.used + 20)
        answer = post_file(server, "ct.nii.gz", content)
        assert (answer.status_code, answer.json()["code"]) == (507, "disk-full")
        disk.resize(1 << 18)
        assert sorted(state.rglob("*")) == before
        assert post_file(server, "ct.nii.gz", ct).status_code == 201
