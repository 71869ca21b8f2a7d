"""Sessions over the native API: class prompts, clicks, undo, diffs, files."""

import base64
import gzip
import io
import time
import zipfile

import httpx
import numpy as np
import pytest
import trimesh
from serving import SHAPE, Running, read_nifti

CLICK = [8.0, 7.0, 6.0]


@pytest.fixture(scope="module")
def scan(server, ct):
    return server.upload(ct)


@pytest.fixture
def session(server, scan):
    return Session(server, scan["id"])


class Session:
    """What a viewer does: asks, and keeps a label map of its own."""

    def __init__(self, server: Running, scan_id: str, model: str | None = None, shape=SHAPE) -> None:
        answer = server.http.post("/api/v1/sessions", json={"scan_id": scan_id, "model": model})
        assert answer.status_code == 201, answer.text
        self.http = server.http
        self.info = answer.json()
        self.address = f"/api/v1/sessions/{self.info['id']}"
        self.labels = np.zeros(shape, dtype=np.uint16)

    def post(self, path: str, content=None, **options) -> httpx.Response:
        return self.http.post(f"{self.address}/{path}", json=content, **options)

    def change(self, path: str, content=None, method: str = "POST") -> dict:
        answer = self.http.request(method, f"{self.address}/{path}", json=content)
        assert answer.status_code == 200, answer.text
        self.apply(answer.json())
        return answer.json()

    def apply(self, change: dict) -> None:
        self.info = change["session"]
        if change["labels"] is not None:
            (x, u), (y, v), (z, w) = change["labels"]["box"]
            raw = gzip.decompress(base64.b64decode(change["labels"]["data"]))
            values = np.frombuffer(raw, np.dtype(change["labels"]["dtype"]).newbyteorder("<"))
            self.labels[x:u, y:v, z:w] = values.reshape((u - x, v - y, w - z), order="F")

    def served(self) -> np.ndarray:
        answer = self.http.get(f"{self.address}/segmentation")
        assert answer.status_code == 200, answer.text
        return np.asarray(read_nifti(answer.content).dataobj)

    def object(self, name: str) -> dict:
        return next(item for item in self.info["objects"] if item["name"] == name)


def test_a_session_begins_empty(session):
    assert session.info["objects"] == []
    assert session.info["revision"] == 0
    assert not session.info["can_undo"]
    assert session.served().max() == 0


def test_class_prompts_give_what_the_engine_gives(server, session, ct):
    from openvista.io import read_scan

    session.change("classes", {"classes": ["liver", 121]})
    model = server.app.state.service.engine.model("both")
    direct = model.open(read_scan(ct))
    direct.segment(["liver", 121])
    assert np.array_equal(session.labels, direct.segmentation().labels)
    assert np.array_equal(session.served(), session.labels)
    assert {item["id"] for item in session.info["objects"]} == {1, 121}


def test_a_viewer_that_applies_boxes_sees_what_is_served(session):
    steps = [
        ("classes", {"classes": "all"}),
        ("objects", {"name": "lesion", "colour": "#ff0080"}),
        ("clicks", {"object": "lesion", "clicks": [{"voxel": CLICK}]}),
        ("clicks", {"object": 1, "clicks": [{"voxel": [4, 4, 4], "positive": False}, {"voxel": [13, 12, 11]}]}),
        ("undo", None),
        ("boxes", {"object": "lesion", "box": [[2, 9], [3, 12], [4, 11]]}),
        ("undo", None),
        ("undo", None),
        ("redo", None),
        ("lassos", {"object": 5, "axis": 2, "slice": 9, "points": [[3, 3], [12, 3], [8, 13]]}),
        ("scribbles", {"object": "spinal cord", "points": [[5, 5, 5], [6, 6, 6], [9, 9, 7]], "positive": False}),
    ]
    for path, content in steps:
        session.change(path, content)
        assert np.array_equal(session.served(), session.labels), path
    assert session.info["can_undo"]
    fresh = session.http.get(f"{session.address}/changes", params={"since": -1}).json()
    session.labels[:] = 0
    session.apply(fresh)
    assert np.array_equal(session.served(), session.labels)


