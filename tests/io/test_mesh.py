"""Mesh files: read by trimesh, at the patient's place, with names and colours, closed, as large as the voxels."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

from openvista.errors import FormatError
from openvista.geometry.grid import Grid
from openvista.io.mesh import write_mesh
from openvista.scan import Segmentation

NAMES = {1: "liver", 3: "left lung upper lobe", 200: "not there"}
COLOURS = {1: (221, 130, 101), 3: (0, 128, 255)}


@pytest.fixture(scope="module")
def segmentation() -> Segmentation:
    """Two blocks, oblique, in a mirrored grid of 0.7 x 0.9 x 5 mm."""
    labels = np.zeros((20, 16, 9), np.uint8)
    labels[2:9, 3:12, 1:5] = 1
    labels[12:19, 3:13, 8:] = 3
    affine = np.eye(4)
    turn = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]])
    affine[:3, :3] = turn @ np.diag([-0.7, 0.9, 5.0])
    affine[:3, 3] = (30, -40, 500)
    return Segmentation(labels, Grid(labels.shape, affine), NAMES, COLOURS, None, {"model": "starter"})


def expected(segmentation: Segmentation, key: int) -> tuple[float, np.ndarray]:
    """Volume in mm³, and the middle in LPS mm."""
    voxels = np.argwhere(segmentation.labels == key)
    middle = segmentation.grid.to_world(voxels).mean(axis=0) * (-1, -1, 1)
    return len(voxels) * segmentation.grid.voxel_ml * 1000, middle


def assert_is(mesh: trimesh.Trimesh, volume: float, middle: np.ndarray, mm: float) -> None:
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(volume, rel=0.005)  # negative if normals pointed inwards
    np.testing.assert_allclose(mesh.center_mass, middle, atol=0.2 * mm)


def test_stl(segmentation: Segmentation, tmp_path: Path) -> None:
    write_mesh(tmp_path / "a.stl", segmentation)
    header = (tmp_path / "a.stl").read_bytes()[:80]
    assert b"SPACE=LPS" in header
    assert not header.startswith(b"solid")
    bodies = trimesh.load_mesh(tmp_path / "a.stl").split()
    assert len(bodies) == 2
    for mesh, key in zip(sorted(bodies, key=lambda mesh: mesh.centroid[2]), (1, 3), strict=True):
        assert_is(mesh, *expected(segmentation, key), mm=1)
    records = np.dtype([("normal", "<f4", 3), ("corners", "<f4", 9), ("attribute", "<u2")])
    stored = np.frombuffer((tmp_path / "a.stl").read_bytes()[84:], records)["normal"]
    np.testing.assert_allclose(np.linalg.norm(stored, axis=1), 1, atol=1e-5)


def test_obj(segmentation: Segmentation, tmp_path: Path) -> None:
    write_mesh(tmp_path / "a.obj", segmentation)
    lines = (tmp_path / "a.obj").read_text().splitlines()
    assert "# SPACE=LPS" in lines[:3]
    assert [line for line in lines if line.startswith("g ")] == ["g liver", "g left_lung_upper_lobe"]
    scene = trimesh.load_scene(tmp_path / "a.obj", split_objects=True, split_groups=True, group_material=False)
    meshes = sorted(scene.geometry.values(), key=lambda mesh: mesh.centroid[2])
    for mesh, key in zip(meshes, (1, 3), strict=True):
        assert_is(mesh, *expected(segmentation, key), mm=1)


def test_glb(segmentation: Segmentation, tmp_path: Path) -> None:
    write_mesh(tmp_path / "a.glb", segmentation)
    scene = trimesh.load_scene(tmp_path / "a.glb")
    assert set(scene.graph.nodes_geometry) == {"liver", "left lung upper lobe"}
    for key in (1, 3):
        mesh = scene.geometry[NAMES[key]]
        volume, (left, posterior, superior) = expected(segmentation, key)
        middle = np.array([left, superior, -posterior]) / 1000
        assert_is(mesh, volume * 1e-9, middle, mm=0.001)
        linear = np.array(mesh.visual.material.baseColorFactor[:3]) / 255
        screen = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        np.testing.assert_allclose(screen * 255, COLOURS[key], atol=4)  # trimesh keeps 8 bits of the linear value


def test_glb_says_where_and_what_it_is(segmentation: Segmentation, tmp_path: Path) -> None:
    write_mesh(tmp_path / "a.glb", segmentation)
    content = (tmp_path / "a.glb").read_bytes()
    magic, version, length, text_length, kind = struct.unpack_from("<4sII I4s", content)
    assert (magic, version, length, kind) == (b"glTF", 2, len(content), b"JSON")
    tree = json.loads(content[20 : 20 + text_length])
    assert "metres" in tree["asset"]["extras"]["space"]
    assert tree["asset"]["extras"]["model"] == "starter"
    assert [(node["name"], node["extras"]["id"]) for node in tree["nodes"]] == [("liver", 1), (NAMES[3], 3)]
    assert [material["name"] for material in tree["materials"]] == ["liver", NAMES[3]]


def test_unnamed_ids_are_there_too(tmp_path: Path) -> None:
    labels = np.zeros((6, 6, 6), np.uint16)
    labels[2:4, 2:4, 2:4] = 300
    write_mesh(tmp_path / "a.glb", Segmentation(labels, Grid(labels.shape, np.eye(4)), {}))
    assert set(trimesh.load_scene(tmp_path / "a.glb").geometry) == {"label 300"}


@pytest.mark.parametrize("ending", ["stl", "obj", "glb"])
def test_nothing_found_is_nothing_to_write(tmp_path: Path, ending: str) -> None:
    empty = Segmentation(np.zeros((5, 5, 5), np.uint8), Grid((5, 5, 5), np.eye(4)), {1: "liver"})
    with pytest.raises(FormatError, match="nothing was found"):
        empty.save(tmp_path / f"a.{ending}")
    assert list(tmp_path.iterdir()) == []
