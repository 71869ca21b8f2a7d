"""A process of its own reads what the process here would read, and may end without taking anybody along."""

import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from openvista.errors import ScanError
from openvista.io import read_labels, read_scan, read_segmentation
from openvista.io.apart import read_itk_apart


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    image = sitk.JoinSeries([sitk.GetImageFromArray(np.arange(120, dtype=np.int16).reshape(6, 5, 4))])
    image.SetSpacing((1, 2, 3, 1))
    sitk.WriteImage(image, str(tmp_path / "ct.mha"))
    return tmp_path / "ct.mha"


def test_it_reads_the_same(ct: Path, caplog: pytest.LogCaptureFixture) -> None:
    here = read_scan(ct)
    said = caplog.messages.copy()
    assert "is 4D with one volume" in "".join(said)
    caplog.clear()
    there = read_scan(ct, apart=True)
    np.testing.assert_array_equal(there.voxels, here.voxels)
    assert there.voxels.dtype == here.voxels.dtype
    assert there.grid == here.grid
    assert caplog.messages == said, "its warnings come along"
    np.testing.assert_array_equal(read_labels(ct, apart=True)[0], here.voxels)
    assert read_segmentation(ct, apart=True).grid == here.grid


def test_it_refuses_the_same(ct: Path) -> None:
    whole = ct.read_bytes()
    ct.write_bytes(whole[: len(whole) - 50])
    refusals = []
    for apart in (False, True):
        with pytest.raises(ScanError) as caught:
            read_scan(ct, apart=apart)
        refusals.append(str(caught.value))
    assert refusals[0] == refusals[1]
    with pytest.raises(ScanError, match="at most 7"):
        read_scan(ct, apart=True, max_voxels=7)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("words", ["", '{"affine": [], "shape": [2, 2, 2], "dtype": "<i2"}'])
def test_a_reader_that_ends_by_a_signal_is_one_line(ct: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """No file is known any more that does this: a process that really ends so stands for the reader."""
    program = ct.with_name("reader")
    program.write_text(f"#!/bin/sh\n[ -z '{words}' ] || echo '{words}'\nkill -SEGV $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(ScanError, match="breaks its reader \\(signal 11\\)"):
        read_itk_apart(ct, 1000)
