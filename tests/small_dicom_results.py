"""Made-up results on made-up DICOM series: structures with a place in the patient, however it is scanned."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openvista.io import read_scan
from openvista.scan import Scan, Segmentation
from small_dicom import phantom, write_series

SHAPE = (30, 34, 24)
SPACING = (2.2, 1.8, 3.0)
MARK = np.array([-14.0, 9.0, 7.0])
"""Centre of the right kidney, RAS mm: no two axes alike, so that a swapped or flipped one shows."""
STRUCTURES = {5: "right kidney", 14: "left kidney", 1: "liver", 116: "left kidney cyst"}
PROVENANCE: dict[str, object] = {
    "model": "starter",
    "weights_sha256": "0123456789abcdef" * 4,
    "profile": "best",
    "version": "1.2.3",
    "prompts": {
        "objects": [
            {"id": 5, "object": "right kidney", "start": "automatic", "clicks": []},
            {"id": 14, "object": "left kidney", "start": "automatic", "clicks": [[1, 2, 3, True]]},
        ]
    },
}


def affine_of(axes: NDArray[np.float64], shape: tuple[int, int, int] = SHAPE) -> NDArray[np.float64]:
    """The affine of a scan round (0, 0, 0) whose array axes lie along the columns of ``axes``."""
    affine = np.eye(4)
    affine[:3, :3] = axes * SPACING
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def small_scan(folder: Path, affine: NDArray[np.float64] | None = None, **options: object) -> Scan:
    """A series of the phantom, written and read."""
    affine = affine_of(np.diag([-1.0, -1.0, 1.0])) if affine is None else affine
    write_series(folder, phantom(affine, SHAPE, MARK), affine, **options)
    return read_scan(folder)


def labelled(scan: Scan, **changes: object) -> Segmentation:
    """Four structures by their place in the patient: kidneys as balls, a cyst in one, and a liver with a hole."""
    voxels = np.stack(np.meshgrid(*map(np.arange, scan.grid.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    points = scan.grid.to_world(voxels).reshape(*scan.grid.shape, 3)
    labels = np.zeros(scan.grid.shape, np.uint8)

    def ball(centre: tuple[float, ...], radius: float) -> NDArray[np.bool_]:
        return np.asarray(np.linalg.norm(points - centre, axis=-1) < radius)

    labels[ball(tuple(MARK), 9)] = 5
    labels[ball((14.0, 9.0, 7.0), 8)] = 14
    labels[ball((15.0, 10.0, 6.0), 4.5)] = 116
    labels[ball((0.0, -12.0, -11.0), 14) & ~ball((0.0, -12.0, -11.0), 7)] = 1
    made = Segmentation(labels, scan.grid, dict(STRUCTURES), scan=scan, provenance=PROVENANCE)
    return replace(made, **changes)  # type: ignore[arg-type]


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))


def centre_of(segmentation: Segmentation, structure: int) -> NDArray[np.float64]:
    """Centre of mass of a structure, RAS mm."""
    return segmentation.grid.to_world(np.argwhere(segmentation.labels == structure)).mean(axis=0)
