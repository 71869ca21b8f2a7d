"""Label maps as files: one map with names, or a folder with a mask per structure; in any orientation."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openvista.errors import ScanError
from openvista.geometry.grid import Grid
from openvista.io import read_labels, read_segmentation, scan_name
from openvista.io.paths import IMAGE_SUFFIXES
from openvista.structures import border_ids, present_ids
from openvista.synthesis.structure import DrawnStructure, identify

logger = logging.getLogger(__name__)

_WORTH_COMPARING = 2
"""Voxels by which a right structure must lie to the left of its left twin before the sides contradict each other."""


@dataclass(frozen=True, eq=False)
class NamedMap:
    """Structures of one body, without a CT.

    Attributes:
        name: for messages and results.
        labels_XYZ: numbers, 0 for none, in the voxel order of ``grid``, which is RAS.
        grid: where the voxels lie.
        structures: number to structure, of all numbers that occur.
    """

    name: str
    labels_XYZ: NDArray[np.unsignedinteger]
    grid: Grid
    structures: Mapping[int, DrawnStructure]


def read_label_map(path: Path, names: Path | None = None) -> NamedMap:
    """Read a label map and what its labels are called.

    Args:
        path: NIfTI, NRRD or MHA; or a folder of masks, one file per structure, called like it.
        names: JSON {"1": "liver"} or a colour table of 3D Slicer; needed where the map itself has no names.

    Raises:
        ScanError: unreadable, empty, without names, masks on different grids, or sides that contradict each other.
    """
    if path.is_dir():
        name, labels, grid, called = _read_masks(path)
    else:
        segmentation = read_segmentation(path)
        name, labels, grid, called = scan_name(path), segmentation.labels, segmentation.grid, segmentation.names
    if names is not None:
        called = dict(called) | read_names(names)
    present = present_ids(labels)
    if not present:
        raise ScanError(f"{path}: no voxel has a label: there is nothing to draw")
    called = {key: called.get(key, f"label {key}") for key in present}
    if all(called[key] == f"label {key}" for key in present):
        raise ScanError(
            f"{path}: its {len(present)} labels have no names: give a file that names them (--names), "
            'JSON {"1": "liver"} or a colour table of 3D Slicer'
        )
    structures = {key: identify(called[key]) for key in present}
    ras_labels, ras = _in_ras_order(labels, grid)
    _check_sides(path, ras_labels, structures)
    _tell(path, ras_labels, structures)
    return NamedMap(name, ras_labels, ras, structures)


def read_names(path: Path) -> dict[int, str]:
    """Label value to name, from JSON or from a colour table of 3D Slicer (``.ctbl``: number, name, colour per line).

    Raises:
        ScanError: it cannot be read, or is neither.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ctbl":
            rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
            return {int(row[0]): row[1] for row in rows}
        content = json.loads(text)
        content = content.get("labels", content) if isinstance(content, dict) else content
        return {int(key): str(name) for key, name in content.items()}
    except OSError as error:
        raise ScanError(f"{path}: names of labels cannot be read from it: {error.strerror}; check the path") from None
    except (ValueError, AttributeError, IndexError) as error:
        raise ScanError(
            f'{path}: names of labels cannot be read from it ({error}): give JSON {{"1": "liver"}} or a .ctbl'
        ) from None


def _read_masks(folder: Path) -> tuple[str, NDArray[np.unsignedinteger], Grid, dict[int, str]]:
    """One map of a folder of masks, such as TotalSegmentator writes; of two masks the later name wins a voxel."""
    inner = folder / "segmentations" if (folder / "segmentations").is_dir() else folder
    files = sorted(file for file in inner.iterdir() if file.name.lower().endswith(tuple(IMAGE_SUFFIXES)))
    if not files:
        raise ScanError(f"{folder}: has no masks: give a label map, or a folder with a mask file per structure")
    labels, grid = np.zeros(0, np.uint16), None
    called: dict[int, str] = {}
    for number, file in enumerate(files, start=1):
        mask, own = read_labels(file)
        if grid is None:
            labels, grid = np.zeros(mask.shape, np.uint16), own
        elif not own.matches(grid, tolerance_mm=0.1):
            raise ScanError(f"{file}: lies on another grid than {files[0].name}: the masks of one body share one")
        labels[mask > 0] = number
        called[number] = scan_name(file)
    assert grid is not None
    return folder.name, labels, grid, called


def _in_ras_order(labels: NDArray[np.unsignedinteger], grid: Grid) -> tuple[NDArray[np.unsignedinteger], Grid]:
    axes, signs = grid.ras_order
    turned = labels.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
    return np.ascontiguousarray(turned), grid.in_ras_order()


def _check_sides(path: Path, labels_XYZ: NDArray[np.unsignedinteger], structures: Mapping[int, DrawnStructure]) -> None:
    """Refuse a map whose right structures lie left of their twins: it is mirrored, or its names are."""
    middles = _middles(labels_XYZ)
    by_name = {structure.name: key for key, structure in structures.items()}
    wrong, right = [], 0
    for name, key in by_name.items():
        twin = structures[key].twin
        if "right" not in name.split(" ") or twin not in by_name:
            continue
        if middles[key] < middles[by_name[twin]] - _WORTH_COMPARING:
            wrong.append(name)
        else:
            right += 1
    if wrong:
        every = "all others too: the map is mirrored" if not right else f"{right} others do not: check its names"
        raise ScanError(f"{path}: the {wrong[0]} lies left of the {wrong[0].replace('right', 'left')}; {every}")


def _middles(labels_XYZ: NDArray[np.unsignedinteger]) -> NDArray[np.float64]:
    """Mean position along X of every label."""
    size = int(labels_XYZ.max()) + 1
    counts = np.stack([np.bincount(plane.reshape(-1), minlength=size) for plane in labels_XYZ])
    positions = np.arange(len(counts))[:, None]
    middles: NDArray[np.float64] = (counts * positions).sum(0) / np.maximum(counts.sum(0), 1)
    return middles


def _tell(path: Path, labels_XYZ: NDArray[np.unsignedinteger], structures: Mapping[int, DrawnStructure]) -> None:
    """What a user should know of the map; nothing of it is an error."""
    other = [structure.name for structure in structures.values() if structure.tissue == "other"]
    if other:
        logger.warning(
            "%s: nobody knows what %s is made of: drawn as other soft tissue", path, ", ".join(map(repr, other))
        )
    cut = [structures[key].name for key in sorted(border_ids(labels_XYZ)) if key in structures]
    if cut:
        some = ", ".join(cut[:6]) + (f" and {len(cut) - 6} more" if len(cut) > 6 else "")
        logger.info("%s: cut at the map's border, and so in every drawing: %s", path, some)