def test_a_job_says_what_its_user_should_know(session):
    clicks = [{"voxel": CLICK}, {"voxel": [900, 900, 900]}]
    asked = {"object": "lesion", "clicks": clicks}
    session.change("objects", {"name": "lesion"})
    job = session.http.post(f"{session.address}/clicks", params={"wait": False}, json=asked).json()
    for _ in range(200):
        told = session.http.get(f"{session.address}/jobs/{job['id']}").json()
        if told["state"] == "done":
            break
        time.sleep(0.05)
    assert told["state"] == "done"
    assert any("outside" in warning for warning in told["warnings"])


def test_changes_since_an_earlier_revision(session):
    session.change("classes", {"classes": ["liver"]})
    behind, revision = session.labels.copy(), session.info["revision"]
    session.change("clicks", {"object": "new thing" if False else 5, "clicks": [{"voxel": CLICK}]})
    session.change("classes", {"classes": ["spinal cord"]})
    now = session.labels
    session.labels = behind
    session.apply(session.http.get(f"{session.address}/changes", params={"since": revision}).json())
    assert np.array_equal(session.labels, now)
    nothing = session.http.get(f"{session.address}/changes", params={"since": session.info["revision"]}).json()
    assert nothing["labels"] is None


def test_objects_are_renamed_locked_moved_and_removed(session):
    session.change("classes", {"classes": ["liver", "spinal cord"]})
    session.change("objects", {"name": "lesion"})
    lesion = session.object("lesion")["id"]
    session.change(f"objects/{lesion}", {"name": "node", "colour": "#010203", "visible": False}, "PATCH")
    node = session.object("node")
    assert (node["colour"], node["visible"], node["class_id"]) == ("#010203", False, None)
    session.change(f"objects/{lesion}", {"position": 0}, "PATCH")
    assert session.info["objects"][0]["name"] == "node"
    session.change("objects/1", {"locked": True}, "PATCH")
    refused = session.post("clicks", {"object": 1, "clicks": [{"voxel": CLICK}]})
    assert refused.status_code == 422
    assert "locked" in refused.json()["detail"]
    session.change(f"objects/{lesion}", method="DELETE")
    assert len(session.info["objects"]) == 2
    session.change("undo")
    assert len(session.info["objects"]) == 3
    assert session.post("objects", {"name": "12"}).status_code == 422


def test_nothing_to_undo_or_redo_is_said(session):
    assert session.post("undo").json()["code"] == "nothing-to-undo"
    assert session.post("redo").json()["code"] == "nothing-to-redo"
    assert session.post("redo").status_code == 409


def test_what_cannot_be_asked_gets_a_line_with_help(session):
    unknown = session.post("classes", {"classes": ["lever"]})
    assert unknown.status_code == 422
    assert "'liver'" in unknown.json()["detail"]
    outside = session.post("clicks", {"object": "liver", "clicks": [{"voxel": [500, 0, 0]}]})
    assert outside.status_code == 422
    assert "outside the scan" in outside.json()["detail"]
    nameless = session.post("clicks", {"object": "nobody knows this", "clicks": [{"voxel": CLICK}]})
    assert nameless.json()["code"] == "class"
    typo = session.post("clicks", {"object": "liver", "clicks": [{"voxel": CLICK, "positiv": False}]})
    assert typo.status_code == 422
    assert "positiv" in typo.json()["detail"]
    for broken in ([1, 2], [1, 2, 3, 4], ["a", 1, 2], [None, 1, 2]):
        assert session.post("clicks", {"object": 1, "clicks": [{"voxel": broken}]}).status_code == 422
    assert session.info["revision"] == 0


