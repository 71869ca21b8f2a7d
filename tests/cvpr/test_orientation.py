"""Cases that are stored in another way, answered alike: no matter which axis comes first and which way it runs."""

import numpy as np
import pytest
from scipy import ndimage

from openvista.cvpr.case_file import CaseFile, read_case_file
from openvista.cvpr.image import AS_STORED, Reading
from openvista.cvpr.orientation import ORIENTATIONS, OrientedCase, fit
from openvista.cvpr.predict import Deadline, Predictor
from openvista.cvpr.request import Request
from openvista.errors import InputError
from openvista.geometry.box import Crop
from openvista.simulate.challenge_user import ArrayClick, MiddleBox
from small_challenge import PRESET, BrightModel, two_balls, write_case
from small_evaluation import tiny_model

SHAPE, SPACING = (15, 17, 19), (3.0, 2.5, 2.2)
CLICKS = (ArrayClick((5, 6, 8), True), ArrayClick((9, 12, 4), False))
BOX = MiddleBox((3, 9), 5, (4, 9), (5, 13))
OPPOSITE = dict(zip("LRPAIS", "RLAPSI", strict=True))


@pytest.fixture(scope="module")
def predictor():
    return Predictor(tiny_model(seed=8))


def turned_click(click, axes, flipped):
    voxel = [click.voxel[axis] for axis in axes]
    for axis in flipped:
        voxel[axis] = SHAPE[axes[axis]] - 1 - voxel[axis]
    return ArrayClick(tuple(voxel), click.positive)


def turned_box(box, axes, flipped):
    """Of a copy whose slices stay slices."""
    sides, middle = [(box.z, box.y, box.x)[axis] for axis in axes], box.middle
    for axis in flipped:
        last = SHAPE[axes[axis]] - 1
        sides[axis] = (last - sides[axis][1], last - sides[axis][0])
        middle = last - middle if axis == 0 else middle
    return MiddleBox(sides[0], middle, sides[1], sides[2])


def answer(predictor, tmp_path, axes=(0, 1, 2), flipped=(), boxes=True):
    """The label map of a noisy case that is stored in some way, turned back, and how its axes run."""
    noise = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=SHAPE), 1.5)
    image = np.flip(((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8).transpose(axes), flipped)
    clicks = tuple(turned_click(click, axes, flipped) for click in CLICKS)
    request = Request(image.shape, (1,), (turned_box(BOX, axes, flipped),) if boxes else None, (clicks,))
    spacing = tuple(SPACING[axis] for axis in axes)
    case = CaseFile(tmp_path / "a.npz", image, spacing, request, None)
    oriented = OrientedCase(case, predictor, Reading(), PRESET)
    labels = oriented.answer(request, Deadline(None))
    return np.flip(labels, flipped).transpose(np.argsort(axes)), oriented.orientation


def turned_codes(codes, axes, flipped):
    """Directions of [X, Y, Z] of a copy."""
    directions = [codes[::-1][axis] for axis in axes]
    for axis in flipped:
        directions[axis] = OPPOSITE[directions[axis]]
    return "".join(directions[::-1])


@pytest.mark.parametrize(
    ("axes", "flipped", "boxes"),
    [((0, 2, 1), (0, 1), True), ((2, 0, 1), (1, 2), False)],  # a box lies on a slice, which has to stay one
)
def test_a_case_is_answered_alike_however_it_is_stored(predictor, tmp_path, axes, flipped, boxes):
    labels, found = answer(predictor, tmp_path, boxes=boxes)
    assert 30 < (labels > 0).sum() < labels.size / 2
    copy, found_there = answer(predictor, tmp_path, axes, flipped, boxes)
    assert found_there == turned_codes(found, axes, flipped)
    assert np.array_equal(copy, labels)


def test_there_are_48_orientations_and_a_grid_for_each():
    assert len(set(ORIENTATIONS)) == 48
    for codes in ORIENTATIONS:
        for resample, spacing in (("always", (2.2, 2.5, 3.0)), ("never", PRESET.spacing)):
            grid = Reading(resample=resample).grid(SHAPE[::-1], SPACING, PRESET, codes)
            assert (grid.axis_codes, grid.spacing) == (codes, spacing)
    with pytest.raises(InputError, match="orientation 'LRS'"):
        OrientedCase(None, None, None, None, "LRS")


def test_an_answer_fits_a_box_that_has_its_slices_and_its_rectangle():
    values_XYZ = np.full((4, 5, 6), -1.0)
    values_XYZ[1:3, 1:4, 2:5] = 50.0
    logits, box = Crop((10, 20, 30), values_XYZ), MiddleBox((32, 34), 33, (21, 23), (11, 12))
    assert fit(logits, box) == pytest.approx(1)
    assert fit(logits, MiddleBox((30, 34), 33, (21, 23), (11, 12))) == pytest.approx(3 / 5)
    assert fit(logits, MiddleBox((32, 34), 33, (22, 25), (11, 12))) == pytest.approx(2 / 5)
    assert fit(logits, MiddleBox((32, 38), 37, (21, 23), (11, 12))) == 0  # nothing on its own slice
    assert fit(Crop((10, 20, 30), np.where(values_XYZ > 0, 0.5, -1)), box) == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert fit(Crop((10, 20, 30), np.full((4, 5, 6), -1.0)), box) == 0


def test_without_time_or_answers_a_case_is_taken_as_it_is_stored(tmp_path):
    case = read_case_file(write_case(tmp_path / "a.npz", two_balls()))
    model = BrightModel()
    oriented = OrientedCase(case, Predictor(model), Reading(), PRESET)
    assert oriented.find_orientation(case.request, Deadline(0)) == AS_STORED
    assert model.bright.encoded == 0
    dark = CaseFile(case.path, np.zeros_like(case.image_ZYX), case.spacing, case.request, None)
    assert OrientedCase(dark, Predictor(model), Reading(), PRESET).find_orientation(case.request, Deadline(None)) == (
        AS_STORED
    )


def test_the_first_run_decides(tmp_path):
    case = read_case_file(write_case(tmp_path / "a.npz", two_balls()))
    model = BrightModel()
    oriented = OrientedCase(case, Predictor(model), Reading(), PRESET)
    first = oriented.answer(case.request, Deadline(None))
    assert model.bright.encoded > 96  # two classes in 48 ways, and the run itself
    model.bright.encoded = 0
    assert np.array_equal(oriented.answer(case.request, Deadline(None)), first)
    assert model.bright.encoded < 10
