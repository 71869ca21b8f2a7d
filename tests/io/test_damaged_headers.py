"""Any damage to a header gives a scan or one line of ScanError, never an error from below."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openvista.errors import InputError
from openvista.geometry.grid import Grid
from openvista.io import read_scan, read_segmentation
from openvista.scan import Segmentation

damage = st.lists(
    st.tuples(st.integers(0, 900), st.one_of(st.sampled_from([0, 255]), st.integers(0, 255))), min_size=1, max_size=3
)


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(changes=damage)
def test_damaged_headers(tmp_path: Path, suffix: str, changes: list[tuple[int, int]]) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (8, 9, 10)).astype(np.uint8)
    path = tmp_path / f"seg{suffix}"
    Segmentation(labels, Grid(labels.shape, np.eye(4)), {1: "liver", 2: "lung"}).save(path)
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path.write_bytes(content)
    for read in (read_scan, read_segmentation):
        message = ""
        try:
            read(path)
        except InputError as error:
            message = str(error)
        assert "\n" not in message
