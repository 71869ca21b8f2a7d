"""Cases on the model grid: labels keep their volume, partial annotation keeps its range."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch
from tiny_training import TINY

from openvista.datalist import read_datalist
from openvista.errors import DataListError
from openvista.geometry.grid import Grid
from openvista.io import read_labels
from openvista.network import STARTER
from openvista.train.cases import KnownRange, LabelUse, known_range, load_case, resample_labels


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
    result = resample_labels(labels, source, target, {2: 121, 5: 133})
    for value, class_id in ((2, 121), (5, 133)):
        before = float((labels == value).sum()) * source.voxel_ml
        after = float((result == class_id).sum()) * target.voxel_ml
        assert abs(after - before) < 0.06 * before


def test_what_no_case_of_a_list_shows_is_known_to_be_absent(mapped_case):
    loaded = load_case(mapped_case, TINY, LabelUse({1: 133, 2: 134}, absent=frozenset({1, 3})))
    assert loaded.annotated == (1, 3, 133, 134)
    assert not bool(torch.isin(loaded.labels_XYZ, torch.tensor([1, 3])).any())
    assert len(loaded.places_of(133)) > 0 == len(loaded.places_of(1))


def test_values_that_are_not_asked_for_vanish():
    labels = torch.full((4, 4, 4), 7, dtype=torch.uint8)
    same = grid((4, 4, 4), (1, 1, 1))
    assert resample_labels(labels, same, same, {2: 121}).max() == 0


def test_known_range_follows_spacing_and_flip():
    scan = grid((8, 8, 21), (1, 1, 3))
    fine = scan.with_spacing((1, 1, 1.5))
    plain = known_range((4, 10), scan, fine)
    assert (plain.axis, plain.first, plain.last) == (2, 7, 21)  # half a slice on either side belongs to it
    flipped = grid((8, 8, 21), (1, 1, 3), flip=True)
    mirrored = known_range((4, 10), flipped, flipped.in_ras_order())
    assert (mirrored.first, mirrored.last) == (10, 16)


def test_several_values_can_be_one_class():
    labels = torch.zeros(6, 6, 6, dtype=torch.uint8)
    labels[1:3], labels[3:5] = 1, 2
    same = grid((6, 6, 6), (1, 1, 1))
    assert torch.equal(resample_labels(labels, same, same, {1: 200, 2: 200}) == 200, labels > 0)


def test_the_example_case(example_datalist):
    case = read_datalist(example_datalist).training[0]
    use = LabelUse({1: 133, 2: 121, 3: 134, 4: 135, 5: 11, 6: 136, 7: 137}, frozenset({121, 11}))
    loaded = load_case(case, STARTER, use)
    assert loaded.annotated == (11, 121, 133, 134, 135, 136, 137)
    assert set(loaded.known) == {121, 11}
    assert 0 <= loaded.image_XYZ.min() < loaded.image_XYZ.max() <= 1
    right, left = ((loaded.labels_XYZ == class_id).nonzero()[:, 0].float().mean() for class_id in (134, 135))
    assert right > left  # RAS: the first index grows to the patient's right
    assert all((loaded.labels_XYZ[tuple(loaded.places[133].long().T)] == 133).tolist())


@pytest.fixture
def mapped_case(tiny_list):
    """The first made-up case with a pseudo-label and supervoxels beside it."""
    case = read_datalist(tiny_list).training[0]
    labels, label_grid = read_labels(case.label)
    folder = tiny_list.parent / "maps"
    folder.mkdir(exist_ok=True)
    for name, voxels in (("pseudo", np.where(labels > 0, 3, 0)), ("supervoxels", labels.astype(np.uint16) * 300)):
        nib.save(nib.Nifti1Image(voxels.astype(np.uint16), label_grid.affine), folder / f"{name}.nii.gz")
    return replace(case, pseudo_label=folder / "pseudo.nii.gz", supervoxels=folder / "supervoxels.nii.gz")


def test_pseudo_labels_fill_in_what_nobody_marked(mapped_case):
    case = replace(mapped_case, annotated=frozenset({1}))
    loaded = load_case(case, TINY, LabelUse({1: 133, 2: 3}, pseudo=frozenset({133, 3})))
    assert (loaded.annotated, loaded.pseudo) == ((3, 133), frozenset({3}))
    plain = load_case(mapped_case, TINY, LabelUse({1: 133, 2: 134}))
    assert torch.equal(loaded.labels_XYZ == 133, plain.labels_XYZ == 133)
    assert torch.equal(loaded.labels_XYZ == 3, plain.labels_XYZ == 134)


def test_what_a_pseudo_label_does_not_show_is_unknown_and_not_absent(mapped_case):
    case = replace(mapped_case, annotated=frozenset({1}))
    loaded = load_case(case, TINY, LabelUse({1: 133, 2: 3}, pseudo=frozenset({133, 3, 26})))
    assert loaded.annotated == (3, 133)


def test_an_unreliable_pseudo_label_is_left_alone(mapped_case):
    case = replace(mapped_case, annotated=frozenset({1}), pseudo_label_reliable=False)
    assert load_case(case, TINY, LabelUse({1: 133, 2: 3}, pseudo=frozenset({3}))).annotated == (133,)


def test_supervoxels_lie_on_the_model_grid(mapped_case):
    loaded = load_case(mapped_case, TINY, LabelUse({1: 133, 2: 134}, supervoxels=True))
    assert torch.equal(loaded.supervoxels_XYZ == 300, loaded.labels_XYZ == 133)
    assert load_case(mapped_case, TINY, LabelUse({1: 133})).supervoxels_XYZ is None


def test_a_map_on_another_grid_is_refused(mapped_case, tiny_list):
    small = tiny_list.parent / "maps" / "small.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)), small)
    with pytest.raises(DataListError, match="not on the grid"):
        load_case(replace(mapped_case, label=small), TINY, LabelUse({1: 133}))


def test_a_class_of_two_values_is_known_where_both_are(mapped_case):
    use = LabelUse({1: 133, 2: 133}, frozenset({133}))
    half = replace(mapped_case, annotated=frozenset({1}))
    assert load_case(half, TINY, use).annotated == ()
    limited = replace(mapped_case, label_slices={1: (2, 15), 2: (5, 20)})
    assert load_case(limited, TINY, use).known[133] == KnownRange(2, 5, 15)
