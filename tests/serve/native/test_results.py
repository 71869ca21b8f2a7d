"""What comes out of a session over the native API: label maps, masks, tables, files; and label maps that go in."""

import zipfile

import numpy as np
import pytest
import trimesh
from serving import CLICK, Session, read_nifti


def test_masks_table_and_history(session):
    session.change("classes", {"classes": ["liver"]})
    session.change("clicks", {"object": "liver", "clicks": [{**CLICK, "positive": False}]})
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


def test_objects_from_a_label_map_can_be_corrected(server, session, tmp_path):
    session.change("classes", {"classes": ["liver"]})
    exported = session.http.get(f"{session.address}/export").content
    other = Session(server, session.info["scan_id"])
    answer = server.http.post(f"{other.address}/segmentation", files={"file": ("mine.nii.gz", exported)})
    assert answer.status_code == 200, answer.text
    other.apply(answer.json())
    assert np.array_equal(other.labels, session.labels)
    assert other.info["objects"][0]["name"] == "liver"
    other.change("clicks", {"object": "liver", "clicks": [{**CLICK, "positive": False}]})
