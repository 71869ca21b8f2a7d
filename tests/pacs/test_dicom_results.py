"""Which results can be stored, and in which order they are written."""

import pytest

from openvista.errors import InputError
from openvista.pacs.dicom_results import check_formats


def test_a_report_comes_after_the_segmentation_that_it_refers_to():
    assert check_formats(["dicom-sr", "dicom-seg", "dicom-sr"]) == ("dicom-seg", "dicom-sr")


def test_files_that_no_archive_takes_are_refused():
    with pytest.raises(InputError, match=r"'nii.gz' cannot be stored"):
        check_formats(["dicom-seg", "nii.gz"])
