"""From stored numbers to HU or labels, whatever the format of the file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openvista.errors import ScanError
from openvista.io.raw import (
    MAX_AXIS,
    MAX_DEFLATE_RATIO,
    RawImage,
    check_file_size,
    check_finite,
    check_header,
    to_hu,
    to_labels,
)

PATH = Path("ct.nii.gz")
INTEGERS = (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64)


def raw(values, slope=1.0, intercept=0.0):
    return RawImage(np.array(values).reshape(-1, 1, 1), np.eye(4), slope, intercept)


@settings(max_examples=50)
@given(st.sampled_from(INTEGERS), st.data())
def test_integers_keep_their_values_and_are_int16_where_they_fit(dtype, data):
    low, high = max(np.iinfo(dtype).min, -(2**24)), min(np.iinfo(dtype).max, 2**24)
    if dtype == np.uint16:
        high = 60000  # above lie wrapped values
    values = np.array(data.draw(st.lists(st.integers(low, high), min_size=1, max_size=4)), dtype)
    hu, _ = to_hu(PATH, raw(values))
    fits = values.min() >= -32768 and values.max() <= 32767
    assert hu.dtype == (np.int16 if fits else np.float32)
    assert hu.ravel().tolist() == values.tolist()


@pytest.mark.parametrize(("lowest", "wrapped"), [(61440, True), (61439, False)])
def test_wrapped_values_go_down_to_minus_4096_and_are_scaled_after(lowest, wrapped):
    stored = np.array([lowest, 65535, 7], np.uint16)
    expected = [lowest - 65536, -1, 7] if wrapped else [lowest, 65535, 7]
    assert to_hu(PATH, raw(stored))[0].ravel().tolist() == expected
    assert to_hu(PATH, raw(stored, 2.0, 5.0))[0].ravel().tolist() == [2 * value + 5 for value in expected]


def test_scaling_leaves_the_stored_values_alone():
    stored = raw(np.array([0.0, 1.0, 2.0], np.float32), 2.0, -1000.0)
    assert to_hu(PATH, stored)[0].ravel().tolist() == [-1000, -998, -996]
    assert stored.values.ravel().tolist() == [0, 1, 2]


def test_labels_may_be_scaled_but_only_to_whole_numbers():
    assert to_labels(PATH, raw([0, 2, 510], 0.5)).ravel().tolist() == [0, 1, 255]
    assert to_labels(PATH, raw([0, 2, 510], 0.5)).dtype == np.uint8
    assert to_labels(PATH, raw([1, 511], 0.5, 0.5)).dtype == np.uint16
    with pytest.raises(ScanError, match="fractions"):
        to_labels(PATH, raw([0, 1], 0.5))
    with pytest.raises(ScanError, match="values -1 to 65536"):
        to_labels(PATH, raw([-1, 65536]))


def test_the_number_of_voxels_without_a_value_is_told():
    with pytest.raises(ScanError, match="2 voxels are NaN and 1 infinite"):
        check_finite(PATH, np.array([np.nan, 1.0, np.nan, -np.inf]))
    check_finite(PATH, np.array([-3e38, 3e38], np.float32))


def test_a_header_and_its_file_are_held_to_their_limits(tmp_path):
    number = np.dtype(np.int16)
    assert check_header(PATH, (4, 5, 6, 1, 1), number, max_voxels=120) == (4, 5, 6)
    assert check_header(PATH, (MAX_AXIS, 1, 1), number) == (MAX_AXIS, 1, 1)
    for shape, most, words in (((4, 5, 6), 119, "at most 119"), ((MAX_AXIS + 1, 1, 1), 10**9, "header is broken")):
        with pytest.raises(ScanError, match=words):
            check_header(PATH, shape, number, max_voxels=most)
    file = tmp_path / "ct.nii.gz"
    file.write_bytes(b"12345")
    for compressed, most in ((False, 5), (True, 5 * MAX_DEFLATE_RATIO)):
        check_file_size(file, most, compressed)
        with pytest.raises(ScanError, match=f"5 bytes cannot hold the {most + 1}"):
            check_file_size(file, most + 1, compressed)
