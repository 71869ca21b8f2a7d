"""A made-up CT series as datasets, for what is sent instead of read from files; and how to send it."""

import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pynetdicom.association import Association

from small_dicom import write_series

AFFINE = np.diag([-0.8, -0.9, 2.5, 1.0])


def ct_series(hu_XYZ: NDArray[np.integer], name: str = "series", **attributes: object) -> list[Dataset]:
    """One instance per slice, in order; UIDs follow from the name, and all belong to one study.

    Args:
        hu_XYZ: [column, row, slice]; the slices lie on :data:`AFFINE`.
        name: a series of another name is another series.
        attributes: of every instance, by DICOM keyword; ``syntax`` as of :func:`small_dicom.write_series`.
    """
    with TemporaryDirectory() as folder:
        files = write_series(Path(folder) / name, hu_XYZ, AFFINE, **attributes)  # type: ignore[arg-type]
        return [dcmread(file) for file in files]


def store_all(association: Association, instances: Iterable[Dataset]) -> list[int]:
    """Send by C-STORE; the status of each, -1 where there was no answer."""
    statuses = []
    for one in instances:
        time.sleep(0.01)  # else pynetdicom's own thread may still be awake, and take the answer
        statuses.append(association.send_c_store(one).get("Status", -1))
    return statuses
