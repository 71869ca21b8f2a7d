"""Arrays in NumPy's format: what NumPy wrote comes back, and any damage is one kind of error."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openvista.io.npy import read_array, read_header

ARRAYS = [np.arange(6, dtype=np.float16).reshape(1, 2, 3), np.zeros((0, 3)), np.array(2.5), np.array([[True], [False]])]


def stored(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("array", [*ARRAYS, np.asfortranarray(np.eye(3, 4))])
def test_what_was_stored_comes_back(array: np.ndarray) -> None:
    content = stored(array)
    back = read_array(content)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype
    shape, fortran, dtype = read_header(io.BytesIO(content))
    assert (shape, dtype) == (array.shape, array.dtype)
    assert fortran == (array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous)


@given(st.lists(st.tuples(st.integers(0, 127), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_damage_to_the_header_is_a_value_error_or_none(changes: list[tuple[int, int]]) -> None:
    content = bytearray(stored(ARRAYS[0]))
    for place, value in changes:
        content[place] = value
    with contextlib.suppress(ValueError):
        assert read_array(bytes(content)).nbytes == ARRAYS[0].nbytes
