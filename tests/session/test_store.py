"""What was saved comes back bit by bit, and to nobody else."""

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from openvista.errors import SessionError
from openvista.geometry.grid import Grid
from openvista.io.session_file import SessionContents, read_session
from openvista.model import Model
from openvista.scan import Scan, Segmentation
from openvista.session.session import Session
from openvista.session.store import scan_hash
from small_inference import make_scan
from small_sessions import AFFINE, SHAPE, ball, bright_scan, bright_session, picture, two_branches_model

SCAN = make_scan(SHAPE, AFFINE)


@pytest.fixture(scope="module")
def model(two_branches) -> Model:
    return two_branches


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory) -> tuple[Session, Path]:
    session = model.open(SCAN)
    session.segment(["liver", "spleen"])
    session.click((15, 11, 8), "liver", grow=False)
    labels = np.zeros(SCAN.voxels.shape, np.uint8)
    labels[3:9, 4:8, 2:9] = 9
    session.start_from(Segmentation(labels, SCAN.grid, {9: "old"}))
    session.click((6, 6, 6), "old", grow=False)
    lesion = session.new_object("lesion", (1, 2, 3))
    session.click((20, 10, 8), lesion, grow=False)
    session.click((21, 12, 8), lesion, positive=False, grow=False)
    session.change("spleen", locked=True, visible=False)
    session.undo()
    return session, session.save(tmp_path_factory.mktemp("sessions") / "case.ovsession")


def test_masks_objects_history_and_log_come_back(model, saved):
    session, path = saved
    back = model.open(SCAN, path)
    assert back.state == session.state
    assert back.events == session.events
    assert back.profile == session.profile
    for ours, theirs in zip(back.objects, session.objects, strict=True):
        assert np.array_equal(ours.mask, theirs.mask)
    for policy in ("order", "logit"):
        assert np.array_equal(back.segmentation(policy).labels, session.segmentation(policy).labels)
    assert back.redo()
    assert back.object("spleen").state.locked


def test_showing_a_session_that_came_back_computes_nothing(model, saved):
    back = model.open(SCAN, saved[1])
    back.segmentation()
    assert back.open_scan.object_masks.engine.features.made == 0


def test_a_session_that_came_back_goes_on_and_back_to_its_beginning(model, saved):
    session, path = saved
    back = model.open(SCAN, path)
    for each in (session, back):
        each.click((18, 12, 8), "lesion", grow=False)
        each.undo()
        each.undo()
    assert np.array_equal(back.mask("lesion"), session.mask("lesion"))
    while back.undo():
        pass
    assert back.objects == ()
    session.redo()


def test_saving_again_gives_the_same_file(model, saved, tmp_path):
    back = model.open(SCAN, saved[1])
    assert back.save(tmp_path / "again.ovsession").read_bytes() == saved[1].read_bytes()


def test_another_scan_or_model_is_refused(model, saved):
    voxels = SCAN.voxels.copy()
    voxels[0, 0, 0] += 1
    with pytest.raises(SessionError, match="made on scan 'made-up'"):
        model.open(Scan(voxels, SCAN.grid), saved[1])
    with pytest.raises(SessionError, match="made on scan 'made-up'"):
        model.open(Scan(SCAN.voxels, Grid(SCAN.grid.shape, AFFINE @ np.diag([1.01, 1, 1, 1]))), saved[1])
    with pytest.raises(SessionError, match="made with model 'tiny'"):
        two_branches_model(seed=5).open(SCAN, saved[1])


def test_the_hash_of_a_scan_is_of_its_values(model):
    flipped = np.asfortranarray(SCAN.voxels.astype(np.float32))
    assert scan_hash(Scan(flipped, SCAN.grid, "other name")) == scan_hash(SCAN)


@pytest.mark.parametrize("damage", ["format", "items", "past", "array"])
def test_damaged_sessions_are_one_line(model, saved, tmp_path, damage):
    broken = tmp_path / "broken.ovsession"
    with zipfile.ZipFile(saved[1]) as old, zipfile.ZipFile(broken, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "manifest.json" and damage != "array":
                manifest = json.loads(content)
                manifest[damage] = {"format": 99, "items": [{}], "past": [[1, [77]]]}[damage]
                content = json.dumps(manifest).encode()
            if damage == "array" and name.endswith(".start.npy"):
                continue
            new.writestr(name, content)
    with pytest.raises(SessionError) as caught:
        model.open(SCAN, broken)
    assert "\n" not in str(caught.value)


def test_profiles_travel_with_the_session(tmp_path):
    scan = bright_scan(ball((20, 20, 20), (10, 10, 10), 4))
    profile = dataclasses.replace(bright_session(scan).profile, name="mine", mode="exact")
    session = bright_session(scan, profile=profile)
    session.click((10, 10, 10))
    path = session.save(tmp_path / "a.ovsession")
    back = Session.restored(read_session(path), session.open_scan.model, scan)
    assert back.profile == profile
    assert np.array_equal(back.mask("object"), session.mask("object"))


def scattered_session() -> Session:
    """An object with a stray voxel far away, clicked on."""
    shape = (140, 30, 30)
    inside = ball(shape, (15, 15, 15), 6)
    labels = ball(shape, (15, 15, 15), 4).astype(np.uint8)
    labels[135, 2, 28] = 1
    session = bright_session(bright_scan(inside))
    session.start_from(Segmentation(labels, session.scan.grid, {1: "old"}))
    session.click((15, 15, 15), "old", grow=False)
    return session


def test_masks_in_parts_come_back_and_earlier_versions_refuse_the_file(tmp_path):
    session = scattered_session()
    path = session.save(tmp_path / "a.ovsession")
    contents = read_session(path)
    assert contents.manifest["format"] == 3
    assert sum(array.nbytes for name, array in contents.arrays.items() if name.startswith("mask")) < 1000
    back = Session.restored(contents, session.open_scan.model, session.scan)
    assert picture(back) == picture(session)
    assert back.save(tmp_path / "b.ovsession").read_bytes() == path.read_bytes()
    back.undo()
    assert back.mask("old")[135, 2, 28]


def test_masks_on_the_box_around_them_as_earlier_versions_wrote_them_are_the_same(tmp_path):
    session = scattered_session()
    contents = read_session(session.save(tmp_path / "a.ovsession"))
    whole = session.open_scan.masks["mask 1"].whole()
    kept = {name: array for name, array in contents.arrays.items() if not name.startswith("mask")}
    earlier = {
        "mask1": np.packbits(whole.values_XYZ),
        "mask1.start": np.array(whole.start),
        "mask1.shape": np.array(whole.values_XYZ.shape),
    }
    old = SessionContents({**contents.manifest, "format": 1}, kept | earlier)
    back = Session.restored(old, session.open_scan.model, session.scan)
    assert picture(back) == picture(session)
    assert back.open_scan.masks["mask 1"].nbytes == session.open_scan.masks["mask 1"].nbytes


@pytest.mark.parametrize("damage", ["outside", "few bytes", "many bytes"])
def test_damaged_parts_are_one_line(damage, tmp_path):
    session = scattered_session()
    contents = read_session(session.save(tmp_path / "a.ovsession"))
    arrays = dict(contents.arrays)
    if damage == "outside":
        arrays["mask1.boxes"] = arrays["mask1.boxes"] + np.array([0, 0, 20])
    else:
        arrays["mask1"] = arrays["mask1"][:-1] if damage == "few bytes" else np.append(arrays["mask1"], np.uint8(0))
    with pytest.raises(SessionError, match="the session file is not complete"):
        Session.restored(SessionContents(contents.manifest, arrays), session.open_scan.model, session.scan)
