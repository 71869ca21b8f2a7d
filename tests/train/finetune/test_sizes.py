"""Sizes of structures, and the spacing and patch planned from them."""

import math
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openvista.datalist import Case
from openvista.geometry.grid import Grid
from openvista.network import STARTER, VISTA3D
from openvista.train.finetune.sizes import CaseSizes, StepMemory, measure_case, plan_patch, plan_spacing, thickness_mm

AUTOMATIC = StepMemory(classes=1, patches=1, clicks=False, half=False)
CLICKS = replace(AUTOMATIC, clicks=True)


def case(thickness, spacing=(1.0, 1.0, 1.0), extent=(300.0, 300.0, 300.0)):
    return CaseSizes(spacing, extent, {1: thickness})


@given(st.integers(3, 9), st.tuples(*[st.sampled_from([0.5, 1.0, 2.0, 4.0])] * 3))
def test_thickness_of_a_long_rod_is_its_width(width, spacing):
    mask = np.zeros((12, 12, 40), bool)
    mask[1 : 1 + width, 1 : 1 + width] = True
    grid = Grid(mask.shape, np.diag([*spacing, 1.0]))
    widths = [width * spacing[0], width * spacing[1], 40 * spacing[2]]
    assert thickness_mm(mask, grid) == pytest.approx(min(widths), abs=2 * max(spacing))


def test_thickness_does_not_depend_on_where_the_mask_lies():
    grid = Grid((20, 20, 20), np.diag([1.0, 2.0, 3.0, 1.0]))
    inside, border = np.zeros((2, 20, 20, 20), bool)
    inside[5:11, 5:11, 5:11] = True
    border[:6, 14:, :6] = True
    assert thickness_mm(inside, grid) == thickness_mm(border, grid)


def test_a_structure_whose_pieces_lie_apart_is_in_pieces(tmp_path):
    labels = np.zeros((30, 12, 12), np.uint8)
    labels[2:6, 3:7, 3:7] = labels[22:26, 3:7, 3:7] = 1  # 64 mm apart
    labels[10:14, 3:7, 3:7] = labels[15:18, 3:7, 3:7] = 2  # 4 mm: cut by an artefact
    for kind in ("ct", "seg"):
        nib.save(nib.Nifti1Image(labels, np.diag([4.0, 4.0, 4.0, 1.0])), tmp_path / f"{kind}.nii.gz")
    entry = Case(tmp_path / "ct.nii.gz", tmp_path / "seg.nii.gz", None, frozenset({1, 2}), {})
    measured = measure_case(entry, {1: 11, 2: 12, 3: 13})
    assert set(measured.thickness_mm) == {11, 12}
    assert measured.in_pieces == {11}


def test_the_model_keeps_its_spacing_for_what_it_resolves():
    for preset, thickness in ((STARTER, 20), (STARTER, 12), (VISTA3D, 6), (VISTA3D, 80)):
        choice = plan_spacing(preset, [case(thickness)])
        assert choice.value == preset.spacing
        assert "own" in choice.reason


def test_thin_structures_get_a_finer_spacing_but_never_finer_than_the_data():
    fine = plan_spacing(STARTER, [case(4.0, (0.5, 0.5, 2.0))])
    assert fine.value[2] == 2.0
    assert 0.5 <= fine.value[0] < STARTER.spacing[0]
    assert "finer" in fine.reason
    coarse = plan_spacing(STARTER, [case(4.0, (5.0, 5.0, 5.0))])
    assert coarse.value == STARTER.spacing
    assert "no finer" in coarse.reason


def test_structures_larger_than_the_window_get_a_coarser_spacing():
    choice = plan_spacing(VISTA3D, [case(150.0)])
    assert min(choice.value) > 1.5
    assert 150.0 / (choice.value[0] * VISTA3D.window[0]) == pytest.approx(0.25, rel=0.02)


def test_the_thinnest_structure_decides_and_each_by_its_median():
    cases = [CaseSizes((1, 1, 1), (300, 300, 300), {1: 60, 2: thickness}) for thickness in (2.0, 30.0, 30.0)]
    assert plan_spacing(STARTER, cases).value == STARTER.spacing
    cases = [CaseSizes((1, 1, 1), (300, 300, 300), {1: 60, 2: thickness}) for thickness in (2.0, 2.0, 30.0)]
    assert plan_spacing(STARTER, cases).value != STARTER.spacing


def test_keep_is_the_median_of_the_data_and_numbers_are_themselves():
    cases = [case(20, spacing) for spacing in ((0.8, 0.8, 5), (0.9, 0.9, 2), (0.7, 0.7, 3))]
    assert plan_spacing(VISTA3D, cases, "keep").value == (0.8, 0.8, 3)
    assert plan_spacing(VISTA3D, cases, (1.0, 2.0, 3.0)).value == (1.0, 2.0, 3.0)


@given(
    st.tuples(*[st.floats(20, 600)] * 3),
    st.sampled_from([STARTER, VISTA3D]),
    st.sampled_from([AUTOMATIC, CLICKS]),
    st.one_of(st.none(), st.integers(10**9, 10**11)),
)
def test_a_patch_fits_network_and_memory_and_is_never_larger_than_the_window(extent, preset, work, free):
    patch = plan_patch(preset, preset.spacing, [case(20, extent=extent)], free, work).value
    assert all(side % preset.window_multiple == 0 for side in patch)
    assert all(2 * preset.window_multiple <= side <= own for side, own in zip(patch, preset.window, strict=True))
    if free is not None and max(patch) > 2 * preset.window_multiple:
        assert work.bytes(preset, math.prod(patch)) <= 0.8 * free


def test_a_patch_is_no_longer_than_the_largest_scan_unless_clicks_are_trained():
    cases = [case(20, extent=(300.0, 300.0, 40.0)), case(20, extent=(300.0, 300.0, 70.0))]
    assert plan_patch(VISTA3D, (1.5, 1.5, 1.5), cases, None, AUTOMATIC).value == (128, 128, 48)
    assert plan_patch(VISTA3D, (1.5, 1.5, 1.5), cases, None, CLICKS).value == (128, 128, 128)


def test_why_a_patch_was_cut_is_said():
    choice = plan_patch(VISTA3D, (1.5, 1.5, 1.5), [case(20)], 12 * 10**9, AUTOMATIC)
    assert max(choice.value) < 128
    assert "GB" in choice.reason
    assert "own" in plan_patch(VISTA3D, (1.5, 1.5, 1.5), [case(20)], 10**11, AUTOMATIC).reason
