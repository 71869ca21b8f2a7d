"""GLB files before Khronos' own validator (npm ``gltf-validator``): no error, no warning, and no hint either."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from openvista.geometry.grid import Grid
from openvista.scan import Segmentation

VALIDATOR = "gltf-validator@2.0.0-dev.3.10"
SCRIPT = """
const { validateBytes } = require('gltf-validator');
const bytes = new Uint8Array(require('fs').readFileSync(process.argv[1]));
validateBytes(bytes).then((report) => console.log(JSON.stringify(report)));
"""


@pytest.fixture(scope="session")
def validator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the validator, which has no dependencies of its own."""
    folder = tmp_path_factory.mktemp("validator")
    install = ["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", VALIDATOR]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    return folder


def report_on(path: Path, validator_folder: Path) -> dict[str, Any]:
    command = ["node", "-e", SCRIPT, path]
    done = subprocess.run(command, cwd=validator_folder, check=True, capture_output=True, text=True, timeout=120)
    return json.loads(done.stdout)


def noise() -> Segmentation:
    """Every piece that marching cubes knows, single voxels, and a structure over the border; mirrored and oblique."""
    labels = np.random.default_rng(0).integers(0, 4, (20, 21, 22)).astype(np.uint8)
    labels[8:15, 5:16, :] = 7
    affine = np.array([[-0.7, 0.2, 0, 10], [0.2, 0.7, 0.5, -40], [0, -0.1, 3, 900], [0, 0, 0, 1]])
    names = {1: "liver", 2: "left lung upper lobe", 3: 'Ösophagus "x" \\ </b>', 7: "aorta"}
    return Segmentation(labels, Grid(labels.shape, affine), names, {1: (0, 0, 0), 2: (255, 255, 255)})


def one_voxel() -> Segmentation:
    labels = np.zeros((3, 3, 3), np.uint16)
    labels[1, 1, 1] = 400
    return Segmentation(labels, Grid(labels.shape, np.diag([0.1, 0.1, 5.0, 1.0])), {})


@pytest.mark.parametrize("made", [noise, one_voxel])
def test_the_validator_finds_nothing(made, validator_folder: Path, tmp_path: Path) -> None:
    segmentation = made()
    report = report_on(segmentation.save(tmp_path / "a.glb"), validator_folder)
    assert report["mimeType"] == "model/gltf-binary"
    assert report["issues"]["messages"] == []
    found = np.unique(segmentation.labels[segmentation.labels > 0]).size
    assert (report["info"]["materialCount"], report["info"]["drawCallCount"]) == (found, found)


def test_the_validator_would_find_something(validator_folder: Path, tmp_path: Path) -> None:
    content = bytearray(one_voxel().save(tmp_path / "a.glb").read_bytes())
    content[-4:] = (10**6).to_bytes(4, "little")  # the last corner is a vertex that is not there
    (tmp_path / "b.glb").write_bytes(content)
    report = report_on(tmp_path / "b.glb", validator_folder)
    assert "ACCESSOR_INDEX_OOB" in {message["code"] for message in report["issues"]["messages"]}
