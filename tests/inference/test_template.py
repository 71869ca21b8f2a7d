"""Onto a template and back, by a known affine; that ANTs finds one is tested with the services."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import SimpleITK as sitk

from openvista.errors import GridError, MissingExtraError
from openvista.geometry.grid import Grid
from openvista.inference.template import find_affine, onto_template, ras_affine
from openvista.scan import Scan, Segmentation
from small_brain import brain_on, moved_by, template_brain

AFFINE = moved_by(degrees=8, stretch=(1.08, 0.95, 1.05), by=(6, -9, 7))


def test_a_brain_lies_on_the_template_where_the_affine_says():
    """The same brain, moved and stretched in its scanner; interpolated twice, so the values are nearly those."""
    template = template_brain()
    scan = brain_on(
        Grid((60, 50, 40), np.array([[2.5, 0, 0, -75], [0, 3.1, 0, -78], [0, 0, 3.3, -66], [0, 0, 0, 1]])), AFFINE
    )
    found = onto_template(scan, template, AFFINE)
    assert found.scan.grid == template.grid
    assert np.corrcoef(found.scan.voxels.ravel(), template.voxels.ravel())[0, 1] > 0.97
    unmoved = onto_template(scan, template, np.eye(4)).scan
    assert np.corrcoef(unmoved.voxels.ravel(), template.voxels.ravel())[0, 1] < 0.85


def test_what_is_found_comes_back_to_the_scans_own_voxels():
    template = template_brain()
    scan = brain_on(
        Grid((60, 50, 40), np.array([[-2.5, 0, 0, 75], [0, 3.1, 0, -78], [0, 0, 3.3, -66], [0, 0, 0, 1]])), AFFINE
    )
    moved = onto_template(scan, template, AFFINE)
    labels = (moved.scan.voxels > 100).astype(np.uint16) * 300
    result = moved.back(Segmentation(labels, template.grid, {300: "bright"}, scan=moved.scan, provenance={"a": 1}))
    assert result.scan is scan
    assert result.grid is scan.grid
    assert result.labels.dtype == np.uint16
    assert ((result.labels == 300) == (scan.voxels > 100)).mean() > 0.97
    assert result.provenance == {"a": 1, "template_affine": AFFINE.tolist()}


def test_outside_the_scan_there_is_nothing_not_air():
    """MR has no HU: -1000 around a brain would change its percentiles."""
    template = template_brain()
    scan = brain_on(
        Grid((20, 20, 20), np.array([[3.0, 0, 0, -30], [0, 3, 0, -30], [0, 0, 3, -30], [0, 0, 0, 1]])), np.eye(4)
    )
    found = onto_template(scan, template, np.eye(4)).scan
    assert found.voxels.min() == 0
    far = np.eye(4)
    far[:3, 3] = 1000
    moved = onto_template(scan, template, far)
    everywhere = Segmentation(np.ones(template.grid.shape, np.uint8), template.grid, {1: "a"}, scan=moved.scan)
    with pytest.raises(GridError, match="lies outside the scan"):
        moved.back(everywhere)


def test_an_affine_of_itk_in_our_world():
    transform = sitk.AffineTransform(3)
    transform.SetMatrix([0.9, 0.1, 0.0, -0.2, 1.1, 0.05, 0.0, 0.02, 1.0])
    transform.SetTranslation((3.0, -4.0, 5.0))
    transform.SetCenter((10.0, 20.0, -30.0))
    affine = ras_affine(np.array(transform.GetParameters()), np.array(transform.GetFixedParameters()))
    point = np.array([12.0, -7.0, 33.0])
    lps = np.array(transform.TransformPoint((point * (-1, -1, 1)).tolist()))
    np.testing.assert_allclose((affine @ [*point, 1])[:3], lps * (-1, -1, 1), atol=1e-9)


@pytest.mark.skipif(find_spec("ants") is not None, reason="it is installed")
def test_without_ants_the_extra_is_named():
    template = template_brain()
    with pytest.raises(MissingExtraError, match=r"ants is needed to align a brain .* 'openvista\[brain\]'"):
        find_affine(replace(template, name="t1"), template)


def test_scans_keep_their_type():
    template = template_brain()
    whole = Scan(template.voxels.astype(np.int16), template.grid)
    assert onto_template(whole, template, np.eye(4)).scan.voxels.dtype == np.int16
