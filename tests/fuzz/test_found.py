"""What damaged files did before it was mended, by name."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames

from openvista.errors import InputError, ScanError, SessionError, WeightsError
from openvista.io import read_scan
from openvista.io.session_file import read_log
from openvista.session.replay import replay
from openvista.weights.files import read_file
from small_dicom import write_series

VALUES = np.random.default_rng(0).integers(-1000, 1000, (42, 36, 2)).astype(np.int16)


def test_a_long_list_of_kinds_ended_the_process(tmp_path: Path) -> None:
    """Signal 11 inside the NRRD reader of ITK."""
    sitk.WriteImage(sitk.GetImageFromArray(VALUES.T), str(tmp_path / "ct.nrrd"), False)
    good = b"kinds: domain domain domain"
    content = (tmp_path / "ct.nrrd").read_bytes()
    (tmp_path / "ct.nrrd").write_bytes(content.replace(good, good + b"1 " * 500))
    with pytest.raises(ScanError, match="kinds"):
        read_scan(tmp_path / "ct.nrrd")


@pytest.mark.parametrize("dimensions", ["-1", "0", "32767", "1e30"])
def test_a_number_of_dimensions_ended_the_process(tmp_path: Path, dimensions: str) -> None:
    """Signal 11 inside MetaIO."""
    lines = ["ObjectType = Image", f"NDims = {dimensions}", "DimSize = 9 9 9", "ElementType = MET_SHORT"]
    (tmp_path / "ct.mha").write_text("\n".join([*lines, "ElementDataFile = LOCAL", ""]))
    with pytest.raises(ScanError, match="NDims"):
        read_scan(tmp_path / "ct.mha")


@pytest.mark.parametrize("syntax", ["RLE", "JPEG-LS", "JPEG lossless"])
def test_compressed_pixels_that_are_cut_were_a_traceback(tmp_path: Path, syntax: str) -> None:
    """Each decoder has an error of its own."""
    files = write_series(tmp_path / "ct", VALUES, np.diag([-1.0, -1, 3, 1]), syntax=syntax)
    whole = dcmread(files[0])
    (frame,) = generate_frames(whole.PixelData, number_of_frames=1)
    whole.PixelData = encapsulate([frame[:100]])
    whole.save_as(files[0])
    with pytest.raises(ScanError):
        read_scan(tmp_path / "ct")


def test_a_checkpoint_whose_table_of_contents_is_damaged_was_a_traceback(tmp_path: Path) -> None:
    """``zipfile.is_zipfile`` looks at the last bytes only."""
    torch.save({"a": torch.ones(3)}, tmp_path / "model.pt")
    content = bytearray((tmp_path / "model.pt").read_bytes())
    content[content.find(b"PK\x01\x02")] = 0
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(WeightsError, match="corrupt"):
        read_file(tmp_path / "model.pt")


def test_a_log_that_names_an_object_by_a_list_was_a_traceback(tmp_path: Path, session) -> None:
    (tmp_path / "log.json").write_text(json.dumps([{"action": "new_object", "name": ["lesion"]}]))
    with pytest.raises(SessionError, match="wrong argument"):
        replay(session, read_log(tmp_path / "log.json"))


def test_a_session_with_an_array_whose_header_is_no_literal_was_a_traceback(tmp_path: Path, two_branches, session):
    """``tokenize.TokenError``, from NumPy's reading of old headers."""
    path = session.save(tmp_path / "a.ovsession")
    stream = io.BytesIO()
    np.save(stream, np.zeros(4))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("arrays/damaged.npy", stream.getvalue().replace(b"}", b" "))
    with pytest.raises(InputError, match=r"a\.ovsession"):
        two_branches.open(session.scan, path)
