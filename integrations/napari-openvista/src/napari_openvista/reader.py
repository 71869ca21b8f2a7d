"""Reader: CT as NIfTI, NRRD, MHA or DICOM; label maps with names, and DICOM segmentations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_openvista.layers import LayerData, labels_layer, scan_layer
from openvista.errors import ScanError, SeveralSeriesError
from openvista.io import read_scan, read_segmentation, scan_name
from openvista.io.paths import find_image, image_suffix

MOST_LABELS = 256
"""Different values: a file with more, without being called ``.seg.nrrd``, is an image."""


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """The reader, if it is for this path; it looks at names, and at the first bytes where these do not tell."""
    try:
        for one in [path] if isinstance(path, str) else path:
            find_image(one)
    except ScanError:
        return None
    return read


def read(path: str | list[str]) -> list[LayerData]:
    """The layers of some files; every series of a DICOM folder that can be segmented is one.

    Raises:
        ScanError: a file is damaged; or it is DICOM that is neither a CT series nor a segmentation.
        MissingExtraError: a package that the format needs is not installed.
    """
    paths = [path] if isinstance(path, str) else path
    return [layer for one in paths for layer in _read(Path(one))]


def _read(path: Path) -> list[LayerData]:
    file = find_image(path)
    if _is_dicom_labels(file) or file.name.lower().endswith(".seg.nrrd"):
        return [_labels(path)]
    try:
        scan = read_scan(path)
    except SeveralSeriesError as several:
        return [scan_layer(read_scan(path, series=key), key) for key in several.choices]
    if image_suffix(file) and may_be_labels(scan.voxels):
        return [_labels(path)]
    return [scan_layer(scan)]


def _labels(path: Path) -> LayerData:
    source = str(path.absolute())
    return labels_layer(read_segmentation(path), scan_name(path), source=source)


def _is_dicom_labels(file: Path) -> bool:
    if image_suffix(file) or not file.is_file() or file.suffix.lower() == ".zip" or file.name.upper() == "DICOMDIR":
        return False
    from openvista.io.dicom.labels import referenced_series  # pydicom, which other files do not need

    return referenced_series(file) is not None


def may_be_labels(voxels: NDArray[Any]) -> bool:
    """Whether values look like ids: whole numbers from 0 upwards, few different ones. In HU, air is far below 0."""
    if voxels.dtype.kind not in "iu" or voxels.size == 0 or voxels.min() != 0:
        return False
    present = np.zeros(int(voxels.max()) + 1, dtype=bool)
    present[voxels.ravel(order="K")] = True
    return int(present.sum()) <= MOST_LABELS
