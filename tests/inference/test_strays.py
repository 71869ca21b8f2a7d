"""Strays: far pieces go, near ones and classes that may be in pieces stay."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from openvista.geometry.box import Box, Crop
from openvista.geometry.grid import Grid
from openvista.inference.profiles import BEST, BUNDLE
from openvista.inference.strays import remove_strays, stray_voxels, without_strays
from openvista.model import Model
from openvista.scan import Scan
from small_evaluation import tiny_model
from small_inference import FLOAT32

SPACING = (2.0, 4.0, 3.0)
CORD, LUNG = 121, 20


@pytest.fixture
def labels():
    """A rod with a gap of 6 mm, and a smaller lump 60 mm away, of spinal cord; two lumps of lung."""
    labels = np.zeros((60, 30, 40), np.uint8)
    labels[5:10, 4:7, :20] = CORD
    labels[5:10, 4:7, 22:] = CORD
    labels[40:45, 4:7, 5:15] = CORD
    labels[5:10, 20:23, :10] = labels[50:55, 20:23, :20] = LUNG
    return labels


def test_a_far_lump_goes_and_the_other_side_of_a_gap_stays(labels):
    expected = labels.copy()
    expected[40:45, 4:7, 5:15] = 0
    assert np.array_equal(remove_strays(labels.copy(), SPACING, [CORD]), expected)


def test_nothing_is_asked_of_other_classes(labels):
    assert np.array_equal(remove_strays(labels.copy(), SPACING, [1]), labels)
    assert np.array_equal(remove_strays(np.zeros_like(labels), SPACING, [CORD]), np.zeros_like(labels))


def test_the_order_of_axes_does_not_matter(labels):
    turned = remove_strays(labels.transpose(2, 0, 1).copy(), (3.0, 2.0, 4.0), [CORD, LUNG])
    assert np.array_equal(turned.transpose(1, 2, 0), remove_strays(labels, SPACING, [CORD, LUNG]))


@st.composite
def label_maps(draw):
    """Boxes of some classes, in any layout in memory."""
    shape = draw(st.tuples(*[st.integers(1, 30)] * 3))
    labels = np.zeros(shape, draw(st.sampled_from([np.uint8, np.uint16])))
    for _ in range(draw(st.integers(0, 25))):
        box = tuple(slice(first := draw(st.integers(0, n - 1)), first + draw(st.integers(1, 6))) for n in shape)
        labels[box] = draw(st.sampled_from([0, 1, 2, 7, 200]))
    return draw(st.sampled_from([np.ascontiguousarray, np.asfortranarray, lambda one: one[::-1].transpose(1, 2, 0)]))(
        labels
    )


@settings(max_examples=60, deadline=None)
@given(labels=label_maps(), spacing=st.tuples(*[st.floats(0.5, 14)] * 3), at_once=st.sampled_from([1, 100, 1 << 21]))
def test_all_classes_in_one_pass_are_as_class_by_class(labels, spacing, at_once):
    expected, asked = labels.copy(), (1, 7, 200, 5, 900)
    for class_id, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None and class_id in asked:
            stray = stray_voxels(labels[box] == class_id, spacing)
            if stray is not None:
                expected[box][stray] = 0
    assert np.array_equal(remove_strays(labels, spacing, asked, at_once), expected)


def test_distance_counts_in_mm(labels):
    assert stray_voxels(labels == CORD, SPACING).any()
    assert stray_voxels(labels == CORD, (0.2, 0.4, 0.3)) is None  # the same voxels, 6 mm apart


def test_logits_of_strays_turn_negative_and_the_rest_stays(labels):
    logits = np.where(labels == CORD, 2.5, -0.5).astype(np.float16)
    kept = without_strays(Crop((7, 8, 9), logits), SPACING)
    expected = remove_strays(labels.copy(), SPACING, [CORD]) == CORD
    assert np.array_equal(kept.on(Box((7, 8, 9), (67, 38, 49)), -1.0) > 0, expected)
    assert kept.values_XYZ.dtype == np.float16
    assert kept.values_XYZ.size < logits.size / 4
    whole = Crop((0, 0, 0), np.ones((3, 3, 3), np.float32))
    assert without_strays(whole, SPACING) is whole


@pytest.fixture
def scan() -> Scan:
    """Two blocks 6 cm apart, in which the network of seed 20 finds a little of class 1 each."""
    voxels = np.zeros((60, 30, 20), np.int16)
    voxels[6:14, 8:18, 5:13] = voxels[42:52, 10:22, 6:14] = 800
    return Scan(voxels, Grid(voxels.shape, np.diag([2.0, 2.0, 2.0, 1.0])))


@pytest.fixture
def model_with_mast():
    """It has learnt a class of its own, 133, that looks like a liver."""
    model = tiny_model(seed=20)
    table = model.network.network.class_head.embedding_table.weight
    with torch.no_grad():
        table[133] = table[1]
    card = replace(model.card, extra_classes={133: "mast"}, one_piece=(133,))
    return Model(model.network.network, card, FLOAT32)


def test_a_models_own_class_is_in_one_piece_where_its_card_says_so(scan, model_with_mast):
    labels = model_with_mast.segment(scan, ["mast"]).labels
    pieces = Model(model_with_mast.network.network, replace(model_with_mast.card, one_piece=()), FLOAT32)
    everything = pieces.segment(scan, ["mast"]).labels
    assert np.array_equal(labels, remove_strays(everything.copy(), scan.grid.spacing, [133]))
    assert 0 < np.count_nonzero(labels) < np.count_nonzero(everything)
    session = model_with_mast.open(scan)
    session.segment(["mast"])
    assert np.count_nonzero(session.open_scan.automatic[133].values_XYZ > 0) == np.count_nonzero(labels)


def test_class_prompts_leave_strays_out_of_label_maps_and_sessions(scan):
    model, liver = tiny_model(seed=20), 1
    with_strays = replace(BEST, name="with strays", drop_strays=False)
    everything = model.segment(scan, [liver], profile=with_strays).labels
    cleaned = remove_strays(everything.copy(), scan.grid.spacing, [liver])
    assert 0 < np.count_nonzero(cleaned) < np.count_nonzero(everything)
    assert np.array_equal(model.segment(scan, [liver]).labels, cleaned)

    def started(profile):
        session = model.open(scan, profile=profile)
        session.segment([liver])
        return session.open_scan.automatic[liver].values_XYZ > 0

    assert np.count_nonzero(started(with_strays)) == np.count_nonzero(everything)
    assert np.count_nonzero(started(BEST)) == np.count_nonzero(cleaned)
    assert not BUNDLE.drop_strays
