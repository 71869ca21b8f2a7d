"""Cases on the model grid: labels keep their volume, partial annotation keeps its range."""

import torch

from openvista.datalist import read_datalist
from openvista.grid import Grid
from openvista.model import STARTER
from openvista.train.cases import known_range, load_case, resample_labels


def grid(shape, spacing, flip=False):
    affine = torch.diag(torch.tensor([*spacing, 1.0])).double().numpy()
    if flip:
        affine[2, 2] *= -1
        affine[2, 3] = (shape[2] - 1) * spacing[2]
    return Grid(shape, affine)


def test_labels_keep_their_volume_on_a_finer_grid():
    labels = torch.zeros(32, 32, 32, dtype=torch.uint8)
    labels[4:18, 4:20, 4:20] = 2
    labels[18:28, 4:20, 4:20] = 5
    source = grid((32, 32, 32), (4, 4, 4))
    target = source.with_spacing((2.6, 3.1, 2.3))
    result = resample_labels(labels, source, target, (2, 5))
    for value in (2, 5):
        before = float((labels == value).sum()) * source.voxel_ml
        after = float((result == value).sum()) * target.voxel_ml
        assert abs(after - before) < 0.06 * before


def test_values_that_are_not_asked_for_vanish():
    labels = torch.full((4, 4, 4), 7, dtype=torch.uint8)
    same = grid((4, 4, 4), (1, 1, 1))
    assert resample_labels(labels, same, same, (2,)).max() == 0


def test_known_range_follows_spacing_and_flip():
    scan = grid((8, 8, 21), (1, 1, 3))
    fine = scan.with_spacing((1, 1, 1.5))
    plain = known_range((4, 10), scan, fine)
    assert (plain.axis, plain.first, plain.last) == (2, 7, 21)  # half a slice on either side belongs to it
    flipped = grid((8, 8, 21), (1, 1, 3), flip=True)
    mirrored = known_range((4, 10), flipped, flipped.in_ras_order())
    assert (mirrored.first, mirrored.last) == (10, 16)


def test_the_example_case(example_datalist):
    case = read_datalist(example_datalist).training[0]
    loaded = load_case(case, STARTER, frozenset(range(1, 8)), frozenset({2, 5}))
    assert loaded.annotated == (1, 2, 3, 4, 5, 6, 7)
    assert set(loaded.known) == {2, 5}
    assert 0 <= loaded.image_XYZ.min() < loaded.image_XYZ.max() <= 1
    right, left = ((loaded.labels_XYZ == value).nonzero()[:, 0].float().mean() for value in (3, 4))
    assert right > left  # RAS: the first index grows to the patient's right
