"""Folders and buckets look the same to whoever reads and writes. A bucket in memory is a real file system of fsspec."""

from pathlib import Path

import fsspec
import pytest

from openvista.cohort.inputs import find_cases
from openvista.cohort.storage import Place, fetched, is_remote, local_path
from openvista.errors import InputError, MissingExtraError
from openvista.weights.card import sha256_of


@pytest.fixture(params=["folder", "bucket"])
def root(request, tmp_path) -> str:
    if request.param == "folder":
        return str(tmp_path / "out")
    bucket = fsspec.filesystem("memory")
    bucket.rm("/bucket", recursive=True) if bucket.exists("/bucket") else None
    return "memory://bucket/out"


def test_what_is_written_can_be_checked_and_read(root, tmp_path):
    place = Place(root)
    for name in ("site/a", "top"):
        with place.folder_for(name) as folder:
            (folder / f"{Path(name).name}.txt").write_text(name)
    assert (place.size("site/a.txt"), place.size("top.txt"), place.size("none.txt")) == (6, 3, None)
    (tmp_path / "same").write_text("site/a")
    assert place.sha256("site/a.txt") == sha256_of(tmp_path / "same")
    assert place.sha256("site/none.txt") is None
    with fetched(f"{root}/site/a.txt") as file:
        assert file.read_text() == "site/a"
        assert file.name == "a.txt"
    assert file.exists() != is_remote(root)


def test_a_bucket_gets_nothing_of_a_try_that_failed():
    place = Place("memory://bucket/failed")

    def write() -> None:
        with place.folder_for("a") as folder:
            (folder / "a.txt").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert place.size("a.txt") is None


def test_scans_in_a_bucket():
    bucket = fsspec.filesystem("memory")
    for name in ("in/a.nii.gz", "in/site/b.nii.gz", "in/study/1.dcm", "in/study/2.dcm", "in/readme.txt"):
        bucket.pipe(f"/scans/{name}", name.encode())
    bucket.pipe("/scans/list.csv", b"image,id\nin/a.nii.gz,first\n")
    found = {case.id: case for case in find_cases(["memory://scans/in"], "out")}
    assert found.keys() == {"a", "site/b", "study"}
    assert all(case.identity for case in found.values())
    with fetched(found["study"].uri) as folder:
        assert {file.name for file in folder.iterdir()} == {"1.dcm", "2.dcm"}
    assert [case.id for case in find_cases(["memory://scans/in/**/*.nii.gz"], "out")] == ["a", "site/b"]
    listed = find_cases(["memory://scans/list.csv"], "out")
    with fetched(listed[0].uri) as file:
        assert (listed[0].id, file.read_bytes()) == ("first", b"in/a.nii.gz")


def test_addresses_of_files_are_paths():
    assert not is_remote("file:///data/ct")
    assert local_path("file:///data/ct") == Path("/data/ct")
    assert is_remote("s3://bucket/ct")


def test_addresses_that_lead_nowhere():
    with pytest.raises(InputError, match="nonsense"), fetched("nonsense://x"):
        pass
    with pytest.raises(MissingExtraError, match=r"openvista\[cloud\]"), fetched("gdrive://x"):
        pass
