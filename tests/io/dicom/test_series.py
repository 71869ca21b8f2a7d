"""Which series there are, and which one is meant."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import RTStructureSetStorage, SecondaryCaptureImageStorage

from openvista.errors import ScanError
from openvista.io import read_scan
from openvista.io.dicom.series import find_series
from small_dicom import ACQUISITIONS, AXIAL, SHAPE, VOLUME, affine_of, write_series


def uid_of(files: list[Path]) -> str:
    return str(dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A CT among what lies beside it in a study."""
    study = tmp_path / "study"
    write_series(study / "ct", VOLUME, AXIAL, SeriesDescription="Abdomen 2.5", SeriesNumber=4)
    localizer = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "SeriesNumber": 1}
    write_series(study / "scout", VOLUME, AXIAL, **localizer)
    write_series(study / "shot", VOLUME, AXIAL, SOPClassUID=SecondaryCaptureImageStorage, SeriesNumber=99)
    write_series(study / "mr", VOLUME, AXIAL, Modality="MR", SeriesNumber=5)
    write_series(study / "slab", VOLUME[:, :, :1], AXIAL, SeriesNumber=2)
    write_series(study / "map", VOLUME, AXIAL, RescaleType="MGML", SeriesNumber=6)
    (structures,) = write_series(study / "rt", VOLUME[:, :, :1], AXIAL, SOPClassUID=RTStructureSetStorage)
    header = dcmread(structures)
    del header.PixelData, header.Rows, header.Columns
    header.Modality, header.SeriesNumber = "RTSTRUCT", 7
    header.save_as(structures)
    return study


def test_the_only_ct_volume_is_taken_and_the_rest_is_named(study: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="openvista.io")
    assert np.array_equal(read_scan(study).voxels, VOLUME)
    messages = [record.message for record in caplog.records if "left out: series" in record.message]
    told = [message.split(": left out: ")[1] for message in messages]
    reasons = {message.split()[1]: message.split(", ", 1)[1] for message in told}
    assert reasons == {
        "1": "localizer",
        "2": "another CT",
        "5": "MR, not CT",
        "6": "values are MGML, not HU",
        "7": "no image",
        "99": "secondary capture",
    }


def test_what_is_there_is_described(study: Path) -> None:
    found = {one.number: one for one in find_series(study)}
    assert found["4"].describe() == f"4: CT 'Abdomen 2.5', 9 x 36 x 40, 0.8 x 1.1 x 2.5 mm, {found['4'].uid}"
    assert found["1"].describe().endswith("(localizer)")
    assert [number for number, one in found.items() if one.is_volume] == ["4"]


def test_several_cts_are_listed_and_one_is_chosen(study: Path) -> None:
    other = write_series(study / "lung", VOLUME + 5, AXIAL, SeriesDescription="Lung", SeriesNumber=8)
    with pytest.raises(ScanError) as refused:
        read_scan(study)
    assert "holds 2 CT series; choose one by --series UID" in str(refused.value)
    assert "'Abdomen 2.5'" in str(refused.value)
    assert "\n" not in str(refused.value)
    uid = uid_of(other)
    for wanted in (uid, uid[:-2], "8", "lung"):
        assert np.array_equal(read_scan(study, series=wanted).voxels, VOLUME + 5), wanted
    with pytest.raises(ScanError, match=r"--series 1\.2\.826 means 3 of its series"):
        read_scan(study, series="1.2.826")
    with pytest.raises(ScanError, match="no series 1234 is there"):
        read_scan(study, series="1234")
    with pytest.raises(ScanError, match=r"series 5 .* cannot be segmented: MR, not CT"):
        read_scan(study, series="5")


def test_two_orientations_in_one_series_are_two_volumes(tmp_path: Path) -> None:
    axial = write_series(tmp_path / "ct", VOLUME, AXIAL)
    uid = uid_of(axial)
    coronal = affine_of(ACQUISITIONS["coronal"])
    more = write_series(tmp_path / "more", VOLUME, coronal, SeriesInstanceUID=uid)
    for index, file in enumerate(more):
        file.rename(tmp_path / "ct" / f"coronal{index}")
    with pytest.raises(ScanError, match="holds 2 CT series"):
        read_scan(tmp_path / "ct")
    scans = [read_scan(tmp_path / "ct", series=f"{uid}#{part}") for part in (1, 2)]
    assert {scan.grid.axis_codes for scan in scans} == {"LPS", "LIP"}


def test_a_scout_in_the_series_of_its_ct_is_left_out(tmp_path: Path) -> None:
    files = write_series(tmp_path / "ct", VOLUME, AXIAL)
    scout = write_series(tmp_path / "s", VOLUME[:, :, :1], affine_of(ACQUISITIONS["coronal"]))
    header = dcmread(scout[0])
    header.SeriesInstanceUID, header.ImageType = uid_of(files), ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    header.save_as(tmp_path / "ct" / "scout")
    assert np.array_equal(read_scan(tmp_path / "ct").voxels, VOLUME)


def test_an_end_slice_that_is_cut_short_before_its_pixels_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = write_series(tmp_path / "ct", VOLUME, AXIAL)
    content = files[-1].read_bytes()
    files[-1].write_bytes(content[: content.index(b"\x20\x00\x32\x00")])  # where Image Position (Patient) begins
    assert read_scan(tmp_path / "ct").grid.shape[2] == SHAPE[2] - 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "left out" in caplog.text


def test_points_in_time_are_volumes_of_their_own(tmp_path: Path) -> None:
    first = write_series(tmp_path / "ct", VOLUME, AXIAL)
    for index, file in enumerate(write_series(tmp_path / "2", VOLUME + 9, AXIAL, SeriesInstanceUID=uid_of(first))):
        header = dcmread(file)
        header.AcquisitionNumber = 2
        header.save_as(tmp_path / "ct" / f"second{index}")
    with pytest.raises(ScanError, match="holds 2 CT series"):
        read_scan(tmp_path / "ct")
    assert np.array_equal(read_scan(tmp_path / "ct", series=f"{uid_of(first)}#2").voxels, VOLUME + 9)


def test_one_place_again_and_again_is_no_volume(tmp_path: Path) -> None:
    """As when a scanner waits for contrast agent to arrive."""
    for index in range(4):
        (file,) = write_series(tmp_path / str(index) / "bolus", VOLUME[:, :, :1] + index, AXIAL)
        header = dcmread(file)
        header.AcquisitionNumber = index
        header.save_as(file)
    write_series(tmp_path / "ct", VOLUME, AXIAL)
    assert np.array_equal(read_scan(tmp_path).voxels, VOLUME)
    shutil.rmtree(tmp_path / "ct")
    with pytest.raises(ScanError, match=r"holds no CT that can be segmented.*one place 4 times"):
        read_scan(tmp_path)


def test_a_folder_without_dicom(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "notes.txt").write_text("x")
    with pytest.raises(ScanError, match="no DICOM image is there"):
        read_scan(tmp_path)
    assert VOLUME.shape == SHAPE
