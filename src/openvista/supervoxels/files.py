"""Supervoxel maps on disk: ``<scan>_sv.nii.gz`` and, beside it, a ``.json`` that says how it was made."""

import json
import logging
from pathlib import Path

import numpy as np

from openvista.errors import OpenVistaError
from openvista.io import read_labels, replacing
from openvista.io.nifti import write_nifti
from openvista.io.paths import scan_name, sidecar_path
from openvista.io.write import describe
from openvista.scan import Scan, Segmentation

logger = logging.getLogger(__name__)


def map_path(folder: Path, image: Path) -> Path:
    """Where the supervoxels of a scan go."""
    return folder / f"{scan_name(image)}_sv.nii.gz"


def picture_path(target: Path) -> Path:
    """The preview that lies beside a map."""
    return target.with_name(f"{scan_name(target)}.png")


def write_map(supervoxels: Segmentation, target: Path) -> None:
    """Write a map as uint16 NIfTI, and its description; both whole or not at all.

    Raises:
        OutputError: it cannot be written there.
    """
    side = sidecar_path(target)
    with replacing(side) as temporary_side:
        temporary_side.write_text(describe(supervoxels), encoding="utf-8")
        with replacing(target) as temporary:
            write_nifti(temporary, supervoxels)


def is_made(target: Path, scan: Scan, provenance: dict[str, object]) -> bool:
    """Whether a whole map of this scan with just these choices is there already."""
    side = sidecar_path(target)
    if not target.is_file() or not side.is_file():
        return False
    try:
        described = json.loads(side.read_text(encoding="utf-8"))
        labels, grid = read_labels(target)
    except (OSError, ValueError, OpenVistaError) as error:
        logger.warning("%s: cannot be read (%s): made again", target, error)
        return False
    wanted = json.loads(json.dumps(provenance))
    if not isinstance(described, dict) or any(described.get(key) != value for key, value in wanted.items()):
        logger.info("%s: made with other choices: made again", target)
        return False
    return grid.matches(scan.grid) and bool(np.any(labels))
