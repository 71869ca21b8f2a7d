"""How long a session with a large label map takes: PYTHONPATH=tests/e2e python benchmarks/label_map_session.py --stray

Makes a CT and 117 ellipsoids up, the largest of them as long as nearly half the scan, brings them into a session as the
server does, and tells processor seconds and the most memory of what users do then. With ``--stray`` every structure has
two voxels more, at opposite corners of the scan, as results of networks may have: the box around each is the scan.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from large_ct import LARGE, body_hu

import openvista
from openvista.geometry.grid import Axis3, Grid, triple
from openvista.inference.progress import silent
from openvista.scan import Scan, Segmentation
from openvista.serve.schemas import AskClicks, ChangeObject, ClickIn
from openvista.serve.workspace import Workspace

STRUCTURES = 117
EXTENT_MM = (410.0, 410.0, 400.0)

T = TypeVar("T")


def main() -> None:
    """Print the figures."""
    arguments = parse()
    scan, segmentation = make_up(triple(arguments.shape), arguments.stray)
    workspace = Workspace(openvista.load_model("starter"), scan, "best", 8 << 30)
    session = workspace.session
    timed("import", lambda: workspace.start_from(segmentation))
    tell("kept of it, MB", session.open_scan.nbytes / 1e6)
    timed("objects and their volumes", workspace.objects)
    timed("label map for the viewer", lambda: workspace.label_box(0))
    timed("segmentation()", session.segmentation)
    timed("table", workspace.table)
    with tempfile.TemporaryDirectory() as folder:
        timed("export as .nii.gz", lambda: session.segmentation().save(Path(folder, "labels.nii.gz")))
        saved = timed("save", lambda: session.save(Path(folder, "a.ovsession")))
        timed("save again", lambda: session.save(saved))
        timed("open", lambda: Workspace(openvista.load_model("starter"), scan, "best", 8 << 30, saved))
    chosen = session.objects[STRUCTURES // 2]
    x, y, z = np.argwhere(chosen.mask).mean(axis=0).tolist()
    clicks = [AskClicks(object=chosen.id, clicks=[ClickIn(voxel=(x + by, y, z), positive=by > 0)]) for by in (3, -3)]
    timed("first click", lambda: workspace.clicks(clicks[0], silent))
    timed("second click", lambda: workspace.clicks(clicks[1], silent))
    timed("undo", workspace.undo)
    timed("rename", lambda: workspace.change(chosen.id, ChangeObject(name="another")))
    timed("lock", lambda: workspace.change(chosen.id, ChangeObject(locked=True)))
    tell("most memory of the process, GB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=LARGE, help="voxels of the scan")
    parser.add_argument("--stray", action="store_true", help="two voxels of each structure at the ends of the scan")
    return parser.parse_args()


def make_up(shape: Axis3, stray: bool) -> tuple[Scan, Segmentation]:
    """A body, and structures that cover one another where they meet."""
    random, size = np.random.default_rng(5), np.array(shape)
    labels_XYZ = np.zeros(shape, np.uint8, order="F")
    for value in range(1, STRUCTURES + 1):
        radii = random.uniform(0.02, 0.09, 3)
        if value % 8 == 0:
            radii[random.integers(3)] = 0.3
        if value % 12 == 0:
            radii[2] = 0.45
        radii = np.maximum(radii * size, 1.5)
        middle = random.uniform((0.2, 0.3, 0.1), (0.8, 0.7, 0.9)) * size
        away = [((np.arange(n) - m) / r) ** 2 for n, m, r in zip(shape, middle, radii, strict=True)]
        x, y, z = (np.flatnonzero(each <= 1) for each in away)
        inside = away[0][x, None, None] + away[1][None, y, None] + away[2][None, None, z] <= 1
        labels_XYZ[x[0] : x[-1] + 1, y[0] : y[-1] + 1, z[0] : z[-1] + 1][inside] = value
    for value in range(1, STRUCTURES + 1) if stray else ():
        corner = np.array((value % 7, value // 7, value % 5))
        labels_XYZ[tuple(corner)] = labels_XYZ[tuple(size - 1 - corner)] = value
    x, y, z = (extent / length for extent, length in zip(EXTENT_MM, shape, strict=True))
    grid = Grid(shape, np.diag([-x, -y, z, 1.0]))
    names = {value: f"structure {value}" for value in range(1, STRUCTURES + 1)}
    return Scan(body_hu(shape), grid, "made-up"), Segmentation(labels_XYZ, grid, names)


def timed(what: str, work: Callable[[], T]) -> T:
    """Do something and tell the processor seconds it took."""
    began = time.process_time()
    result = work()
    tell(f"{what}, s", time.process_time() - began)
    return result


def tell(what: str, value: float) -> None:
    """A line at once."""
    print(f"{what:32} {value:8.2f}", flush=True)


if __name__ == "__main__":
    main()
