"""What earlier versions wrote still opens, and means the same. ``data/earlier/README.md`` says what made the files."""

import csv
import gzip
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import earlier_files
import openvista as ov
from earlier_files import EARLIER, MAPS, OPTIMISERS, session_masks, session_view

RECIPES = sorted(path.name for path in (EARLIER / "recipes").glob("*.yaml"))


def openvista(*arguments, cwd, program=("-m", "openvista")):
    command = [sys.executable, *program, *map(str, arguments)]
    package = str(Path(ov.__file__).resolve().parents[1])  # the one that is tested, wherever the command starts
    environment = os.environ | {"COLUMNS": "160", "OMP_NUM_THREADS": "1", "PYTHONPATH": package}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300, check=False)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier")
    earlier_files.write_scans(folder)
    return folder


# --- sessions -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def starter():
    model = ov.load_model("starter")
    with zipfile.ZipFile(EARLIER / "case.ovsession") as archive:
        made_with = json.loads(archive.read("manifest.json"))["model"]["sha256"]
    if model.card.weights_sha256 != made_with:
        pytest.skip("the starter has other weights now, and a session opens with its own only")
    return model


@pytest.fixture(scope="module")
def kept():
    with np.load(EARLIER / "case.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def assert_shows(session, name, kept):
    """Objects, clicks, log and every voxel are those that were written down."""
    assert json.loads(json.dumps(session_view(session))) == json.loads((EARLIER / "case.json").read_text())[name]
    seen = session_masks(session)
    assert {key.partition("/")[2] for key in kept if key.startswith(f"{name}/")} == seen.keys()
    for key, mask in seen.items():
        assert np.array_equal(mask, kept[f"{name}/{key}"]), key


def test_a_session_opens_as_it_was(starter, scans, kept):
    session = starter.open(ov.read_scan(scans / "ct0.nii.gz"), EARLIER / "case.ovsession")
    assert_shows(session, "now", kept)
    locked = session.object("from elsewhere").state
    assert locked.locked
    with pytest.raises(ov.errors.PromptError, match="locked"):
        session.click((26, 24, 15), object="from elsewhere")


def test_undo_and_redo_of_an_opened_session(starter, scans, kept):
    session = starter.open(ov.read_scan(scans / "ct0.nii.gz"), EARLIER / "case.ovsession")
    assert session.undo()
    assert (
        session_view(session)["objects"] == json.loads((EARLIER / "case.json").read_text())["undone twice"]["objects"]
    )
    assert np.array_equal(session.segmentation().labels, kept["undone twice/label map"])
    assert session.redo()
    assert np.array_equal(session.segmentation().labels, kept["now/label map"])
    assert session.redo()
    assert session_view(session)["objects"] == json.loads((EARLIER / "case.json").read_text())["redone"]["objects"]
    while session.undo():
        pass
    assert session.objects == ()


def test_an_opened_session_takes_clicks(starter, scans, kept, tmp_path):
    scan = ov.read_scan(scans / "ct0.nii.gz")
    session = starter.open(scan, EARLIER / "case.ovsession")
    session.click((27, 25, 19), object="lesion")
    assert session.object("lesion").mask[27, 25, 19]
    assert np.array_equal(session.object("from elsewhere").mask, kept["now/from elsewhere"])
    again = starter.open(scan, session.save(tmp_path / "again.ovsession"))
    assert np.array_equal(again.segmentation().labels, session.segmentation().labels)


def test_a_session_without_what_came_later(starter, scans, kept, tmp_path):
    """Earlier still, prompts had no 'earlier' answers and layers no 'touched' voxels."""
    older = tmp_path / "older.ovsession"
    with zipfile.ZipFile(EARLIER / "case.ovsession") as source, zipfile.ZipFile(older, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "manifest.json":
                manifest = json.loads(content)
                for item in manifest["items"]:
                    item["description"].pop("earlier", None)
                content = json.dumps(manifest).encode()
            if ".touched" not in name:
                target.writestr(name, content)
    session = starter.open(ov.read_scan(scans / "ct0.nii.gz"), older)
    assert [item.name for item in session.objects] == ["from elsewhere", "spinal cord", "lesion"]
    assert np.array_equal(session.object("from elsewhere").mask, kept["now/from elsewhere"])


def test_the_command_line_goes_on_with_a_session(starter, scans, kept, tmp_path):
    shutil.copy(EARLIER / "case.ovsession", tmp_path / "case.ovsession")
    asked = ["click", scans / "ct0.nii.gz", "--session", "case.ovsession", "-o", "labels.nii.gz", "--undo", "1"]
    done = openvista(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(ov.read_scan(tmp_path / "labels.nii.gz").voxels, kept["undone twice/label map"])


# --- recipes, data lists, models ----------------------------------------------------------------------------------


def resolved(path):
    from openvista.train.recipe_file import read_recipe

    return read_recipe(path).model_dump(mode="json")


def called_as_today(recipe):
    """The resolved recipe of an earlier version; one of its keys has another name today."""
    augmentation = dict(recipe["augmentation"])
    augmentation["spatial_share"] = augmentation.pop("bend")
    return recipe | {"augmentation": augmentation}


def keys_of(before, now):
    """Those keys of a recipe that an earlier version had; augmentation that it had not is off."""
    strengths = now["augmentation"]
    assert not any(strengths[key] for key in strengths.keys() - before["augmentation"].keys())
    kept = {key: strengths[key] for key in before["augmentation"]}
    return {key: now[key] for key in before} | {"augmentation": kept}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_means_what_it_meant(name):
    before = called_as_today(json.loads((EARLIER / "recipes" / "resolved.json").read_text())[name])
    now = resolved(EARLIER / "recipes" / name)
    found = keys_of(before, now)
    for content in (before, found):
        content["datalist"] = content["datalist"].rpartition("/")[2]
    assert found == before


def test_the_recipe_of_a_run_is_a_recipe():
    before = called_as_today(json.loads((EARLIER / "run-adamw" / "recipe.json").read_text()))
    earlier_files.register()
    now = resolved(EARLIER / "run-adamw" / "recipe.json")
    del before["datalist"]
    assert keys_of(before, now) == before


def test_a_data_list_with_other_key_names(scans):
    """``label_dict`` and ``test`` are what research lists say for ``labels`` and ``testing``."""
    from openvista.datalist import map_labels, read_datalist

    listed = read_datalist(scans / "list.json")
    assert (scans / "list.json").read_bytes() == (EARLIER / "list.json").read_bytes()
    assert [case.fold for case in listed.training] == [0, 1]
    assert [case.image.name for case in listed.testing] == ["ct2.nii.gz", "ct3.nii.gz"]
    assert listed.training[0].annotated == frozenset({1, 2})
    vocabulary = ov.load_model("starter").vocabulary
    assert map_labels(listed, MAPS, vocabulary).classes == {1: 121, 2: 134, 3: 133}


def test_the_command_line_takes_the_data_list(scans):
    done = openvista("datalist", "check", "list.json", cwd=scans)
    assert done.returncode == 0, done.stderr
    assert "4 cases: 4 can be used" in done.stdout


def test_a_model_folder_loads_and_segments(scans):
    model = ov.load_model(EARLIER / "model", precision="float32")
    assert model.card.name == "tiny"
    assert model.card.extra_classes == {133: "bright ball", 134: "dim ball"}
    found = model.segment(ov.read_scan(scans / "ct0.nii.gz"), classes=["white ball", 134])
    assert found.names == {133: "bright ball", 134: "dim ball"}
    done = openvista("models", "verify", EARLIER / "model", cwd=scans)
    assert done.returncode == 0, done.stderr


# --- runs ---------------------------------------------------------------------------------------------------------


def losses(path):
    with path.open(newline="") as file:
        return {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)}


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_stopped_training_goes_on(optimiser, scans, tmp_path):
    kept, run = EARLIER / f"run-{optimiser}", tmp_path / "run"
    run.mkdir()
    for name in ("recipe.json", "train.csv"):
        shutil.copy(kept / name, run / name)
    (run / "last.pt").write_bytes(gzip.decompress((kept / "last.pt.gz").read_bytes()))
    recipe = scans / f"{optimiser}.yaml"  # JSON is YAML; the data list is looked up beside it
    shutil.copy(kept / "recipe.json", recipe)
    done = openvista(
        "train", recipe, "-o", run, "--resume", "--set", f"datalist={scans / 'list.json'}", cwd=tmp_path,
        program=[earlier_files.__file__],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "going on from step 2" in done.stderr
    assert losses(run / "train.csv") == pytest.approx(losses(kept / "finished.csv"), rel=1e-3)
    assert ov.load_model(run / "model").card.class_ids == (133, 134)


@pytest.fixture
def evaluated(scans, tmp_path):
    """The folders of two runs, and what they need beside them."""
    for path in scans.iterdir():
        if path.suffix in (".gz", ".json"):
            shutil.copy(path, tmp_path / path.name)
    for protocol in ("auto", "clicks"):
        shutil.copytree(EARLIER / f"evaluate-{protocol}", tmp_path / protocol)
    return tmp_path


def test_evaluations_are_compared(evaluated):
    done = openvista("evaluate", "compare", "clicks", "auto", "-o", "both", cwd=evaluated)
    assert done.returncode == 0, done.stderr
    with (evaluated / "both" / "compare.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"spinal cord", "brainstem", "right parotid"} <= {row["name"] for row in rows}
    assert "right parotid" in done.stdout


@pytest.mark.usefixtures("starter")
def test_an_evaluation_goes_on_and_keeps_its_scores(evaluated):
    before = json.loads((evaluated / "clicks" / "scores.json").read_text())
    (evaluated / "clicks" / "scores.json").unlink()
    maps = [word for item in MAPS for word in ("--map", item)]
    asked = ["evaluate", "list.json", "-P", "clicks", "--clicks", "1,2", *maps, "-o", "clicks", "--resume"]
    done = openvista(*asked, cwd=evaluated)
    assert done.returncode == 0, done.stderr
    now = json.loads((evaluated / "clicks" / "scores.json").read_text())
    for content in (before, now):
        for key in ("command", "started", "version", "precision"):  # of whoever went on
            del content["run"][key]
    assert now == before
    assert (evaluated / "clicks" / "report.html").exists()


def test_an_evaluation_from_before_classes_were_noted(evaluated):
    for name, place in (("run.json", ()), ("scores.json", ("run",))):
        path = evaluated / "auto" / name
        whole = content = json.loads(path.read_text())
        for key in place:
            content = content[key]
        del content["classes"]
        path.write_text(json.dumps(whole))
    done = openvista("evaluate", "compare", "auto", "clicks", cwd=evaluated)
    assert done.returncode == 0, done.stderr
