"""Nothing outside the allowed folders is read or written, whatever the path and wherever links lead."""

import pytest

from openvista.agents.folders import Folders
from openvista.errors import InputError, OutputError, ServiceError


@pytest.fixture
def folders(root) -> Folders:
    return Folders.of([root])


def test_what_lies_inside_is_found(folders, root):
    assert folders.existing("ct.nii.gz") == folders.existing(str(root / "ct.nii.gz")) == root / "ct.nii.gz"
    assert folders.target("new.nii.gz", overwrite=False) == root / "new.nii.gz"


@pytest.mark.parametrize(
    "path", ["../secret/ct.nii.gz", "link/ct.nii.gz", "file.nii.gz", "missing.nii.gz", "/etc/passwd", "a\0b"]
)
def test_what_lies_outside_is_as_if_it_were_not_there(folders, root, path):
    (root / "link").symlink_to(root.parent / "secret")
    (root / "file.nii.gz").symlink_to(root.parent / "secret" / "ct.nii.gz")
    with pytest.raises(ServiceError, match="no such file or folder in the allowed folders"):
        folders.existing(path)


@pytest.mark.parametrize(
    "path", ["../secret/x.nii.gz", "link/x.nii.gz", "sub/..", "..", "", "none/x.nii.gz", "/tmp/x.nii.gz"]
)
def test_nothing_is_written_outside(folders, root, path):
    (root / "link").symlink_to(root.parent / "secret")
    (root / "sub").mkdir()
    with pytest.raises(OutputError):
        folders.target(path, overwrite=True)


def test_files_that_are_there_stay_unless_they_may_be_replaced(folders, root):
    with pytest.raises(OutputError, match="exists"):
        folders.target("ct.nii.gz", overwrite=False)
    assert folders.target("ct.nii.gz", overwrite=True) == root / "ct.nii.gz"
    (root / "link.nii.gz").symlink_to(root.parent / "secret" / "ct.nii.gz")
    with pytest.raises(OutputError, match="exists"):
        folders.target("link.nii.gz", overwrite=True)


def test_a_slice_stands_for_its_folder_and_a_header_names_no_other_file(folders, root):
    (root / "series").mkdir()
    (root / "series" / "1.dcm").touch()
    assert folders.existing("series/1.dcm") == root / "series" / "1.dcm"
    (root / "series" / "2.dcm").symlink_to(root.parent / "secret" / "ct.nii.gz")
    with pytest.raises(ServiceError, match="no such file"):
        folders.existing("series/1.dcm")
    (root / "pointer.mhd").write_text("ElementDataFile = ../secret/ct.raw\n")
    with pytest.raises(ServiceError, match="same file as its header"):
        folders.existing("pointer.mhd")


def test_a_folder_must_be_named(tmp_path):
    with pytest.raises(InputError, match="give --root FOLDER"):
        Folders.of([])
    with pytest.raises(InputError, match="no such folder"):
        Folders.of([tmp_path / "none"])
