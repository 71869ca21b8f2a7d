"""Sessions over the native API: objects, edits, undo, diffs, session files, owners."""

import io
import zipfile

import httpx
import numpy as np
from serving import CLICK, Session, ct_file


def test_a_session_begins_empty(session):
    assert session.info["objects"] == []
    assert session.info["revision"] == 0
    assert not session.info["can_undo"]
    assert session.served().max() == 0


def test_changes_since_an_earlier_revision(session):
    session.change("classes", {"classes": ["liver"]})
    behind, revision = session.labels.copy(), session.info["revision"]
    session.change("clicks", {"object": 5, "clicks": [CLICK]})
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
    refused = session.post("clicks", {"object": 1, "clicks": [CLICK]})
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


def test_a_session_goes_out_and_comes_back(server, session, scan, ct):
    session.change("classes", {"classes": ["liver"]})
    session.change("clicks", {"object": 5, "clicks": [CLICK]})
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
