"""A session beside another segmentation of its scan, over the native API."""

import numpy as np
import pytest
from serving import AFFINE, SHAPE, Session

from openvista.geometry.grid import Grid
from openvista.metrics.masks import measure_masks


def label_file(path, labels, names, affine=AFFINE):
    from openvista.io import write_segmentation
    from openvista.scan import Segmentation

    write_segmentation(Segmentation(labels, Grid(labels.shape, affine), names), path)
    return {"file": (path.name, path.read_bytes())}


def test_a_file_is_compared_with_what_the_session_shows(session, tmp_path):
    session.change("classes", {"classes": ["liver", "brainstem"]})
    other = np.zeros(SHAPE, np.uint8)
    other[2:9, 3:9, 2:8], other[10:13, 10:13, 5:9] = 7, 9
    files = label_file(tmp_path / "by hand.nii.gz", other, {7: "Liver", 9: "cyst"})
    answer = session.post("comparison", files=files)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    liver, brainstem, cyst = found["rows"]
    grid = Grid(SHAPE, AFFINE)
    wanted = measure_masks(session.labels == 1, other == 7, grid)
    assert liver == {
        "name": "liver", "first_id": 1, "second_id": 7, "first_ml": pytest.approx(wanted.truth_ml),
        "second_ml": pytest.approx(wanted.predicted_ml), "dice": wanted.dice, "hd95_mm": wanted.hd95_mm,
    }  # fmt: skip
    assert (brainstem["second_id"], brainstem["second_ml"], brainstem["dice"]) == (None, None, None)
    assert (cyst["first_id"], cyst["name"], cyst["second_ml"]) == (None, "cyst", pytest.approx(36 * 0.01))
    drawn = Session(session, session.info["scan_id"])
    drawn.apply({"session": None, "labels": found["labels"]})
    assert np.array_equal(drawn.labels, other)
    now = session.http.get(session.address).json()
    assert (found["revision"], now["objects"]) == (now["revision"], session.info["objects"])


def test_another_session_of_the_scan_is_compared(server, session):
    session.change("classes", {"classes": ["liver", "brainstem"]})
    other = Session(server, session.info["scan_id"])
    answer = session.post("comparison", params={"session": other.info["id"]})
    assert answer.status_code == 422
    assert "one has liver, brainstem, the other nothing" in answer.json()["detail"]
    other.change("classes", {"classes": ["liver"]})
    rows = session.post("comparison", params={"session": other.info["id"]}).json()["rows"]
    wanted = measure_masks(session.labels == 1, other.labels == 1, Grid(SHAPE, AFFINE))
    assert [(row["name"], row["dice"], row["hd95_mm"]) for row in rows] == [
        ("liver", wanted.dice, wanted.hd95_mm), ("brainstem", None, None),
    ]  # fmt: skip
    assert session.post("comparison", params={"session": "nobody's"}).status_code == 404


def test_what_cannot_be_compared_is_refused_in_one_line(session, tmp_path):
    session.change("classes", {"classes": ["liver"]})
    moved = AFFINE.copy()
    moved[:3, 3] = 500
    labels = np.ones(SHAPE, np.uint8)
    for name, files, detail in (
        ("elsewhere", label_file(tmp_path / "a.nii.gz", labels, {1: "liver"}, moved), "does not lie on the grid"),
        ("larger", label_file(tmp_path / "b.nii.gz", np.ones((20, 15, 13), np.uint8), {1: "liver"}), "(20, 15, 13)"),
        ("unnamed", label_file(tmp_path / "c.nii.gz", labels, {1: "cyst"}), "no structure is named in both"),
        ("no labels", {"file": ("d.nii.gz", b"nothing")}, "d.nii.gz"),
    ):
        answer = session.post("comparison", files=files)
        assert answer.status_code == 422, name
        assert detail in answer.json()["detail"], name
        assert "\n" not in answer.json()["detail"]
    assert session.post("comparison").status_code == 415
