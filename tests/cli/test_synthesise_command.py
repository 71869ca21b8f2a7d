"""``openvista synthesise`` as a user meets it."""

import json

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from openvista.cli.main import app
from openvista.errors import InputError, ScanError
from openvista.io import read_scan, read_segmentation
from small_bodies import NAMES, write_body, write_names

pytest.importorskip("matplotlib")


def synthesise(*arguments):
    return CliRunner().invoke(app, ["synthesise", *map(str, arguments)])


@pytest.fixture
def body(tmp_path):
    return write_body(tmp_path, codes="LPS"), write_names(tmp_path)


def test_pairs_with_names_and_a_sheet(body, tmp_path):
    out = tmp_path / "out"
    done = synthesise(body[0], "--names", body[1], "--count", 2, "--spacing", 5, "--seed", 3, "-o", out)
    assert done.exit_code == 0, done.output
    stems = [f"body_synthetic_3_{number:03d}" for number in range(2)]
    files = {f"{stem}{end}" for stem in stems for end in (".nii.gz", "_seg.nii.gz", "_seg.json")}
    assert {path.name for path in out.iterdir()} == files | {"contact_sheet.png"}
    assert done.stdout.split()[0] == str(out / f"{stems[0]}.nii.gz")
    scan, labels = read_scan(out / f"{stems[0]}.nii.gz"), read_segmentation(out / f"{stems[0]}_seg.nii.gz")
    assert scan.grid == labels.grid
    assert scan.grid.spacing == pytest.approx((5, 5, 5))
    assert scan.grid.axis_codes == "RAS"
    assert labels.names[1] == "liver"
    assert 0 < np.median(scan.voxels[labels.mask("liver")]) < 170
    side = labels.grid.to_world(np.argwhere(labels.mask("right kidney")))[:, 0].mean()
    assert side > labels.grid.to_world(np.argwhere(labels.mask("left kidney")))[:, 0].mean()
    told = json.loads((out / f"{stems[0]}_seg.json").read_text())
    assert (told["synthetic"], told["label_map"], told["seed"]) == (True, "body", 3)
    assert told["variety"]["strength"] == 0.5


def test_the_same_seed_writes_the_same_and_another_one_does_not(body, tmp_path):
    voxels = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        synthesise(
            body[0], "--names", body[1], "--count", 1, "--spacing", 6, "--seed", seed, "-q", "-o", tmp_path / name
        )
        voxels[name] = np.asarray(nib.load(tmp_path / name / f"body_synthetic_{seed}_000.nii.gz").dataobj)
    assert np.array_equal(voxels["one"], voxels["again"])
    assert not np.array_equal(voxels["one"], voxels["other"])


def test_structures_without_a_class_have_ids_of_their_own(tmp_path):
    names = write_names(tmp_path, NAMES | {7: "colon_and_ileum"})
    out = tmp_path / "out"
    synthesise(write_body(tmp_path), "--names", names, "--count", 1, "--spacing", 5, "--strength", 0, "-q", "-o", out)
    found = read_segmentation(out / "body_synthetic_0_000_seg.nii.gz").names
    assert {key for key, name in found.items() if name == "colon and ileum"} <= set(range(133, 256))
    assert "colon and ileum" in found.values()


@pytest.mark.parametrize(
    ("names", "kind", "line"),
    [(0, ScanError, "labels have no names"), (3, InputError, "--names is given 3 times for 1 maps")],
)
def test_bad_input_is_refused_and_nothing_is_written(body, tmp_path, names, kind, line):
    out = tmp_path / "out"
    done = synthesise(body[0], *["--names", body[1]] * names, "-o", out)
    assert isinstance(done.exception, kind)
    assert line in str(done.exception)
    assert not out.exists()


def test_two_maps_of_one_name_are_refused(body, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    done = synthesise(body[0], write_body(inner), "--names", body[1], "-o", tmp_path / "out")
    assert isinstance(done.exception, InputError)
    assert "two of the maps have the same name" in str(done.exception)
