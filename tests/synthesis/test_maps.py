"""Label maps from files: any orientation, names from anywhere, and what is wrong with them in one line."""

import logging

import nibabel as nib
import numpy as np
import pytest

from openvista.errors import ScanError
from openvista.synthesis.maps import read_label_map, read_names
from small_bodies import NAMES, SHAPE, SPACING, small_labels, write_body, write_names


@pytest.mark.parametrize("codes", ["RAS", "LPS", "AIL", "SRP"])
def test_orientation_does_not_matter(tmp_path, codes):
    body = read_label_map(write_body(tmp_path, codes=codes), write_names(tmp_path))
    assert np.array_equal(body.labels_XYZ, small_labels())
    assert body.grid.axis_codes == "RAS"
    assert {key: one.class_id for key, one in body.structures.items()} == {
        **{1: 1, 2: 3, 3: 5, 4: 14, 5: 36, 6: 37, 7: 62, 8: 32, 9: 29, 10: 6, 11: 10}
    }


def test_names_from_a_colour_table(tmp_path):
    table = tmp_path / "colours.ctbl"
    table.write_text("# Slicer\n1 liver 1 2 3 255\n2 right_psoas_muscle 1 2 3 255\n")
    assert read_names(table) == {1: "liver", 2: "right_psoas_muscle"}


def save_mask(mask, spacing, path):
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), np.diag([spacing] * 3 + [1])), path)


def test_a_folder_of_masks_is_one_map(tmp_path):
    folder = tmp_path / "case" / "segmentations"
    folder.mkdir(parents=True)
    labels = small_labels()
    for key in (1, 2, 4):
        save_mask(labels == key, SPACING, folder / f"{NAMES[key]}.nii.gz")
    body = read_label_map(tmp_path / "case")
    assert {one.name for one in body.structures.values()} == {"liver", "spleen", "left kidney"}
    key = next(key for key, one in body.structures.items() if one.name == "spleen")
    assert np.array_equal(body.labels_XYZ == key, labels == 2)

    save_mask(labels == 3, SPACING + 1, folder / "zoomed.nii.gz")
    with pytest.raises(ScanError, match=r"zoomed\.nii\.gz: lies on another grid than kidney_left\.nii\.gz"):
        read_label_map(tmp_path / "case")


def test_a_map_without_names_is_refused_and_says_what_to_give(tmp_path):
    with pytest.raises(ScanError, match="its 11 labels have no names: give a file that names them"):
        read_label_map(write_body(tmp_path))


def test_unreadable_names_are_one_line(tmp_path):
    names = tmp_path / "names.json"
    names.write_text('["liver"]')
    with pytest.raises(ScanError, match="names of labels cannot be read from it"):
        read_label_map(write_body(tmp_path), names)


def test_an_empty_map_is_refused(tmp_path):
    with pytest.raises(ScanError, match="no voxel has a label"):
        read_label_map(write_body(tmp_path, labels=np.zeros(SHAPE, np.uint8)), write_names(tmp_path))


def test_a_mirrored_map_is_refused(tmp_path):
    mirrored = np.ascontiguousarray(small_labels()[::-1])
    with pytest.raises(ScanError, match="right kidney lies left of the left kidney; all others too: the map is mirr"):
        read_label_map(write_body(tmp_path, labels=mirrored), write_names(tmp_path))


def test_sides_that_contradict_each_other_are_refused(tmp_path):
    names = NAMES | {8: "lung_lower_lobe_left", 9: "lung_lower_lobe_right"}
    with pytest.raises(ScanError, match=r"right lung lower lobe lies left of the left lung.*1 others do not"):
        read_label_map(write_body(tmp_path), write_names(tmp_path, names))


def test_what_nobody_knows_is_named_and_drawn_as_other(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        body = read_label_map(write_body(tmp_path), write_names(tmp_path, NAMES | {7: "flux capacitor"}))
    assert body.structures[7].tissue == "other"
    assert "'flux capacitor' is made of: drawn as other soft tissue" in caplog.text
    assert "in every drawing: right lung lower lobe, left lung lower lobe, aorta\n" in caplog.text
    assert "liver" not in caplog.text
