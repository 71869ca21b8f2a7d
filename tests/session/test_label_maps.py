"""What a session holds and gives back: automatic results, masks from files, layers and exports."""

import logging

import numpy as np
import pytest

from openvista.errors import GridError, InputError
from openvista.geometry.box import Box, Crop
from openvista.geometry.grid import Grid
from openvista.geometry.resample import resample_crop
from openvista.io.dicom.described import touched_ids
from openvista.scan import Scan, Segmentation
from openvista.session.brought import BroughtMask, PackedMask
from openvista.session.edits import make_edit
from openvista.session.handle import SessionObject
from openvista.session.session import Session
from small_inference import make_scan
from small_sessions import AFFINE, SHAPE, ball, bright_scan, bright_session, picture, two_balls


def test_automatic_results_are_those_of_the_model_and_later_classes_cost_no_window(two_branches):
    scan = make_scan(SHAPE, AFFINE)
    session, exact = two_branches.open(scan), two_branches.segment(scan, ["liver"])
    windows = []
    session.segment("liver", windows.append)
    assert any(step.stage == "encode" for step in windows)
    later = []
    session.segment(["spleen"], later.append)
    assert not any(step.stage == "encode" for step in later)
    agree = session.mask("liver") == exact.mask("liver")
    assert agree.mean() > 0.999  # stitched in another order: rounding
    together = session.segmentation()
    both = two_branches.segment(scan, ["liver", "spleen"])
    assert (together.labels == both.labels).mean() > 0.995


def test_clicks_correct_the_automatic_result_and_only_where_they_took_something(two_branches):
    session = two_branches.open(make_scan(SHAPE, AFFINE))
    automatic = session.segment("liver")[0].mask
    answer = session.click((15, 11, 8), "liver", grow=False)
    assert session.object("liver").state.inputs.base == "automatic"
    corrected = session.mask("liver")
    made = session.open_scan.object_mask(session.object("liver").state.inputs)
    assert made.touched is not None
    differs = automatic != corrected
    assert differs.any()
    assert differs[answer.changed.slices()].sum() == differs.sum()
    session.undo()
    assert np.array_equal(session.mask("liver"), automatic)
    fresh = two_branches.open(make_scan(SHAPE, AFFINE))
    fresh.click((15, 11, 8), "liver", grow=False)  # the class without asking for it first
    assert np.array_equal(fresh.mask("liver"), corrected)
    alone = two_branches.open(make_scan(SHAPE, AFFINE))
    alone.click((15, 11, 8), "liver", grow=False, automatic=False)
    assert alone.object("liver").state.inputs.base is None


def as_if_resampled_whole(session: Session, which: SessionObject, brought: np.ndarray) -> np.ndarray:
    """A clicked mask from all of its logits on the scan's grid, not only from those near what clicks have changed."""
    kept, whole = session.open_scan, Box.whole(brought.shape)
    made = kept.object_mask(which.state.inputs)
    grids = (kept.prepared.grid, kept.scan.grid)
    changed, logits = (
        resample_crop(Crop(crop.start, crop.values_XYZ.astype(np.float32)), *grids, fill).on(whole, fill)
        for crop, fill in ((made.touched, 0.0), (made.logits, -1.0))
    )
    return np.where(changed > 0, logits > 0, brought)


def test_an_existing_mask_stays_to_the_voxel_where_clicks_change_nothing():
    scan = two_balls()
    affine = np.diag([1.3, -1.1, 2.3, 1.0])
    scan = Scan(scan.voxels, Grid(scan.voxels.shape, affine))
    labels = np.zeros(scan.voxels.shape, np.uint8)
    labels[28:33, 27:30, 14:17] = 7  # too small a piece of the second ball
    labels[3, 3, 3] = 7  # a lone voxel far away
    labels[20:24, 2:5, 4:8] = 9
    session = bright_session(scan)
    seven, nine = session.start_from(Segmentation(labels, scan.grid, {7: "node", 9: "liver"}))
    assert (seven.id, nine.id) == (7, 1)
    assert nine.state.inputs.class_id == 1
    assert np.array_equal(session.segmentation().labels == 7, labels == 7)
    session.click((30, 28, 15), seven)
    mask = session.mask(seven)
    assert mask[3, 3, 3]
    assert np.array_equal(mask, as_if_resampled_whole(session, seven, labels == 7))
    assert mask.sum() > 300
    assert not mask[:20, 5:].any()
    assert np.array_equal(session.mask(nine), labels == 9)
    session.click((3, 3, 3), seven, positive=False, grow=False)
    assert not session.mask(seven)[3, 3, 3]
    session.click((29, 28, 15), seven, positive=False, grow=False)
    assert np.array_equal(session.mask(seven), as_if_resampled_whole(session, seven, labels == 7))


