"""DICOM into the server: slices, zip, multi-frame file, path; what is kept of it, and what is not."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from serving import AFFINE, SHAPE, read_nifti

from openvista.io.dicom.kept import read_slices
from small_dicom import IDENTIFIERS, phantom, write_series

VOLUME = phantom(AFFINE, SHAPE, AFFINE[:3, 3])


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    return write_series(tmp_path / "slices", VOLUME, AFFINE)


def send(server, files: list[Path], **fields: str) -> dict:
    parts = [("file", (file.name, file.read_bytes())) for file in files]
    answer = server.http.post("/api/v1/scans", files=parts, data=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def kept_voxels(server, info: dict) -> np.ndarray:
    return np.asarray(read_nifti(server.http.get(f"/api/v1/scans/{info['id']}/image").content).dataobj)


def test_slices_a_zip_and_a_multi_frame_file_are_one_scan(server, series, tmp_path):
    packed = tmp_path / "case.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in reversed(series):
            archive.write(file, f"DICOM/SE000001/{file.stem}")
    infos = [
        send(server, series[::-1]),
        send(server, [packed]),
        send(server, write_series(tmp_path / "enhanced", VOLUME, AFFINE, enhanced=True)),
    ]
    assert [info["name"] for info in infos] == ["series-3", "case", "multiframe"]
    assert len({info["sha256"] for info in infos}) == 1
    assert np.allclose(infos[0]["affine"], AFFINE)
    assert np.array_equal(kept_voxels(server, infos[0]), VOLUME)


def test_a_series_under_an_allowed_folder(server, series):
    folder = server.settings.roots[0] / "dicom"
    one_slice = write_series(folder, VOLUME, AFFINE)[0]
    for path, name in (("dicom", "dicom"), (f"dicom/{one_slice.name}", one_slice.stem)):
        answer = server.http.post("/api/v1/scans/from-path", json={"path": path})
        assert answer.json()["name"] == name
        assert np.array_equal(kept_voxels(server, answer.json()), VOLUME)


def test_the_slices_are_kept_but_not_whose_they_are(server, series):
    info = send(server, series)
    folder = server.settings.state / "scans" / info["id"]
    kept = read_slices(folder / "slices.json")
    assert [kept.headers[one.instance].InstanceNumber for one in kept.slices] == list(range(1, SHAPE[2] + 1))
    for file in folder.rglob("*"):
        content = file.read_bytes()
        assert not any(value.encode() in content for value in IDENTIFIERS.values()), file.name
    assert not any(value in server.http.get("/api/v1/scans").text for value in IDENTIFIERS.values())


def test_one_of_several_series_is_chosen(server, series, tmp_path):
    other = write_series(tmp_path / "other", VOLUME + 100, AFFINE, SeriesNumber=7)
    parts = [("file", (f"{index}.dcm", file.read_bytes())) for index, file in enumerate(series + other)]
    refused = server.http.post("/api/v1/scans", files=parts)
    assert refused.status_code == 422
    assert "holds 2 CT series" in refused.json()["detail"]
    assert refused.json()["code"] == "several-series"
    first, second = refused.json()["choices"].items()
    assert first[1].startswith("3: CT 'made up', 13 x 15 x 16")
    assert np.array_equal(kept_voxels(server, send(server, series + other, series=second[0])), VOLUME + 100)
    assert not any(value in refused.text for value in IDENTIFIERS.values())
    info = send(server, series + other, series="7")
    assert np.array_equal(kept_voxels(server, info), VOLUME + 100)


def test_a_gap_is_filled_only_when_asked(server, series):
    series.pop(SHAPE[2] // 2)
    parts = [("file", (file.name, file.read_bytes())) for file in series]
    refused = server.http.post("/api/v1/scans", files=parts)
    assert refused.status_code == 422
    assert refused.json()["code"] == "missing-slices"
    assert "1 slice is missing, at z = " in refused.json()["detail"]
    assert refused.json()["detail"].endswith("interpolated (fill_gaps)")
    assert send(server, series, fill_gaps="true")["shape"] == list(SHAPE)
