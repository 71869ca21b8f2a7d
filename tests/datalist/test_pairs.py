"""Which image belongs to which label map, by names alone."""

import pytest

from openvista.datalist import find_pairs
from openvista.errors import DataListError


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def shown(pairs, folder):
    return [tuple(part and part.relative_to(folder).as_posix() for part in pair) for pair in pairs]


def training(folder):
    return shown(find_pairs(folder).training, folder)


def test_decathlon(tmp_path):
    names = ["imagesTr/spleen_2.nii.gz", "imagesTr/._spleen_2.nii.gz", "labelsTr/spleen_2.nii.gz"]
    fill(tmp_path, *names, "imagesTs/spleen_1.nii.gz", "dataset.json")
    assert training(tmp_path) == [("imagesTr/spleen_2.nii.gz", "labelsTr/spleen_2.nii.gz")]
    assert shown(find_pairs(tmp_path).testing, tmp_path) == [("imagesTs/spleen_1.nii.gz", None)]


def test_nnunet_channel_number_does_not_count(tmp_path):
    fill(tmp_path, "imagesTr/la_003_0000.nii.gz", "labelsTr/la_003.nii.gz")
    fill(tmp_path, "imagesTs/la_004_0000.nii.gz", "labelsTs/la_004.nii.gz")
    assert training(tmp_path) == [("imagesTr/la_003_0000.nii.gz", "labelsTr/la_003.nii.gz")]
    assert shown(find_pairs(tmp_path).testing, tmp_path) == [("imagesTs/la_004_0000.nii.gz", "labelsTs/la_004.nii.gz")]


def test_four_digits_that_are_the_cases_own_number(tmp_path):
    fill(tmp_path, *(f"{kind}/case_{number}.nii.gz" for kind in ("images", "labels") for number in ("0000", "0001")))
    assert [image[-11:-7] for image, _ in training(tmp_path)] == ["0000", "0001"]
    assert all(image[7:] == label[7:] for image, label in training(tmp_path))


def test_two_channels_of_one_case_are_refused(tmp_path):
    fill(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz")
    with pytest.raises(DataListError, match="one CT per label map"):
        find_pairs(tmp_path)


@pytest.mark.parametrize(("images", "labels"), [("images", "labels"), ("CT", "Masks"), ("img", "seg")])
def test_two_folders(tmp_path, images, labels):
    fill(tmp_path, f"{images}/p1.nii.gz", f"{images}/p2.nii.gz", f"{labels}/p2_seg.nii.gz", f"{labels}/p3.nii.gz")
    assert training(tmp_path) == [(f"{images}/p1.nii.gz", None), (f"{images}/p2.nii.gz", f"{labels}/p2_seg.nii.gz")]
    assert [file.name for file in find_pairs(tmp_path).labels_left] == ["p3.nii.gz"]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("case_ct.nii.gz", "case_seg.nii.gz"),
        ("case.nii.gz", "case_seg.nii.gz"),
        ("case.nii", "case_ct_labels.nii.gz"),
        ("volume-7.nii", "labels-7.nii.gz"),
        ("CT_007.nrrd", "Segmentation_007.seg.nrrd"),
        ("case one/ct.nii.gz", "case one/seg.nii.gz"),
        ("case_00000/imaging.nii.gz", "case_00000/segmentation.nii.gz"),
    ],
)
def test_side_by_side(tmp_path, image, label):
    fill(tmp_path, image, label, "readme.txt")
    assert training(tmp_path) == [(image, label)]


def test_cases_side_by_side_do_not_mix(tmp_path):
    fill(tmp_path, *(f"p{number}_{kind}.nii.gz" for number in (1, 2, 11) for kind in ("ct", "seg")))
    assert training(tmp_path) == [(f"p{number}_ct.nii.gz", f"p{number}_seg.nii.gz") for number in (11, 1, 2)]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.nii.gz", "b.nii.gz"], "2 images, none with a label map; expected imagesTr"),
        (["readme.txt"], "0 images"),
        (["imagesTr/a.nii.gz"], "1 images, none with a label map"),
        (["a_ct.nii.gz", "a_seg.nii.gz", "a_mask.nii.gz"], "both fit its name"),
        (["images/a.nii", "ct/a.nii", "labels/a.nii"], "unclear: ct, images"),
    ],
)
def test_unclear_folders_are_refused_in_one_line(tmp_path, names, words):
    fill(tmp_path, *names)
    with pytest.raises(DataListError, match=words) as caught:
        find_pairs(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_folder(tmp_path):
    with pytest.raises(DataListError, match="no such folder"):
        find_pairs(tmp_path / "none")
    with pytest.raises(DataListError, match="is a file"):
        find_pairs(fill(tmp_path, "a.nii.gz") / "a.nii.gz")