def scattered() -> tuple[Scan, Segmentation]:
    """Two bright balls, each a structure with stray voxels far away, so that the box around it holds nearly all."""
    shape = (140, 40, 30)
    near, far = ball(shape, (20, 12, 14), 5), ball(shape, (116, 28, 15), 6)
    labels = np.zeros(shape, np.uint8, order="F")
    labels[near], labels[far] = 3, 8
    labels[25:27, 10:14, 12:16] = 8  # they touch
    labels[1, 39, 1] = labels[135, 1, 28] = 3
    labels[2, 1, 29] = 8
    return bright_scan(near | far), Segmentation(labels, Grid(shape, np.diag([2.0, 2.0, 2.0, 1.0])), {3: "a", 8: "b"})


def start_from_whole_boxes(session: Session, segmentation: Segmentation) -> None:
    """As earlier versions did: one mask for each structure, on the box around it all."""
    session.start_from(segmentation)
    for name, value in zip(list(session.open_scan.masks), (3, 8), strict=True):
        inside = segmentation.labels == value
        whole = PackedMask.of(Crop((0, 0, 0), inside).cropped(inside))
        session.open_scan.masks[name] = BroughtMask((whole,))


def test_a_structure_with_stray_voxels_is_kept_in_parts_and_nothing_else_differs():
    scan, segmentation = scattered()
    parts, whole = bright_session(scan), bright_session(scan)
    parts.start_from(segmentation)
    start_from_whole_boxes(whole, segmentation)
    assert all(len(mask.parts) > 1 for mask in parts.open_scan.masks.values())
    assert parts.open_scan.nbytes < whole.open_scan.nbytes / 10
    assert np.array_equal(parts.segmentation().labels, segmentation.labels)
    brush = make_edit("brush", points=[(70, 20, 15)], radius_mm=9)
    steps = [
        lambda session: session.click((22, 12, 14), "b", positive=False, grow=False),
        lambda session: session.click((117, 28, 15), "a", grow=False),
        lambda session: session.click((135, 1, 28), "a", positive=False, grow=False),
        lambda session: session.edit(brush, "a"),
        lambda session: session.change("a", locked=True),
        lambda session: session.undo(),
    ]
    for step in steps:
        step(parts), step(whole)
        assert picture(parts) == picture(whole)
        for policy in ("order", "logit"):
            one, other = parts.segmentation(policy), whole.segmentation(policy)
            assert np.array_equal(one.labels, other.labels)
            assert one.provenance["contested"] == other.provenance["contested"]
        for one, other in zip(parts.layers(), whole.layers(), strict=True):
            assert np.array_equal(one.labels, other.labels)


def test_a_mask_on_another_grid_is_refused():
    scan = two_balls()
    labels = np.zeros((5, 5, 5), np.uint8)
    with pytest.raises(GridError, match=r"does not lie on the grid of the scan"):
        bright_session(scan).start_from(Segmentation(labels, Grid((5, 5, 5), np.eye(4)), {}))


def overlapping() -> Session:
    """A large object and a small one inside it, by hand."""
    inside = ball((30, 30, 20), (14, 14, 10), 7)
    scan = bright_scan(inside)
    labels = np.where(ball((30, 30, 20), (14, 14, 10), 3), 5, 0).astype(np.uint8)
    session = bright_session(scan)
    session.click((14, 14, 10), session.new_object("large"))
    session.start_from(Segmentation(labels, scan.grid, {5: "small"}))
    return session


def test_later_objects_lie_on_top_and_losses_are_told(caplog):
    session = overlapping()
    with caplog.at_level(logging.WARNING):
        made = session.segmentation()
    assert np.array_equal(made.mask("small"), session.mask("small"))
    lost = int(session.mask("small").sum())
    assert made.provenance["contested"] == [{"kept_by": "small", "lost_by": "large", "voxels": lost}]
    assert f"{lost} voxels of 'large' were given to 'small'" in caplog.text
    session.move("large", 1)
    assert not session.segmentation().mask("small").any()
    session.change("small", locked=True)
    assert np.array_equal(session.segmentation().mask("small"), session.mask("small"))
    assert np.array_equal(session.segmentation("logit").mask("small"), session.mask("small"))


def test_layers_keep_every_voxel():
    session = overlapping()
    layers = session.layers()
    assert [list(layer.names.values()) for layer in layers] == [["large"], ["small"]]
    for layer, name in zip(layers, ("large", "small"), strict=True):
        assert np.array_equal(layer.mask(name), session.mask(name))
    with pytest.raises(InputError, match="no overlap policy 'best'"):
        session.segmentation("best")


def test_a_segmentation_tells_what_it_takes_to_make_it_again(session):
    session.click((10, 10, 8), session.new_object("node"), grow=False)
    made = session.segmentation()
    assert made.grid is session.scan.grid
    assert made.names == {133: "node"}
    assert made.provenance["weights_sha256"] == session.open_scan.model.fingerprint
    (asked,) = made.provenance["prompts"]["objects"]
    assert asked["clicks"] == [[10.0, 10.0, 8.0, True]]
    assert asked["zero_shot"]


def test_dicom_results_know_what_was_clicked_on(two_branches):
    session = two_branches.open(make_scan(SHAPE, AFFINE))
    session.segment(["liver", "spleen"])
    session.click((15, 11, 8), "liver", grow=False)
    assert touched_ids(session.segmentation().provenance) == {1}
