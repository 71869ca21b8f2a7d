"""OHIF's extension: it asks by SeriesInstanceUID, and counts voxels in its own order of the series' images.

The order is that of cornerstone3D: columns, rows, and slices along row cosine x column cosine. Against a real PACS:
tests/services/test_ohif_and_pacs.py.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from serving import Running, ct_file, running

from openvista.io import read_scan
from openvista.prompts import Click
from openvista.session.session import Session
from small_dicom import tilted, write_series

AFFINE = np.diag([-2.0, -2.0, 2.5, 1.0])
NOT_A_SERIES = "1.2.840.113619.2"
SHAPE = (16, 15, 13)


def ask(server: Running, image: str, params: dict, dtype: str = "uint8") -> np.ndarray:
    """What the extension sends and how it reads the answer: raw NRRD, little-endian, first axis fastest."""
    params = {"result_extension": ".nrrd", "result_dtype": dtype, "result_compress": False} | params
    fields = {"params": (None, json.dumps(params | {"restore_label_idx": False}))}
    answer = server.http.post(f"/infer/vista3d?image={image}&output=image", files=fields)
    assert answer.status_code == 200, answer.text
    header, _, data = answer.content.partition(b"\n\n")
    lines = dict(line.split(": ", 1) for line in header.decode().splitlines() if ": " in line)
    assert (lines["encoding"], lines["endian"]) == ("raw", "little")
    assert lines["type"] == {"uint8": "unsigned char", "uint16": "unsigned short"}[dtype]
    sizes = [int(size) for size in lines["sizes"].split()]
    return np.frombuffer(data, "<u2" if dtype == "uint16" else np.uint8).reshape(sizes, order="F")


def zipped_series(folder: Path, store: Path, affine: np.ndarray, missing: tuple[int, ...] = ()) -> str:
    """A series in a datastore, as UID.zip; its UID."""
    hu = np.random.default_rng(5).integers(-900, 900, SHAPE)
    files = write_series(folder, hu, affine)
    for index in missing:
        files[index].unlink()
    uid = dcmread(files[0]).SeriesInstanceUID
    shutil.make_archive(str(store / uid), "zip", folder)
    return str(uid)


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> dict[str, tuple[str, Path]]:
    """UID and folder of a plain series, and of one with a tilted gantry; a datastore with both."""
    root = tmp_path_factory.mktemp("series")
    store = root / "store"
    store.mkdir()
    ct_file(store / f"{NOT_A_SERIES}.nii.gz")
    plain = zipped_series(root / "plain", store, AFFINE)
    tilt = zipped_series(root / "tilt", store, tilted(AFFINE, 15.0))
    return {"store": ("", store), "plain": (plain, root / "plain"), "tilt": (tilt, root / "tilt")}


@pytest.fixture(scope="module")
def ohif_server(two_branches, series, tmp_path_factory) -> Iterator[Running]:
    state = tmp_path_factory.mktemp("ohif")
    with running(
        models=(str(two_branches),), precision="float32", state=state, datastore=series["store"][1], voxels=300_000
    ) as server:
        yield server


@pytest.fixture
def session_on(ohif_server, series) -> Callable[[str], Session]:
    """The engine itself, on a series."""
    model = ohif_server.app.state.service.engine.model(None)
    return lambda name: model.open(read_scan(series[name][1]))


def test_ohifs_three_modes(ohif_server, series, session_on):
    uid = series["plain"][0]
    session = session_on("plain")
    session.segment()
    assert np.array_equal(ask(ohif_server, uid, {}), session.segmentation().labels)
    session = session_on("plain")
    session.segment([1, 133])
    for dtype in ("uint8", "uint16"):
        found = ask(ohif_server, uid, {"label_prompt": [1, 133]}, dtype)
        assert np.array_equal(found, session.segmentation().labels)
    session = session_on("plain")
    session.clicks([Click((8, 7, 6)), Click((2, 2, 2), False)], 5, automatic=False)
    points = {"points": [[8, 7, 6], [2, 2, 2]], "point_labels": [1, 0], "label_prompt": [5]}
    assert np.array_equal(ask(ohif_server, uid, points), session.segmentation().labels)


def test_the_slices_of_a_tilted_gantry_are_as_ohif_has_them(ohif_server, series, session_on):
    """It shows the images themselves; our grid is the patient's, on which they lie shifted."""
    uid = series["tilt"][0]
    session = session_on("tilt")
    slices = session.scan.dicom
    assert max(abs(one.shift[1]) for one in slices.slices) > 1, "without a shift there is nothing to see"
    for voxel in ((8, 7, 0), (8, 7, 6), (3, 4, 12)):
        shift = slices.slices[voxel[2]].shift
        session = session_on("tilt")
        place = (voxel[0] - shift[0], voxel[1] - shift[1], voxel[2])
        session.clicks([Click(place)], 5, automatic=False)
        found = ask(ohif_server, uid, {"points": [list(voxel)], "point_labels": [1], "label_prompt": [5]})
        assert found.shape == SHAPE
        assert found[voxel] == 5, "a click is in its object"
        on_grid = session.segmentation().labels[tuple(round(part) for part in place)]
        assert on_grid == 5


