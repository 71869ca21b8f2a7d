"""The input check: quiet on a CT, telling on what is none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from openvista.geometry.grid import Grid
from openvista.io import check_scan
from openvista.scan import Scan


def body(shape: tuple[int, int, int] = (40, 40, 40)) -> NDArray[np.int16]:
    """Soft tissue in air, with a bone."""
    voxels = np.random.default_rng(0).integers(-1010, -990, shape).astype(np.int16)
    inner = tuple(slice(n // 4, max(n // 4 + 1, 3 * n // 4)) for n in shape)
    voxels[inner] = np.random.default_rng(1).integers(0, 80, voxels[inner].shape)
    voxels[tuple(n // 2 for n in shape)] = 1200
    return voxels


def codes(voxels: NDArray[np.generic], spacing: tuple[float, float, float] = (3, 3, 3)) -> list[str]:
    warnings = check_scan(Scan(voxels, Grid(voxels.shape, np.diag([*spacing, 1.0]))))
    assert all("\n" not in warning.message for warning in warnings)
    return [warning.code for warning in warnings]


def test_a_ct_is_quiet() -> None:
    assert codes(body()) == []
    assert codes(body().astype(np.float32)) == []
    assert codes(np.clip(body(), -1000, 3000), (0.7, 0.7, 5.0)) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda v: v * 0 + 7, "values-constant"),
        (lambda v: (v + 1010) / 2210, "values-normalised"),
        (lambda v: (v - v.mean()) / v.std(), "values-normalised"),
        (lambda v: (np.clip((v + 160) / 400, 0, 1) * 255).astype(np.uint8), "values-8-bit"),
        (lambda v: v + 1024, "values-offset"),
        (lambda v: v.astype(np.float32) * 100, "values-range"),
        (lambda v: np.where(v > -500, 900, v), "values-no-tissue"),
    ],
)
def test_values_that_are_no_hu(change, code: str) -> None:  # type: ignore[no-untyped-def]
    assert codes(np.asarray(change(body().astype(np.float32)))) == [code]


@pytest.mark.parametrize(
    ("change", "modality", "expected"),
    [
        (lambda v: v, "CT_BODY", []),
        (lambda v: v, None, []),
        (lambda v: v, "MRI_BODY", ["values-hu"]),
        (lambda v: v, "MRI_BRAIN", ["values-hu"]),
        (lambda v: np.abs(v) / 2, "MRI_BODY", []),
        (lambda v: v / 1000 + 0.5, "MRI_BODY", []),  # normalised, with negative values
        (lambda v: (v + 1010) / 2210, "MRI_BRAIN", []),
        (lambda v: v + 1024, "MRI_BODY", []),
        (lambda v: np.abs(v) / 2, None, []),
        (lambda v: np.abs(v) / 2, "CT_BODY", ["values-mr"]),
        (lambda v: (v + 1010) / 2210, "CT_BODY", ["values-mr"]),
        (lambda v: v * 0 + 7, "MRI_BODY", ["values-constant"]),
    ],
)
def test_values_of_another_modality(change, modality: str | None, expected: list[str]) -> None:  # type: ignore[no-untyped-def]
    """What a model for CT and MR is told about the image has to fit its values."""
    voxels = np.asarray(change(body().astype(np.float32)))
    found = check_scan(Scan(voxels, Grid(voxels.shape, np.diag([3.0, 3, 3, 1]))), modality)
    assert [warning.code for warning in found] == expected
    assert all("\n" not in warning.message for warning in found)


@pytest.mark.parametrize(
    ("shape", "spacing", "expected"),
    [
        ((40, 40, 40), (0.003, 0.003, 0.003), ["spacing-odd", "size-extent"]),
        ((40, 40, 40), (3, 3, 25), ["spacing-odd"]),
        ((40, 40, 40), (0.3, 0.3, 0.3), ["size-extent"]),
        ((200, 20, 20), (15, 15, 15), ["size-extent"]),
        ((64, 64, 5), (3, 3, 5), ["size-thin"]),
    ],
)
def test_sizes(shape: tuple[int, int, int], spacing: tuple[float, float, float], expected: list[str]) -> None:
    assert codes(body(shape), spacing) == expected


def test_messages_name_the_value() -> None:
    (warning,) = check_scan(Scan(body() + np.int16(1024), Grid((40, 40, 40), np.diag([3.0, 3, 3, 1]))))
    assert "subtract 1024" in warning.message
    assert "2224" in warning.message
