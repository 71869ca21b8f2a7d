"""Headers of any kind, and damaged ones."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openvista.errors import ScanError
from openvista.io import read_scan
from openvista.io.dicom.instances import read_instance
from small_dicom import AXIAL, VOLUME, write_series


def test_what_is_no_dicom(tmp_path: Path) -> None:
    for name, content in {"notes.txt": b"x", "empty": b"", "picture.jpg": b"\xff\xd8\xff"}.items():
        (tmp_path / name).write_bytes(content)
        assert read_instance(tmp_path / name) is None


def test_groups_of_each_frame_go_before_shared_ones(tmp_path: Path) -> None:
    (file,) = write_series(tmp_path / "ct", VOLUME, AXIAL, enhanced=True, slopes=(1.0, 2.0))
    instance = read_instance(file)
    assert instance is not None
    assert [frame.slope for frame in instance.frames[:4]] == [1, 2, 1, 2]
    assert {frame.orientation for frame in instance.frames} == {(1, 0, 0, 0, 1, 0)}
    assert {frame.thickness for frame in instance.frames} == {2.5}
    assert len({frame.position for frame in instance.frames}) == VOLUME.shape[2]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("enhanced", [False, True])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(132, 2500), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_headers(tmp_path: Path, enhanced: bool, changes: list[tuple[int, int]]) -> None:
    """Any damage gives a scan or one line of ScanError, never an error from below."""
    (file,) = write_series(tmp_path / "ct", VOLUME[:8, :8, :1], AXIAL, enhanced=enhanced)
    content = bytearray(file.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    file.write_bytes(content)
    message = ""
    try:
        read_scan(tmp_path / "ct", max_voxels=100_000)
    except ScanError as error:
        message = str(error)
    assert "\n" not in message
