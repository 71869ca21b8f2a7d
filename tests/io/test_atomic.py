import stat
from pathlib import Path

import pytest
from pydicom import Dataset

from openvista.errors import InputError, OutputError
from openvista.io.atomic import (
    claim_folder,
    drop_torn_line,
    make_folder,
    remove_unfinished,
    replacing,
    write_text,
    writing,
)


def test_text_is_written_in_utf_8(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "Größe\n")
    assert (tmp_path / "text").read_bytes() == "Größe\n".encode()
    assert list(tmp_path.iterdir()) == [tmp_path / "text"]


def test_after_an_error_the_older_file_is_there(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "older")

    def write_and_fail(path: Path) -> None:
        path.write_text("newer")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "text") as temporary:
        write_and_fail(temporary)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("text", "older")]


def test_a_refusal_names_the_target(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing.text: cannot be written: .*; create the folder first"):
        write_text(tmp_path / "missing" / "text", "")
    with pytest.raises(OutputError, match=r"target: cannot be written: No space left"), writing(tmp_path / "target"):
        raise OSError(28, "No space left on device")


def test_folders_are_made_with_those_they_lie_in(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    write_text(tmp_path / "file", "")
    with pytest.raises(OutputError, match=r"file: cannot be made: .*; choose another folder"):
        make_folder(tmp_path / "file")


def test_what_a_killed_process_left_goes_and_nothing_else(tmp_path: Path) -> None:
    """Also where a writer of DICOM makes a temporary file of its own for one that is temporary."""
    left: list[Path] = []
    for name in ("ct_seg.nii.gz", "ct_seg.dcm", "ct2_seg.dcm"):
        with replacing(tmp_path / name) as outer, replacing(outer) as inner:
            left += [outer, inner]
            inner.write_text("")
    others = {tmp_path / name for name in ("ct_seg.dcm", "ct2_seg.dcm", ".hidden-ct_seg.dcm", "ct_seg.nii.gz")}
    for file in (*left, *others):
        file.write_text("")
    remove_unfinished(tmp_path, "ct_")
    assert set(tmp_path.iterdir()) == {*others, *left[-2:]}


@pytest.mark.parametrize("content", ["", "torn", "one\n", "one\ntorn", "one\ntw" + "o" * 200_000, "torn" * 50_000])
def test_a_line_without_an_end_is_dropped(tmp_path: Path, content: str) -> None:
    path = tmp_path / "lines"
    drop_torn_line(path)  # is not there yet
    path.write_text(content)
    drop_torn_line(path)
    assert path.read_text() == ("one\n" if content.startswith("one\n") else "")


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "state"
    claim = claim_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with pytest.raises(InputError, match="another server uses it"):
        claim_folder(folder)
    claim.release()
    claim_folder(folder).release()


def test_what_cannot_be_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--state"):
        claim_folder(tmp_path / "file")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_under_pydicom_was_a_refusal_of_twelve_lines(tmp_path: Path) -> None:
    """pydicom raises an OSError of its own, whose text is a traceback and which has no number; ours names the file."""
    dataset = Dataset()
    dataset.add_new("PixelData", "OW", bytes(1 << 20))
    wanted = r"/x\.dcm: cannot be written: No space left on device; free some space"
    with pytest.raises(OutputError, match=wanted) as caught, replacing(tmp_path / "x.dcm") as outer, replacing(outer):
        dataset.save_as("/dev/full", implicit_vr=False, little_endian=True)
    assert "\n" not in str(caught.value)
