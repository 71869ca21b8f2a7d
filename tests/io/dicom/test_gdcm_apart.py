"""JPEG that breaks its decoder does not break us."""

from pathlib import Path

import numpy as np
import pytest

from openvista.errors import ScanError
from openvista.io import read_scan
from openvista.io.dicom.gdcm_apart import JpegProcess
from small_dicom import AXIAL, VOLUME, write_series


def test_a_frame_of_another_precision_is_one_line(tmp_path: Path) -> None:
    """It ends the process that unpacks it (GDCM 3.2.6); we go on."""
    files = write_series(tmp_path / "ct", VOLUME, AXIAL, syntax="JPEG lossless")
    content = bytearray(files[3].read_bytes())
    precision = content.index(b"\xff\xc3") + 4
    content[precision] = 128
    files[3].write_bytes(content)
    with pytest.raises(ScanError, match=r"IM0004.dcm: its (JPEG )?pixels") as refused:
        read_scan(tmp_path / "ct")
    assert "\n" not in str(refused.value)


def test_frames_come_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    (file,) = write_series(tmp_path / "ct", VOLUME, AXIAL, syntax="JPEG lossless", enhanced=True)
    with JpegProcess() as jpeg:
        frames = list(jpeg.frames(file, [4, 0, 8]))
    assert np.array_equal(np.stack(frames) - 1024, np.moveaxis(VOLUME, 2, 0)[[4, 0, 8]].swapaxes(1, 2))
