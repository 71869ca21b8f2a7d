"""How long DICOM takes: a made-up series read in several transfer syntaxes, its results written and read back.

    OMP_NUM_THREADS=1 python benchmarks/dicom_speed.py --slices 200

The series is noise around soft tissue, 512x512; the 20 structures are ellipsoids. Medians of processor seconds, child
processes included, and sizes of the results.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import openvista as ov
from openvista.geometry.grid import Grid
from openvista.io import read_segmentation
from openvista.io.dicom.rtstruct import write_rtstruct
from openvista.io.dicom.seg import write_seg
from openvista.io.dicom.sr import write_sr
from openvista.scan import Scan, Segmentation

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from make_dicom_series import write_series

SIDE, STRUCTURES = 512, 20
SYNTAXES = {
    "uncompressed": None,
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        series = Path(folder) / "uncompressed"
        write_series(noise(arguments.slices), series)
        for name, syntax in SYNTAXES.items():
            place = series if syntax is None else compressed(series, Path(folder) / name, syntax)
            seconds = median(lambda place=place: ov.read_scan(place), arguments.repeats)
            print(f"read {SIDE}x{SIDE}x{arguments.slices}, {name}: {seconds:.2f} s")
        results(ov.read_scan(series), Path(folder), arguments.repeats)


def results(scan: Scan, folder: Path, repeats: int) -> None:
    """Write every kind of result of the structures, and read labels back."""
    segmentation = ellipsoids(scan)
    writers: dict[str, Callable[[Path], None]] = {
        "SEG": lambda path: write_seg(path, segmentation),
        "SEG as label map": lambda path: write_seg(path, segmentation, labelmap=True),
        "RTSTRUCT": lambda path: write_rtstruct(path, segmentation),
        "SR": lambda path: write_sr(path, segmentation),
    }
    for name, write in writers.items():
        path = folder / f"{name}.dcm"
        line = f"{name}: written in {median(lambda write=write, path=path: write(path), repeats):.2f} s"
        line += f", {path.stat().st_size / 1e6:.1f} MB"
        if name != "SR":
            seconds = median(lambda path=path: read_segmentation(path, scan_grid=scan.grid), repeats)
            line += f", read in {seconds:.2f} s"
        print(line)


def noise(slices: int) -> Scan:
    """HU of soft tissue with a deviation of 20, int16."""
    voxels = np.random.default_rng(0).normal(40, 20, (SIDE, SIDE, slices)).astype(np.int16)
    return Scan(voxels, Grid(voxels.shape, np.diag([-0.8, -0.8, 1.5, 1.0])), "made-up")


def compressed(series: Path, folder: Path, syntax: str) -> Path:
    """The series in another transfer syntax."""
    from pydicom import dcmread

    folder.mkdir()
    for file in sorted(series.iterdir()):
        image = dcmread(file)
        image.compress(syntax, generate_instance_uid=False)
        image.save_as(folder / file.name)
    return folder


def ellipsoids(scan: Scan) -> Segmentation:
    """Structures 1..20 of a fifth of the field of view, side by side."""
    labels = np.zeros(scan.grid.shape, np.uint8)
    shape = np.array(scan.grid.shape)
    radii = shape * (0.09, 0.09, 0.3)
    x, y, z = np.ogrid[: shape[0], : shape[1], : shape[2]]
    for key in range(1, STRUCTURES + 1):
        column, row = (key - 1) % 5, (key - 1) // 5
        centre = shape * (0.1 + 0.2 * column, 0.1 + 0.25 * row, 0.5)
        inside = sum(((i - c) / r) ** 2 for i, c, r in zip((x, y, z), centre, radii, strict=True)) < 1
        labels[inside] = key
    return Segmentation(labels, scan.grid, {key: f"ellipsoid {key}" for key in range(1, STRUCTURES + 1)}, scan=scan)


def median(run: Callable[[], object], repeats: int) -> float:
    """Processor seconds of this process and its children."""
    spent = []
    for _ in range(repeats):
        before = sum(os.times()[:4])
        run()
        spent.append(sum(os.times()[:4]) - before)
    return statistics.median(spent)


if __name__ == "__main__":
    main()