def test_numbers_that_are_none_are_refused(session):
    for number in ("NaN", "Infinity", "1e999"):
        content = f'{{"object": 1, "clicks": [{{"voxel": [{number}, 1, 1]}}]}}'
        headers = {"Content-Type": "application/json"}
        assert session.http.post(f"{session.address}/clicks", content=content, headers=headers).status_code == 422


def test_a_model_without_point_branch_says_so(server, scan):
    session = Session(server, scan["id"], "automatic-only")
    session.change("classes", {"classes": ["liver"]})
    asked = {
        "clicks": {"object": "liver", "clicks": [{"voxel": CLICK}]},
        "boxes": {"object": "liver", "box": [[1, 5], [1, 5], [1, 5]]},
        "lassos": {"object": 1, "axis": 0, "slice": 3, "points": [[1, 1], [5, 1], [3, 6]]},
        "scribbles": {"object": 1, "points": [[1, 1, 1]]},
    }
    for path, content in asked.items():
        answer = session.post(path, content)
        assert answer.status_code == 422
        assert "answers class prompts only" in answer.json()["detail"]


def test_masks_table_and_history(session):
    session.change("classes", {"classes": ["liver"]})
    session.change("clicks", {"object": "liver", "clicks": [{"voxel": CLICK, "positive": False}]})
    session.change("undo")
    mask = read_nifti(session.http.get(f"{session.address}/objects/1/mask").content)
    assert np.array_equal(np.asarray(mask.dataobj) > 0, session.served() == 1)
    assert session.http.get(f"{session.address}/objects/77/mask").status_code == 422
    table = session.http.get(f"{session.address}/table").json()
    assert table["rows"][0]["voxels"] == int((session.labels == 1).sum())
    events = session.http.get(f"{session.address}/history").json()["events"]
    assert [(event["kind"], event["undone"]) for event in events] == [
        ("segment", False),
        ("clicks", True),
        ("undo", False),
    ]


