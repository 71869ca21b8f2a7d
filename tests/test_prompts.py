"""Prompts that can be answered, and those that cannot."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openvista.errors import PromptError
from openvista.prompts import Click, is_inside, parse_click


@given(st.tuples(*(st.floats(-2, size + 2, width=32) for size in (7, 1, 4))))
def test_inside_means_that_the_nearest_voxel_exists(voxel: tuple[float, float, float]) -> None:
    shape = (7, 1, 4)
    exists = all(0 <= math.floor(part + 0.5) < size for part, size in zip(voxel, shape, strict=True))
    assert is_inside(Click(voxel), shape) == is_inside(Click(voxel), np.array(shape)) == exists


@given(st.tuples(*[st.integers(0, 10_000)] * 3), st.sampled_from([("", True), (",+", True), (" , - ", False)]))
def test_clicks_are_read_as_written(voxel: tuple[int, int, int], sign: tuple[str, bool]) -> None:
    text, positive = sign
    assert parse_click(",".join(map(str, voxel)) + text) == Click(voxel, positive)


def test_clicks_may_lie_between_voxels() -> None:
    assert parse_click("1.5, -0.25,3") == Click((1.5, -0.25, 3.0))


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "1,2,3,-,-", "1,2,3,", "a,b,c", "1;2;3", "1,2,3-"])
def test_unreadable_clicks(text: str) -> None:
    with pytest.raises(PromptError, match="not understood: write X,Y,Z") as caught:
        parse_click(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["nan,1,2", "1,inf,2", "1,2,-inf,-"])
def test_nowhere(text: str) -> None:
    with pytest.raises(PromptError, match="three finite voxel coordinates"):
        parse_click(text)


def test_click_takes_any_numbers_and_compares_by_value() -> None:
    click = Click((np.int16(3), np.float32(4), 5))  # type: ignore[arg-type]
    assert click == Click((3.0, 4.0, 5.0))
    assert all(type(part) is float for part in click.voxel)
    with pytest.raises(PromptError, match="three voxel coordinates x, y, z, not 2"):
        Click((1, 2))  # type: ignore[arg-type]
