"""A model that knows left from right, and a folder that agents may use."""

from pathlib import Path

import pytest

from small_kidneys import kidneys_RAS, make_kidney_model, save_as

pytest.importorskip("mcp")


@pytest.fixture(scope="session")
def kidney_model(tmp_path_factory) -> Path:
    return make_kidney_model(tmp_path_factory.mktemp("models") / "kidneys")


@pytest.fixture
def root(tmp_path) -> Path:
    """An allowed folder with a scan in the order of most CT files (LPS), and a folder beside it that is not allowed."""
    folder = tmp_path / "allowed"
    (tmp_path / "secret").mkdir()
    folder.mkdir()
    voxels, labels = kidneys_RAS()
    save_as(folder / "ct.nii.gz", voxels, "LPS")
    save_as(folder / "labels.nii.gz", labels, "LPS")
    save_as(tmp_path / "secret" / "ct.nii.gz", voxels, "LPS")
    return folder
