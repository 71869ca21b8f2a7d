"""One file per structure: masks and surfaces, under names that any file system takes."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import trimesh

from openvista.errors import OutputError
from openvista.geometry.grid import Grid
from openvista.io import read_segmentation, write_per_class
from openvista.io.paths import distinct_file_names
from openvista.scan import Segmentation

NAMES = {1: "liver", 2: "left lung", 3: "spleen"}


def segmentation() -> Segmentation:
    labels = np.zeros((8, 9, 10), np.uint8)
    labels[1:4, 1:4, 1:4] = 1
    labels[5:7, 2:8, 3:9] = 2
    return Segmentation(labels, Grid(labels.shape, np.diag([-1.0, 2.0, 3.0, 1.0])), NAMES, {1: (9, 8, 7)})


def test_masks(tmp_path: Path) -> None:
    paths = write_per_class(segmentation(), tmp_path / "ct_seg", "nii.gz")
    assert [path.name for path in paths] == ["liver.nii.gz", "left_lung.nii.gz", "spleen.nii.gz"]
    for path, key in zip(paths, NAMES, strict=True):
        np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), segmentation().labels == key)
        back = read_segmentation(path)
        assert back.names == {1: NAMES[key]}
        assert back.grid == segmentation().grid
    assert read_segmentation(paths[0]).colours[1] == (9, 8, 7)
    assert {path.name for path in tmp_path.iterdir()} == {"ct_seg", "ct_seg.json"}
    assert len(list((tmp_path / "ct_seg").iterdir())) == 3


def test_surfaces_of_what_was_found(tmp_path: Path) -> None:
    paths = write_per_class(segmentation(), tmp_path / "ct_seg", "stl")
    assert [path.name for path in paths] == ["liver.stl", "left_lung.stl"]
    for path, key in zip(paths, NAMES, strict=False):
        volume = (segmentation().labels == key).sum() * 6
        assert trimesh.load_mesh(path).volume == pytest.approx(volume, rel=0.005)
    assert [path.name for path in tmp_path.iterdir()] == ["ct_seg"]


def test_nothing_found_leaves_nothing(tmp_path: Path) -> None:
    empty = Segmentation(np.zeros((4, 4, 4), np.uint8), Grid((4, 4, 4), np.eye(4)), NAMES)
    with pytest.raises(OutputError, match="nothing was found"):
        write_per_class(empty, tmp_path / "x", "stl")
    assert list(tmp_path.iterdir()) == []


def test_names_become_file_names() -> None:
    names = {1: "a/b: c", 2: "../x", 3: "Lesion", 4: "lesion", 5: "///", 6: "Ösophagus"}
    found = {1: "a_b_c", 2: "x", 3: "Lesion_3", 4: "lesion_4", 5: "label_5", 6: "Ösophagus"}
    assert distinct_file_names(names) == found
