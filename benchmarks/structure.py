"""How much of the package a reader meets: imports between the files of a folder, circles, and the files of each walk.

    python benchmarks/structure.py              # both tables, as in docs/architecture.md
    python benchmarks/structure.py --files      # and the files of each walk, in the order they are entered

Imports are counted from the source: one for each pair of files in the same folder. A walk is counted by calls: it is
done for real, on a made-up scan, and every file of the package counts in which a function or method is called.
"""

import argparse
import ast
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import nibabel as nib
import numpy as np

import openvista

PACKAGE = Path(openvista.__file__).parent


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", action="store_true", help="list the files of each walk")
    arguments = parser.parse_args()
    edges, lines = import_edges(), Counter(dict.fromkeys(folders(), 0))
    for file in PACKAGE.rglob("*.py"):
        lines[folder_of(file)] += len(file.read_text(encoding="utf-8").splitlines())
    inside = Counter(folder_of(one) for one, other in edges if folder_of(one) == folder_of(other))
    print("| folder | files | lines | imports between its files |\n|---|---|---|---|")
    for folder in sorted(lines):
        print(f"| `{folder}` | {len(list((PACKAGE / folder).glob('*.py')))} | {lines[folder]} | {inside[folder]} |")
    total = sum(lines.values())
    print(f"| all | {len(list(PACKAGE.rglob('*.py')))} | {total} | {sum(inside.values())} |\n")
    print("Files in circles of imports: " + (", ".join(sorted(in_circles(edges))) or "none") + "\n")
    print("| walk | files entered | their lines |\n|---|---|---|")
    for name, entered in walks():
        length = sum(len((PACKAGE / file).read_text(encoding="utf-8").splitlines()) for file in entered)
        print(f"| {name} | {len(entered)} | {length} |")
        if arguments.files:
            print("\n".join(f"|   {file} | | |" for file in entered))


# --- imports, from the source ---


def folder_of(file: Path) -> str:
    """The folder of a file below the package, "." for the package's own."""
    return file.relative_to(PACKAGE).parent.as_posix()


def folders() -> set[str]:
    """All folders with Python files in them."""
    return {folder_of(file) for file in PACKAGE.rglob("*.py")}


def import_edges() -> set[tuple[Path, Path]]:
    """(importing file, imported file) within the package; imports inside functions count too."""
    files = {}
    for file in PACKAGE.rglob("*.py"):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        files[".".join(parts).removesuffix(".__init__")] = file
    edges = set()
    for file in files.values():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module:
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [name if name in files else node.module for name in inner]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            edges |= {(file, files[name]) for name in names if name in files and files[name] != file}
    return edges


def in_circles(edges: set[tuple[Path, Path]]) -> set[str]:
    """Files that can be reached from themselves."""
    graph: dict[Path, set[Path]] = {}
    for one, other in edges:
        graph.setdefault(one, set()).add(other)
    found = set()
    for start in graph:
        seen: set[Path] = set()
        ahead = [start]
        while ahead:
            for file in graph.get(ahead.pop(), set()) - seen:
                seen.add(file)
                ahead.append(file)
        if start in seen:
            found.add(start.relative_to(PACKAGE).as_posix())
    return found


# --- walks, by calls ---


def walks() -> Iterator[tuple[str, list[str]]]:
    """Each walk's name and the files it enters, in order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ct.nii.gz"
        write_ct(path)
        yield "a CT, from the command line to the label map", entered_by(lambda: run_command(path, Path(folder)))
        model, scan = openvista.load_model("starter"), openvista.read_scan(path)
        session = model.open(scan)
        yield "a click in a session", entered_by(lambda: session.click((20, 20, 15), "brainstem", automatic=False))
        yield "a second click, and its mask", entered_by(lambda: (session.click((24, 20, 15)), session.mask("object")))
        yield "a click over HTTP", click_over_http(path, Path(folder))


def write_ct(path: Path) -> None:
    """A made-up head: a ball of tissue with a brighter ball in it, in air."""
    places = np.indices((40, 40, 30)).astype(np.float32) - np.array([20, 20, 15], np.float32).reshape(3, 1, 1, 1)
    radius = np.sqrt((places**2).sum(0))
    voxels = np.where(radius < 6, 60, np.where(radius < 14, 20, -1000)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([-3.0, -3.0, 3.0, 1.0])), path)


def run_command(path: Path, folder: Path) -> None:
    """``openvista segment``, in this process."""
    from openvista.cli import main as command_line

    given, sys.argv = sys.argv, ["openvista", "segment", str(path), "-o", str(folder / "out.nii.gz"), "-q"]
    try:
        command_line()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"openvista segment ended with {end.code}") from None
    finally:
        sys.argv = given


def click_over_http(path: Path, folder: Path) -> list[str]:
    """Upload, session and one click; the files that the click alone enters."""
    from fastapi.testclient import TestClient

    from openvista.serve.app import create_app
    from openvista.serve.settings import make_settings

    entered: list[str] = []
    with watched(entered):  # from the start: the server's threads are made once
        app = create_app(make_settings(state=folder / "state", models=("starter",)))
        with TestClient(app, base_url="http://127.0.0.1") as http:
            with path.open("rb") as file:
                scan = http.post("/api/v1/scans", files={"file": (path.name, file)}).raise_for_status().json()
            body = {"scan_id": scan["id"]}
            session = http.post("/api/v1/sessions", json=body).raise_for_status().json()
            entered.clear()
            click = {"clicks": [{"voxel": [20, 20, 15]}], "object": "brainstem", "automatic": False}
            http.post(f"/api/v1/sessions/{session['id']}/clicks", json=click).raise_for_status()
            return list(entered)


def entered_by(work: Callable[[], Any]) -> list[str]:
    """The files in which a piece of work calls something, in the order they are entered."""
    entered: list[str] = []
    with watched(entered):
        work()
    return entered


@contextmanager
def watched(entered: list[str]) -> Iterator[None]:
    """Note every file of the package in which something is called, in all threads that begin meanwhile."""
    prefix = f"{PACKAGE}/"

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(prefix) and code.co_name != "<module>":
            file = code.co_filename.removeprefix(prefix)
            if file not in entered:
                entered.append(file)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
