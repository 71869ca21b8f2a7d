"""Where results lie: options refused early, boxes of text and of label files, crops."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from openvista.anatomy import official_vocabulary
from openvista.cli.main import app
from openvista.cli.result_grid import ResultGrid
from openvista.errors import InputError, OpenVistaError
from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.scan import Scan, Segmentation

OBLIQUE = np.array([[0, -1.9, 0.3, 9], [2.0, 0.1, 0, -30], [0.1, 0.3, 2.9, 4], [0, 0, 0, 1]])


def scan_of(shape: tuple[int, int, int] = (20, 18, 16)) -> Scan:
    return Scan(np.zeros(shape, np.int16), Grid(shape, OBLIQUE), "ct")


def options(spacing=None, like=None, crop_to=None, margin=None, roi=None) -> ResultGrid:
    return ResultGrid.of_options(spacing, like, crop_to, margin, roi)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"spacing": "0"}, "--spacing 0: give one number"),
        ({"spacing": "1,2"}, "or three"),
        ({"spacing": "inf"}, "--spacing inf"),
        ({"spacing": "1,nan,1"}, "--spacing 1,nan,1"),
        ({"spacing": "1", "like": Path("x.nii")}, "give one of them"),
        ({"margin": 3.0}, "--margin is for --crop-to"),
        ({"like": Path("nowhere.nii")}, "no such file"),
        ({"roi": "1:2,3"}, "no such file"),
    ],
)
def test_what_cannot_be_is_said_before_a_scan_is_read(given, words):
    with pytest.raises(InputError, match=words) as caught:
        options(**given)
    assert "\n" not in str(caught.value)


def test_dicom_lies_on_the_slices_of_the_scan():
    for given in (options(spacing="3"), options(crop_to=["liver"]), ResultGrid(like=scan_of().grid)):
        with pytest.raises(InputError, match="dicom-seg lies on the scan's own slices: leave out --"):
            given.check_formats(["nii.gz", "dicom-seg"])
        given.check_formats(["nii.gz", "glb"])
    options(roi=":,:,3:9").check_formats(["dicom-seg"])


def test_grids():
    scan, other = scan_of(), Grid((3, 4, 5), np.eye(4))
    assert options().grid(scan) is None
    assert ResultGrid(like=other).grid(scan) is other
    assert options(spacing="3").grid(scan).spacing == pytest.approx((3, 3, 3))
    assert options(spacing="1,2.5,4").grid(scan).spacing == pytest.approx((1, 2.5, 4))


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("2:5,3:18,0:1", Box((2, 3, 0), (5, 18, 1))),
        (":, 4:, :9", Box((0, 4, 0), (20, 18, 9))),
        ("15:400,:,:", Box((15, 0, 0), (20, 18, 16))),
    ],
)
def test_a_box_as_text(text, box):
    assert options(roi=text).region(scan_of()) == box


@pytest.mark.parametrize("text", ["5:5,:,:", "9:3,:,:", "20:30,:,:"])
def test_a_box_without_voxels(text):
    with pytest.raises(InputError, match="holds no voxel of ct, which has 20 x 18 x 16"):
        options(roi=text).region(scan_of())


@pytest.mark.parametrize("finer", [1, 2])
def test_a_box_from_labels_on_another_grid(tmp_path, finer):
    """Axes in another order and sense, voxels as large or half as large: what is labelled lies in the box, and no more
    than that."""
    scan = scan_of()
    labels = np.zeros(scan.grid.shape, np.uint8)
    labels[4:9, 3:5, 10:16] = 7
    half = np.eye(4) / finer
    half[:3, 3], half[3, 3] = (1 / finer - 1) / 2, 1
    fine = labels.repeat(finer, 0).repeat(finer, 1).repeat(finer, 2)
    image = nib.Nifti1Image(fine, scan.grid.affine @ half)
    nib.save(image.as_reoriented([[2, -1], [0, 1], [1, -1]]), tmp_path / "roi.nii.gz")
    assert options(roi=str(tmp_path / "roi.nii.gz")).region(scan) == Box((4, 3, 10), (9, 5, 16))
    nib.save(nib.Nifti1Image(np.zeros_like(fine), np.eye(4)), tmp_path / "empty.nii.gz")
    with pytest.raises(InputError, match="no voxel of it is labelled"):
        options(roi=str(tmp_path / "empty.nii.gz")).region(scan)


def test_crops_keep_a_margin_in_mm():
    scan = scan_of()
    labels = np.zeros(scan.grid.shape, np.uint8)
    labels[8:10, 8:10, 8:10] = 1
    labels[0, 0, 0] = 3
    vocabulary = official_vocabulary()
    place = options(crop_to=["liver"], margin=5.9)
    ids = place.classes(vocabulary, [1, 3])
    assert ids == [1]
    part = place.cropped(Segmentation(labels, scan.grid, {1: "liver", 3: "spleen"}, scan=scan), ids)
    assert part.grid.shape == (8, 8, 6)  # 3, 3 and 2 voxels on either side
    assert part.provenance["margin_mm"] == 5.9
    first = np.array([[0, 0, 0]])
    assert np.allclose(part.grid.to_world(first), scan.grid.to_world(np.array([[5, 5, 6]])))
    with pytest.raises(InputError, match="no liver was found to crop to"):
        place.cropped(Segmentation(np.zeros_like(labels), scan.grid, {1: "liver"}, scan=scan), ids)
    with pytest.raises(InputError, match="--crop-to liver: it is not looked for"):
        place.classes(vocabulary, [3])
    assert options().classes(vocabulary, [3]) == []


@pytest.fixture(scope="module")
def segmented(tmp_path_factory, example_ct):
    """A small piece of the example, turned, through the command: another grid, probabilities, a page, a log."""
    folder = tmp_path_factory.mktemp("grid")
    image = nib.load(example_ct).slicer[45:75, 25:55, 75:100]
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), turn @ image.affine), folder / "ct.nii.gz")
    command = [str(folder / "ct.nii.gz"), "-o", str(folder / "out"), "-c", "mandible", "--spacing", "5,4,3", "--fast"]
    command += ["--roi", "3:28,:,2:", "--probabilities", "--report", "--log-file", str(folder / "log.txt")]
    done = CliRunner().invoke(app, ["segment", *command])
    assert done.exit_code == 0, done.output
    return folder


def test_all_that_is_written_lies_on_the_grid(segmented):
    source, result = nib.load(segmented / "ct.nii.gz"), nib.load(segmented / "out" / "ct_seg.nii.gz")
    maps = nib.load(segmented / "out" / "ct_seg_probabilities" / "mandible.nii.gz")
    expected = Grid(source.shape, source.affine).with_spacing((5, 4, 3))
    for image in (result, maps):
        assert image.shape == expected.shape
        assert np.allclose(image.affine, expected.affine, atol=1e-4)
    labels = np.asarray(result.dataobj)
    assert set(np.unique(labels)) == {0, 137}
    assert (maps.get_fdata()[labels == 137] >= 0.49).all()
    assert not labels[0].any()  # before voxel 3 of the scan


def test_the_log_has_times_and_ends(segmented):
    lines = (segmented / "log.txt").read_text().splitlines()
    assert all(line[4] == "-" and line[10] == "T" for line in lines)
    assert "openvista segment: begins" in lines[0]
    assert "openvista segment: ends after" in lines[-1]
    assert any("ct.nii.gz: segmented in" in line for line in lines)


def test_a_grid_beside_the_scan_is_one_line(segmented, tmp_path):
    place = np.eye(4)
    place[:3, 3] = 5000
    far = nib.Nifti1Image(np.zeros((5, 5, 5), np.uint8), place)
    nib.save(far, tmp_path / "far.nii.gz")
    command = [str(segmented / "ct.nii.gz"), "-o", str(tmp_path / "x.nii.gz"), "--like", str(tmp_path / "far.nii.gz")]
    done = CliRunner().invoke(app, ["segment", *command])
    assert isinstance(done.exception, OpenVistaError)
    assert "the grid of the result lies outside the scan" in str(done.exception)
    assert not (tmp_path / "x.nii.gz").exists()
