"""The command line as a user meets it: real processes, exit codes, one line on standard error, nothing left behind."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import trimesh

from openvista.io import write_scan
from openvista.network import build
from openvista.weights import ModelCard
from openvista.weights.store import save_model
from small_inference import DENSER_THAN_ANYTHING, TINY, make_scan


def openvista(*arguments, cwd=None, env=None):
    command = [sys.executable, "-m", "openvista", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "160", **(env or {})}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300, check=False)


@pytest.fixture(scope="module")
def small_ct(tmp_path_factory, example_ct):
    """A piece of the example CT, so that a run takes seconds."""
    image = nib.load(example_ct)
    path = tmp_path_factory.mktemp("ct") / "small.nii.gz"
    nib.save(image.slicer[30:90, 10:60, 60:100], path)
    return path


def assert_refused(done, *words):
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]
    assert "Traceback" not in done.stderr


def test_segment_writes_label_map_description_table_and_picture(small_ct, tmp_path):
    before = small_ct.read_bytes()
    done = openvista("segment", small_ct, "-o", tmp_path / "out", "--table", "--preview")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"small_seg.nii.gz", "small_seg.json", "small_seg.csv", "small_seg.png"}
    scan, result = nib.load(small_ct), nib.load(tmp_path / "out" / "small_seg.nii.gz")
    assert result.shape == scan.shape
    assert np.array_equal(result.affine, scan.affine)
    described = json.loads((tmp_path / "out" / "small_seg.json").read_text())
    assert described["model"] == "starter"
    assert len(described["weights_sha256"]) == 64
    assert described["labels"]["137"] == "mandible"
    assert "mandible" in done.stdout
    assert small_ct.read_bytes() == before


def test_unlikely_structures_are_told_and_left_out(openvista_here, tmp_path):
    card = ModelCard.from_preset(TINY, classes=(1, 5), ranges=dict.fromkeys((1, 5), DENSER_THAN_ANYTHING))
    folder = save_model(build(TINY, seed=3), card, tmp_path / "tiny").path
    scan = make_scan((20, 20, 8), np.diag([2.0, 2.0, 3.0, 1.0]))
    write_scan(scan, tmp_path / "ct.nii.gz")
    asked = ("segment", tmp_path / "ct.nii.gz", "--model", folder, "--precision", "float32", "-o", tmp_path)
    told = openvista_here(*asked, "--table")
    kept = np.asarray(nib.load(tmp_path / "ct_seg.nii.gz").dataobj)
    described = json.loads((tmp_path / "ct_seg.json").read_text())
    assert described["unlikely"] == {str(key): ["HU"] for key in np.unique(kept[kept > 0])}
    assert described["unlikely"]
    assert "unlikely: HU" in told.stdout
    assert told.stderr.count("does the scan show the part of the body") == 1
    dropped = openvista_here(*asked, "--drop-unlikely")
    assert dropped.stderr.count("left out: ") == len(described["unlikely"])
    assert not np.asarray(nib.load(tmp_path / "ct_seg.nii.gz").dataobj).any()
    assert json.loads((tmp_path / "ct_seg.json").read_text())["dropped_unlikely"]


def test_surfaces_beside_the_label_map(small_ct, tmp_path):
    asked = [word for format in ("nii.gz", "glb", "stl") for word in ("--format", format)]
    done = openvista("segment", small_ct, "-o", tmp_path / "out", "-c", "mandible", "-q", *asked)
    assert done.returncode == 0, done.stderr
    names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert names == {"small_seg.nii.gz", "small_seg.json", "small_seg.glb", "small_seg/mandible.stl"}
    result = nib.load(tmp_path / "out" / "small_seg.nii.gz")
    volume = np.count_nonzero(np.asarray(result.dataobj)) * abs(np.linalg.det(result.affine[:3, :3]))
    assert trimesh.load_mesh(tmp_path / "out" / "small_seg" / "mandible.stl").volume == pytest.approx(volume, rel=0.005)


@pytest.mark.parametrize("named", [["spinal_cord,Mandible"], ["spinal_cord", "Mandible"]])
def test_classes_restrict_the_result(small_ct, tmp_path, named):
    options = [word for names in named for word in ("-c", names)]
    done = openvista("segment", small_ct, "-o", tmp_path / "cord.nii.gz", *options, "-q")
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")
    values = set(np.unique(np.asarray(nib.load(tmp_path / "cord.nii.gz").dataobj)).tolist())
    assert values <= {0, 121, 137}
    assert 137 in values


def test_several_scans_in_one_command_and_one_that_is_broken(small_ct, tmp_path):
    good, bad = tmp_path / "good.nii.gz", tmp_path / "bad.nii.gz"
    shutil.copy(small_ct, good)
    bad.write_bytes(small_ct.read_bytes()[:2000])
    fatal = tmp_path / "fatal.mha"  # this number of dimensions ends the process inside the reading library
    fatal.write_text("ObjectType = Image\nNDims = 32767\nDimSize = 9 9 9\nElementDataFile = LOCAL\n")
    done = openvista("segment", bad, fatal, good, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert (tmp_path / "out" / "good_seg.nii.gz").exists()
    assert not (tmp_path / "out" / "bad_seg.nii.gz").exists()
    assert "bad.nii.gz" in done.stderr
    assert "fatal.mha" in done.stderr
    assert "2 of 3 scans" in done.stderr


@pytest.mark.parametrize("kind", ["probabilities", "logits"])
def test_class_maps_lie_beside_the_result(small_ct, tmp_path, kind):
    done = openvista("segment", small_ct, "-o", tmp_path, "-c", "mandible", "-c", "spinal_cord", f"--{kind}")
    assert done.returncode == 0, done.stderr
    labels = np.asarray(nib.load(tmp_path / "small_seg.nii.gz").dataobj)
    files = {file.name: nib.load(file) for file in (tmp_path / f"small_seg_{kind}").iterdir()}
    assert files.keys() == {"mandible.nii.gz", "spinal_cord.nii.gz"}
    values = files["mandible.nii.gz"].get_fdata()
    assert values.shape == labels.shape
    assert (values[labels == 137] >= (0.5 if kind == "probabilities" else 0)).all()
    assert (labels == 137).any()


@pytest.mark.slow
def test_processes_share_a_list_and_one_broken_scan_stops_none(small_ct, tmp_path):
    for number in range(3):
        shutil.copy(small_ct, tmp_path / f"ct{number}.nii.gz")
    (tmp_path / "ct1.nii.gz").write_bytes(small_ct.read_bytes()[:2000])
    cases = [{"image": f"ct{number}.nii.gz", "label": "none.nii.gz"} for number in range(2)]
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps({"labels": {"1": "x"}, "training": cases, "testing": ["ct2.nii.gz"]}))
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "openvista", "segment", str(listed), "-o", str(tmp_path / "out"), "-c", "mandible"]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0
    assert "ct1.nii.gz" in done.stderr
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {f"ct{number}_seg{ending}" for number in (0, 2) for ending in (".json", ".nii.gz")}


def test_default_output_is_the_current_folder(small_ct, tmp_path):
    done = openvista("segment", small_ct, "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"small_seg.nii.gz", "small_seg.json"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.nii.gz"], ["nowhere.nii.gz", "no such file"]),
        (["CT", "-c", "mandibel"], ["mandibel", "mandible"]),
        (["CT", "-c", "liver"], ["liver", "starter"]),
        (["CT", "-m", "best-model"], ["best-model", "starter"]),
        (["CT", "-p", "fastest"], ["fastest", "best"]),
        (["CT", "--mode", "cubic"], ["cubic", "smooth"]),
        (["CT", "--overlap", "1.5"], ["1.5"]),
        (["CT", "-o", "OUT/missing/x.nii.gz"], ["missing"]),
        (["CT", "-o", "OUT/seg.png"], ["seg.png", ".nii.gz"]),
        (["CT", "-o", "/dev/full"], ["/dev/full", "no file and no folder"]),
        (["CT", "-o", "s3://bucket/x.nii.gz"], ["s3://bucket/x.nii.gz"]),
        (["CT", "-o", "OUT/" + "x" * 300 + ".nii.gz"], ["xxx", "name too long"]),
        (["s3://bucket/ct.nii.gz"], ["s3://bucket/ct.nii.gz", "download"]),
        (["x" * 5000 + ".nii.gz"], ["xxx", "name too long"]),
        (["CT", "-m", "x" * 5000], ["xxx"]),
        (["CT", "-o", "OUT/x.txt.gz"], ["x.txt.gz", ".nii.gz"]),
        (["CT", "-o", "CT"], ["scan itself"]),
        (["CT", "-o", "OUT", "--format", "dicom-seg"], ["small.nii.gz", "dicom-seg", "DICOM"]),
        (["CT", "--device", "tpu"], ["tpu"]),
        (["CT", "--precision", "float8"], ["float8"]),
        (["CT", "--probabilities", "--logits"], ["give one of them"]),
        (["CT", "--root", "OUT"], ["--root", ".json"]),
        (["CT", "--fast", "-p", "bundle"], ["--fast", "bundle", "give one of them"]),
        (["CT", "--spacing", "thin"], ["--spacing thin"]),
        (["CT", "--spacing", "3", "-o", "OUT", "--format", "dicom-seg"], ["dicom-seg", "leave out --spacing"]),
        (["CT", "--roi", "900:,:,:"], ["--roi", "holds no voxel", "60 x 50 x 40"]),
        (["CT", "-c", "mandible", "--crop-to", "larynx"], ["--crop-to larynx", "--class"]),
        (["CT", "--log-file", "OUT/missing/log.txt"], ["--log-file", "missing"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(openvista_here, small_ct, tmp_path, arguments, words):
    before = small_ct.read_bytes()
    filled = [part.replace("CT", str(small_ct)).replace("OUT", str(tmp_path)) for part in arguments]
    if "-o" not in arguments:
        filled += ["-o", str(tmp_path / "out.nii.gz")]
    assert_refused(openvista_here("segment", *filled), *words)
    assert list(tmp_path.iterdir()) == []
    assert small_ct.read_bytes() == before


@pytest.mark.skipif("CUDA_VISIBLE_DEVICES" in os.environ, reason="may have a GPU")
def test_an_absent_gpu_is_said(openvista_here, small_ct, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = openvista_here("segment", small_ct, "-o", tmp_path / "x.nii.gz", "--device", "cuda")
    assert_refused(done, "cuda", "cpu")


def test_files_that_are_no_ct(openvista_here, tmp_path, small_ct):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.nii.gz").write_text("not an image")
    (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(b"\x00" * 400)[:-9])
    flat = nib.Nifti1Image(np.zeros((30, 30), np.int16), np.eye(4))
    nib.save(flat, tmp_path / "flat.nii.gz")
    holes = np.zeros((30, 30, 30), np.float32)
    holes[3, 4, 5] = np.nan
    nib.save(nib.Nifti1Image(holes, np.eye(4)), tmp_path / "nan.nii.gz")
    cases = [("empty", "no image"), ("text.nii.gz", "text.nii.gz"), ("cut.nii.gz", "cut.nii.gz"), ("flat.nii.gz", "2"),
             ("nan.nii.gz", "NaN")]  # fmt: skip
    for name, word in cases:
        assert_refused(openvista_here("segment", tmp_path / name, "-o", tmp_path / "r.nii.gz"), name, word)
        assert not (tmp_path / "r.nii.gz").exists()


def test_a_voxel_size_of_a_hundred_metres(openvista_here, tmp_path):
    image = nib.Nifti1Image(np.zeros((20, 20, 20), np.int16), np.diag([1, 1, 1e5, 1.0]))
    nib.save(image, tmp_path / "long.nii.gz")
    assert_refused(openvista_here("segment", tmp_path / "long.nii.gz", "-o", tmp_path / "r.nii.gz"), "voxel size")


def test_strict_refuses_what_otherwise_warns(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (40, 40, 40)).astype(np.uint8)
    nib.save(nib.Nifti1Image(picture, np.diag([3, 3, 3, 1.0])), tmp_path / "png.nii.gz")
    refused = openvista("segment", tmp_path / "png.nii.gz", "-o", tmp_path / "r.nii.gz", "--strict")
    assert_refused(refused, "8-bit")
    warned = openvista("segment", tmp_path / "png.nii.gz", "-o", tmp_path / "r.nii.gz")
    assert warned.returncode == 0
    assert "8-bit" in warned.stderr


def test_strict_refuses_and_quiet_says_what_the_header_leaves_unclear(small_ct, tmp_path):
    image = nib.load(small_ct)
    header = nib.Nifti1Header()
    header.set_data_shape(image.shape)
    header.set_zooms(image.header.get_zooms())
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, header), tmp_path / "ct.nii.gz")
    refused = openvista("segment", tmp_path / "ct.nii.gz", "-o", tmp_path / "r.nii.gz", "--strict", "-q")
    assert refused.returncode == 2
    assert "left and right are a guess" in refused.stderr.splitlines()[-1]
    assert not (tmp_path / "r.nii.gz").exists()
    warned = openvista("segment", tmp_path / "ct.nii.gz", "-o", tmp_path / "r.nii.gz", "-q")
    assert warned.returncode == 0
    assert warned.stderr.count("left and right are a guess") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder(openvista_here, small_ct, tmp_path):
    tmp_path.chmod(0o500)
    assert_refused(openvista_here("segment", small_ct, "-o", tmp_path / "x.nii.gz"), "x.nii.gz")


def test_a_full_disk_leaves_nothing(small_ct, tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    limited = f"ulimit -f 1; exec {sys.executable} -m openvista segment {small_ct} -o {tmp_path}/x.nii.gz"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2, done.stderr
    assert "x.nii.gz" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_after_the_label_map_says_what_was_written(small_ct, tmp_path):
    """The map takes less than the limit of 16 kB, the picture more."""
    out = tmp_path / "x.nii.gz"
    limited = f"ulimit -f 16; exec {sys.executable} -m openvista segment {small_ct} -o {out} --table --preview -q"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2, done.stderr
    assert "x.png: cannot be written" in done.stderr
    assert f"written before, whole: {out}" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"x.nii.gz", "x.json", "x.csv"}


def test_an_interrupt_leaves_nothing(example_ct, tmp_path):
    command = [sys.executable, "-m", "openvista", "segment", str(example_ct), "-o", str(tmp_path / "x.nii.gz"), "-v"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in running.stderr:
        if "windows of" in line:  # the network is at work
            break
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "stopped" in errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_model_is_said(tmp_path, small_ct):
    from openvista.weights import find_model

    broken = tmp_path / "model"
    shutil.copytree(find_model("starter").path, broken)
    weights = bytearray((broken / "model.safetensors").read_bytes())
    weights[-10] ^= 255
    (broken / "model.safetensors").write_bytes(weights)
    assert_refused(openvista("segment", small_ct, "-m", broken, "-o", tmp_path / "x.nii.gz"), "damaged")
    (broken / "model.safetensors").write_bytes(b"nonsense")
    assert openvista("models", "verify", broken).returncode == 2


def test_classes_lists_searches_and_suggests():
    assert "hepatic tumor" in openvista("classes", "liv").stdout + openvista("classes", "hepatic").stdout
    assert "spinal cord" in openvista("classes", "--model", "starter").stdout
    assert "kidney" in openvista("classes", "kidny").stdout


def test_models_list_info_verify_and_refusals(tmp_path):
    home = {"OPENVISTA_HOME": str(tmp_path)}
    assert "starter" in openvista("models", env=home).stdout
    assert json.loads(openvista("models", "info", "starter", env=home).stdout)["name"] == "starter"
    assert "good" in openvista("models", "verify", "starter", env=home).stdout
    assert_refused(openvista("models", "info", "nothing", env=home), "nothing")
    (tmp_path / "x.pt").write_bytes(b"no checkpoint")
    assert_refused(openvista("models", "import", tmp_path / "x.pt", env=home), "x.pt")
    download = openvista("models", "download", env=home)
    assert download.returncode == 2
    assert "--accept-licence" in download.stderr


def test_converted_weights_come_back_as_the_same_model(tmp_path):
    from openvista.weights import find_model

    target = tmp_path / "official.safetensors"
    done = openvista("models", "convert", find_model("starter").path, target, "--to", "monai-1.4")
    assert done.returncode == 0, done.stderr
    back = openvista("models", "convert", target, target.with_name("back.safetensors"), "--to", "openvista")
    assert back.returncode == 0, back.stderr


def test_train_mistakes_are_one_line(openvista_here, tmp_path, starter_recipe, example_datalist):
    assert_refused(openvista_here("train", tmp_path / "none.yaml"), "none.yaml")
    assert_refused(openvista_here("train", starter_recipe, "--datalist", tmp_path / "none.json"), "none.json")
    assert_refused(openvista_here("train", starter_recipe, "--set", "steps=many"), "steps")
    assert_refused(openvista_here("train", starter_recipe, "--set", "window=[48,48"), "window=[48,48", "YAML")
    wrong_fold = ["--datalist", example_datalist, "--set", "fold=3", "-o", tmp_path / "run"]
    assert_refused(openvista_here("train", starter_recipe, *wrong_fold), "fold 3")


@pytest.mark.slow
def test_a_model_of_other_data_does_not_claim_the_origin_of_the_recipes(tmp_path, starter_recipe, example_datalist):
    short = ["--set", "steps=1", "--set", "fold=null", "--set", "window=[32,32,32]", "--set", "licence=ours", "-q"]
    done = openvista("train", starter_recipe, "--datalist", example_datalist, *short, "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "run" / "model" / "card.json").read_text())
    assert card["provenance"]["data"] == "not stated (list dataset.json)"
    assert card["licence"] == "ours"


def test_help_teaches_and_version_is_there():
    assert "openvista segment" in openvista("--help").stdout
    assert "--classes" in openvista("segment", "--help").stdout
    assert openvista("--version").stdout.startswith("openvista ")
    assert openvista("-V").stdout == openvista("--version").stdout
    assert openvista("nonsense").returncode == 2
