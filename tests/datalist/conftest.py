"""Small CTs with label maps, made on the fly."""

import nibabel as nib
import numpy as np
import pytest

SHAPE = (12, 10, 9)
AFFINE = np.diag([3.0, 3.0, 4.0, 1.0])


@pytest.fixture
def save_ct():
    """Writes air around a soft-tissue block; values, shape or affine can be other."""

    def save(path, values=None, affine=AFFINE, shape=SHAPE):
        if values is None:
            values = np.full(shape, -1000, np.int16)
            values[2:-2, 2:-2, 2:-2] = 40
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(np.asarray(values), affine), path)
        return path

    return save


@pytest.fixture
def save_labels():
    """Writes a label map with one voxel row per value."""

    def save(path, *values, affine=AFFINE, shape=SHAPE):
        labels = np.zeros(shape, np.uint8)
        for row, value in enumerate(values):
            labels[3, row, 2:6] = value
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(labels, affine), path)
        return path

    return save