def test_a_file_that_is_no_series_is_refused_not_guessed(ohif_server):
    fields = {"params": (None, "{}")}
    answer = ohif_server.http.post(f"/infer/vista3d?image={NOT_A_SERIES}", files=fields)
    assert answer.status_code == 422
    assert "--dicomweb" in answer.json()["detail"]
    other = ohif_server.http.post(f"/infer/vista3d_auto?image={NOT_A_SERIES}&output=json", files=fields)
    assert other.status_code == 200, "Slicer has the file itself, and its order"


def test_a_series_gets_a_dicom_segmentation(ohif_server, series):
    uid = series["plain"][0]
    fields = {"params": (None, json.dumps({"label_prompt": [1, 5]}))}
    answer = ohif_server.http.post(f"/infer/vista3d?image={uid}&output=dicom_seg", files=fields)
    assert answer.status_code == 200, answer.text
    seg = dcmread(BytesIO(answer.content))
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == uid
    assert {item.SegmentLabel for item in seg.SegmentSequence} <= {"liver", "right kidney"}


def dicom_uploads(folder: Path) -> dict[str, list[Path]]:
    """One CT as Slicer or a script may send it; and a single slice."""
    hu = np.random.default_rng(5).integers(-900, 900, SHAPE)
    slices = write_series(folder / "slices", hu, AFFINE)
    return {
        "slices": slices,
        "a zip": [Path(shutil.make_archive(str(folder / "zipped"), "zip", folder / "slices"))],
        "a multi-frame file": write_series(folder / "multi", hu, AFFINE, enhanced=1),
        "one slice": write_series(folder / "one", hu[:, :, :1], AFFINE),
    }


@pytest.mark.parametrize("kind", ["slices", "a zip", "a multi-frame file", "one slice"])
def test_dicom_is_taken_in_every_form(ohif_server, tmp_path, kind):
    """By the datastore, which keeps it, by sessions, and with a question (one file)."""
    http, files = ohif_server.http, dicom_uploads(tmp_path)[kind]
    parts = [(path.name, path.read_bytes()) for path in files]
    added = http.put("/datastore/?image=3%3A+CT", files=[("file", part) for part in parts])
    assert added.json() == {"image": "3: CT"}, added.text
    again = http.put("/datastore/?image=3%3A+CT", files=[("file", part) for part in parts])
    assert again.json() == {"image": "3: CT"}, "the same image"
    params = {"params": (None, '{"label_prompt": ["liver"]}')}
    answers = [http.post("/infer/vista3d?image=3%3A+CT&output=json", files=params)]
    session = http.put("/session/", files=[("files", part) for part in parts]).json()["session_id"]
    answers.append(http.post(f"/infer/vista3d?session_id={session}&output=json", files=params))
    if len(parts) == 1:
        answers.append(http.post("/infer/vista3d?output=json", files={**params, "file": parts[0]}))
    assert [answer.status_code for answer in answers] == [200] * len(answers), [answer.text for answer in answers]
    http.request("DELETE", "/datastore/?id=3%3A+CT")


def test_a_server_without_a_pacs_passes_nothing_on(ohif_server):
    answer = ohif_server.http.get("/proxy/dicom/qido/studies")
    assert answer.status_code == 404
    assert "--dicomweb" in answer.json()["detail"]


def test_the_page_beside_us_needs_no_token_of_its_own(automatic_only, tmp_path):
    """OHIF on the same origin: the cookie that the address with the token left goes with its requests."""
    with running(models=(str(automatic_only),), token="a long secret", state=tmp_path / "state") as server:
        fields = {"params": (None, "{}")}
        assert server.http.post("/infer/vista3d?image=none", files=fields).status_code == 401
        server.http.get("/?token=a long secret")
        assert server.http.post("/infer/vista3d?image=none", files=fields).status_code == 404
        own, other = {"Origin": server.url}, {"Origin": "http://elsewhere.example"}
        assert server.http.post("/infer/vista3d?image=none", files=fields, headers=own).status_code == 404
        assert server.http.post("/infer/vista3d?image=none", files=fields, headers=other).status_code == 403
