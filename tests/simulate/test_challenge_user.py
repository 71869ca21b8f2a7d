"""The challenge's user: clicks and boxes against values worked out by hand, on files and on patches."""

import numpy as np
import torch

from openvista.network import ClickLabel
from openvista.simulate import challenge_user
from openvista.simulate.challenge_user import (
    ArrayClick,
    draw_box,
    first_challenge_clicks,
    next_challenge_clicks,
    official_click,
    without_middles,
)
from openvista.simulate.clicks import Clicks, joined
from openvista.simulate.objects import ClickObjects
from small_challenge import block, empty, two_balls


def objects_of(*masks_XYZ, known=None):
    targets = torch.from_numpy(np.stack(masks_XYZ))
    none_B = torch.zeros(len(targets), dtype=torch.bool)
    seen = torch.ones_like(targets) if known is None else torch.from_numpy(np.stack(known))
    return ClickObjects(targets, seen, none_B.long(), none_B, none_B, targets.to(torch.int8))


def test_a_click_goes_to_the_middle_of_the_largest_error():
    truth = block((1, 1, 1), (6, 6, 6))
    assert official_click(truth, empty()) == ArrayClick((3, 3, 3), True)
    assert official_click(empty(), truth) == ArrayClick((3, 3, 3), False)
    assert official_click(truth, truth) is None
    small = block((8, 8, 8), (9, 9, 9))
    assert official_click(truth | small, small) == ArrayClick((3, 3, 3), True)


def test_the_border_of_the_array_is_no_wall():
    truth = block((0, 0, 0), (3, 3, 3))
    assert official_click(truth, empty()) == ArrayClick((1, 1, 1), True)


def test_missing_and_superfluous_voxels_that_touch_are_one_error():
    truth, predicted = block((0, 3, 3), (3, 6, 6)), block((3, 3, 3), (8, 6, 6))
    click = official_click(truth, predicted)  # 8 long: neither part alone is deepest in the middle
    assert click.voxel[1:] == (4, 4)
    assert click.positive == bool(truth[click.voxel])


def test_of_errors_of_one_size_the_first_counts_and_of_equally_deep_voxels_one_is_drawn():
    two = block((6, 6, 6), (9, 9, 9)) | block((0, 0, 0), (3, 3, 3))
    assert official_click(two, empty()).voxel == (1, 1, 1)
    line = block((4, 4, 0), (5, 5, 9))
    expected = np.random.RandomState(42).choice(9)
    assert {official_click(line, empty()).voxel for _ in range(3)} == {(4, 4, int(expected))}


def test_huge_errors_are_looked_at_in_half_the_resolution(monkeypatch):
    monkeypatch.setattr(challenge_user, "_LARGEST", 10)
    click = official_click(block((2, 2, 2), (18, 18, 18), (20, 20, 20)), empty((20, 20, 20)))
    assert all(8 <= place <= 11 for place in click.voxel)  # the two middle voxels of 2 x 2 x 2
    speck = block((4, 4, 4), (5, 5, 5))
    assert official_click(speck, empty()) == ArrayClick((4, 4, 4), True)


def test_boxes_hold_their_structure_on_its_middle_slice():
    truth = np.zeros((20, 600, 600), bool)
    truth[:, :24, :28] = two_balls() == 1
    boxes = {draw_box(truth, np.random.default_rng(seed)) for seed in range(40)}
    assert {box.z for box in boxes} == {(5, 13)}
    assert {box.middle for box in boxes} == {9}
    assert all(box.y[0] == box.x[0] <= 4 and box.y[1] == box.x[1] >= 12 for box in boxes)
    assert len(boxes) == 6  # 0 to 5 pixels of a slice of 256
    assert max(box.x[1] for box in boxes) == 12 + int(5 * 600 / 256)


def placed(clicks, index):
    """Voxel to label of an object's clicks, without padding."""
    pairs = zip(clicks.places_BN3[index].tolist(), clicks.labels_BN[index].tolist(), strict=True)
    return {tuple(place): label for place, label in pairs if label != ClickLabel.PADDING}


def test_a_patch_is_first_asked_by_the_clicks_of_boxes():
    clicks = first_challenge_clicks(objects_of(block((2, 3, 4), (5, 8, 7)), empty()), seed=0)
    positive, negative = int(ClickLabel.POSITIVE), int(ClickLabel.NEGATIVE)
    assert clicks.labels_BN[0, 0] == positive  # the middle comes first
    # x 2..4, y 3..7, z 4..6: two voxels beyond each face, where the patch has them
    faces = {(0, 5, 5), (6, 5, 5), (3, 1, 5), (3, 5, 2), (3, 5, 8)}
    assert placed(clicks, 0) == {(3, 5, 5): positive} | dict.fromkeys(faces, negative)
    assert placed(clicks, 1) == {}


def test_on_a_patch_the_next_click_is_that_of_the_challenge_file():
    truth, found = block((1, 2, 3), (8, 7, 6)), block((1, 2, 3), (3, 7, 6))
    objects = objects_of(truth, truth)
    clicks = next_challenge_clicks(torch.from_numpy(np.stack([found, truth])), objects)
    expected = official_click(truth.transpose(2, 1, 0), found.transpose(2, 1, 0))
    assert placed(clicks, 0) == {expected.voxel[::-1]: int(ClickLabel.POSITIVE)}
    assert placed(clicks, 1) == {}
    assert next_challenge_clicks(torch.from_numpy(np.stack([truth, truth])), objects) is None


def test_no_error_is_seen_where_nothing_is_known():
    truth, everywhere = block((1, 1, 1), (4, 4, 4)), torch.ones(1, 9, 9, 9, dtype=torch.bool)
    assert next_challenge_clicks(everywhere, objects_of(truth, known=[truth])) is None


def test_a_middle_is_dropped_once_there_is_a_positive_click():
    first = Clicks(torch.zeros(2, 2, 3, dtype=torch.long), torch.tensor([[1, 0], [1, 0]]))
    more = Clicks(torch.ones(2, 1, 3, dtype=torch.long), torch.tensor([[1], [0]]))
    labels = without_middles(joined([first, more])).labels_BN.tolist()
    assert labels == [[int(ClickLabel.PADDING), 0, 1], [1, 0, 0]]