def test_the_label_map_is_not_sent_twice(session):
    session.change("classes", {"classes": ["liver"]})
    tag = session.http.get(f"{session.address}/segmentation").headers["etag"]
    again = session.http.get(f"{session.address}/segmentation", headers={"If-None-Match": tag})
    assert again.status_code == 304
    session.change("undo")
    assert session.http.get(f"{session.address}/segmentation", headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("ending", ["nii.gz", "nii", "seg.nrrd", "nrrd", "mha"])
def test_exports_hold_the_label_map(session, tmp_path, ending):
    if ending.endswith(("nrrd", "mha")):
        pytest.importorskip("SimpleITK")
    from openvista.io import read_segmentation

    session.change("classes", {"classes": ["liver", "brainstem"]})
    answer = session.http.get(f"{session.address}/export", params={"format": ending})
    assert f'filename="case one_seg.{ending}"' in answer.headers["content-disposition"]
    (tmp_path / f"x.{ending}").write_bytes(answer.content)
    read = read_segmentation(tmp_path / f"x.{ending}")
    assert np.array_equal(read.labels, session.labels)
    if ending != "mha" and ending != "nrrd":
        assert read.names == {1: "liver", 133: "brainstem"}


@pytest.mark.parametrize(
    ("format", "file_name"),
    [
        ("glb", "case one_seg.glb"),
        ("obj", "case one_seg.obj"),
        ("stl", "case one_seg.stl"),
        ("stl.zip", "case one_seg.stl.zip"),
    ],
)
def test_exports_of_surfaces(session, tmp_path, format, file_name):
    session.change("classes", {"classes": ["liver", "brainstem"]})
    answer = session.http.get(f"{session.address}/export", params={"format": format})
    assert answer.status_code == 200, answer.text
    assert f'filename="{file_name}"' in answer.headers["content-disposition"]
    (tmp_path / file_name).write_bytes(answer.content)
    if format == "stl.zip":
        with zipfile.ZipFile(tmp_path / file_name) as archive:
            assert sorted(archive.namelist()) == ["brainstem.stl", "liver.stl"]
            archive.extractall(tmp_path)
        surfaces = [trimesh.load_mesh(tmp_path / f"{name}.stl") for name in ("liver", "brainstem")]
    else:
        surfaces = trimesh.load_scene(tmp_path / file_name).geometry.values()
    # glTF is in metres; voxels have other sizes than 1 mm, so that a surface without the affine would be found out
    scale = 1e9 if format == "glb" else 1
    affine = np.array(session.http.get(f"/api/v1/scans/{session.info['scan_id']}").json()["affine"])
    expected = np.count_nonzero(session.labels) * abs(np.linalg.det(affine[:3, :3]))
    assert sum(surface.volume for surface in surfaces) * scale == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("format", ["dicom-seg", "dicom-rtstruct", "dicom-sr"])
def test_dicom_needs_a_scan_that_came_as_dicom(session, format):
    session.change("classes", {"classes": ["liver"]})
    assert not session.http.get(f"/api/v1/scans/{session.info['scan_id']}").json()["from_dicom"]
    answer = session.http.get(f"{session.address}/export", params={"format": format, "keyhole": True})
    assert answer.status_code == 422
    assert f"{format} needs a scan that was read from DICOM" in answer.json()["detail"]


def test_surfaces_of_nothing(session):
    answer = session.http.get(f"{session.address}/export", params={"format": "stl.zip"})
    assert answer.status_code == 422
    assert "nothing was found" in answer.json()["detail"]
    assert "/" not in answer.json()["detail"]


def test_a_session_goes_out_and_comes_back(server, session, scan, ct):
    session.change("classes", {"classes": ["liver"]})
    session.change("clicks", {"object": 5, "clicks": [{"voxel": CLICK}]})
    exported = session.http.get(f"{session.address}/export", params={"format": "ovsession"})
    files = {"file": ("x.ovsession", exported.content)}
    again = server.upload(ct)["id"]
    answer = server.http.post("/api/v1/sessions/import", params={"scan_id": again}, files=files)
    assert answer.status_code == 201, answer.text
    returned = Session(server, again)
    returned.info, returned.address = answer.json(), f"/api/v1/sessions/{answer.json()['id']}"
    assert np.array_equal(returned.served(), session.served())
    returned.change("undo")
    assert [item["name"] for item in returned.info["objects"]] == ["liver"]


def test_a_session_of_another_scan_or_none_at_all(server, session, tmp_path):
    from serving import ct_file

    other = server.upload(ct_file(tmp_path / "other.nii.gz", seed=8))["id"]
    exported = session.http.get(f"{session.address}/export", params={"format": "ovsession"}).content
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr("arrays/a.npy", bytes(64 << 20))
    objects = io.BytesIO()
    np.save(objects, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    pickled = io.BytesIO()
    with zipfile.ZipFile(pickled, "w") as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr("arrays/a.npy", objects.getvalue())
    for content in (exported, b"nonsense", bomb.getvalue(), pickled.getvalue()):
        files = {"file": ("x.ovsession", content)}
        answer = server.http.post("/api/v1/sessions/import", params={"scan_id": other}, files=files)
        assert answer.status_code in (413, 422), answer.text
        assert str(server.settings.state) not in answer.text


def test_objects_from_a_label_map_can_be_corrected(server, session, tmp_path):
    session.change("classes", {"classes": ["liver"]})
    exported = session.http.get(f"{session.address}/export").content
    other = Session(server, session.info["scan_id"])
    answer = server.http.post(f"{other.address}/segmentation", files={"file": ("mine.nii.gz", exported)})
    assert answer.status_code == 200, answer.text
    other.apply(answer.json())
    assert np.array_equal(other.labels, session.labels)
    assert other.info["objects"][0]["name"] == "liver"
    other.change("clicks", {"object": "liver", "clicks": [{"voxel": CLICK, "positive": False}]})


def test_a_deleted_session_is_gone_and_goes_with_its_scan(server, ct):
    scan = server.upload(ct)
    one, other = Session(server, scan["id"]), Session(server, scan["id"])
    assert server.http.delete(one.address).status_code == 204
    assert server.http.get(one.address).status_code == 404
    assert server.http.delete(f"/api/v1/scans/{scan['id']}").status_code == 204
    assert server.http.get(other.address).status_code == 404
    assert not (server.settings.state / "sessions" / other.info["id"]).exists()


def test_a_session_of_one_owner_is_not_there_for_another(server, ct):
    with httpx.Client(base_url=server.url, headers={"X-OpenVISTA-Owner": "the first of two owners"}) as mine:
        scan = server.upload(ct, mine)
        session_id = mine.post("/api/v1/sessions", json={"scan_id": scan["id"]}).json()["id"]
        listed = mine.get("/api/v1/sessions").json()["sessions"]
        assert [item["id"] for item in listed] == [session_id]
        for headers in ({}, {"X-OpenVISTA-Owner": "the second of two owners"}):
            with httpx.Client(base_url=server.url, headers=headers) as other:
                assert other.post("/api/v1/sessions", json={"scan_id": scan["id"]}).status_code == 404
                assert other.get("/api/v1/sessions").json()["sessions"] == []
                for method, path in (
                    ("GET", ""),
                    ("DELETE", ""),
                    ("POST", "/undo"),
                    ("POST", "/cancel"),
                    ("GET", "/segmentation"),
                    ("GET", "/export"),
                    ("GET", "/history"),
                    ("GET", "/table"),
                    ("GET", "/events"),
                    ("GET", "/changes?since=0"),
                    ("GET", "/objects/1/mask"),
                ):
                    answer = other.request(method, f"/api/v1/sessions/{session_id}{path}")
                    assert answer.status_code == 404, (method, path)


def test_edits_are_exact_undone_sent_as_boxes_and_kept(session):
    session.change("objects", {"name": "lesion"})
    before = session.labels.copy()
    stroke = {"kind": "brush", "points": [[4, 5, 6], [8, 5, 6]], "radius_mm": 0}
    changed = session.change("edits", {"object": "lesion", "edit": stroke})
    assert changed["labels"]["box"] == [[4, 9], [5, 6], [6, 7]]
    lesion = session.object("lesion")
    assert (lesion["voxels"], lesion["clicks"], lesion["edits"]) == (5, [], ["brush"])
    square = [[1.5, 1.5], [6.5, 1.5], [6.5, 6.5], [1.5, 6.5]]
    session.change(
        "edits", {"object": lesion["id"], "edit": {"kind": "polygon", "axis": 2, "slice": 6, "points": square}}
    )
    assert np.array_equal(np.argwhere(session.labels == lesion["id"])[:, 2], np.full(25 + 2, 6))
    assert session.change("edits", {"object": "lesion", "edit": {"kind": "fill_holes"}})["warnings"] == [
        "nothing changed in 'lesion': it is like that already"
    ]
    assert np.array_equal(session.served(), session.labels)
    session.change("undo")
    session.change("undo")
    assert np.array_equal(session.labels, before)


def test_edits_that_cannot_be_are_refused_in_one_line(session):
    session.change("objects", {"name": "lesion"})
    for edit, words in (
        ({"kind": "brush", "points": [[999, 5, 6]], "radius_mm": 2}, "touches no voxel of the scan"),
        ({"kind": "brush", "points": [[1, 5, 6]]}, "body.edit.brush.radius_mm: Field required"),
        ({"kind": "smooth", "mm": 1}, "has no voxel yet"),
        ({"kind": "scratch"}, "does not match any of the expected tags"),
    ):
        answer = session.post("edits", {"object": "lesion", "edit": edit})
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
        assert "\n" not in answer.json()["detail"]
