"""Sessions of the plugin for napari on a ``ViewerModel``: clicks, boxes, strokes, undo, engines."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from serving import running

pytest.importorskip("napari")

from napari.components import ViewerModel
from small_napari import (
    OBLIQUE,
    ORIENTATIONS,
    SHAPE,
    Later,
    affine_of,
    bright_controller,
    controller_object,
    place,
    random_scan,
    read,
    shown,
)

from napari_openvista.controller import Controller
from napari_openvista.drawn import drawn_edits
from napari_openvista.engine import Engine
from napari_openvista.layers import labels_layer
from napari_openvista.placing import Placing
from openvista.errors import OpenVistaError, PromptError
from openvista.geometry.grid import Grid
from openvista.io import read_scan
from openvista.scan import Segmentation


def test_clicks_with_a_sign_make_a_named_and_coloured_layer_and_are_undone():
    viewer, controller = bright_controller((5, 6, 7))
    controller.new_object("lesion")
    (item,) = controller.items
    assert controller.object == item.id
    controller.clicks.add(place(controller, (5, 6, 7)))
    ball = shown(controller) == item.id
    assert ball.sum() == (np.asarray(viewer.layers[0].data) > 0).sum() > 50
    assert np.allclose(controller.labels.colormap.map(item.id)[:3], np.array(item.colour) / 255, atol=1e-6)
    assert controller.labels.features["name"].tolist() == ["background", "lesion"]
    controller.choose(item.id, positive=False)
    controller.clicks.add(place(controller, (7, 6, 7)))
    assert (shown(controller) > 0).sum() < ball.sum()
    assert [sign for _, sign in controller.items[0].clicks] == [True, False]
    faces = controller.clicks.face_color
    assert faces[0][1] > faces[0][0]  # green
    assert faces[1][0] > faces[1][1]  # red
    controller.undo()
    assert np.array_equal(shown(controller) > 0, ball)
    assert len(controller.clicks.data) == 1
    controller.redo()
    assert len(controller.clicks.data) == 2
    for _ in range(5):
        controller.undo()
    assert controller.items == []
    assert not shown(controller).any()
    assert not controller.can_undo


def test_a_moved_or_deleted_point_comes_back_and_says_so():
    _, controller = bright_controller()
    said = []
    controller.noted.connect(said.append)
    controller.new_object("lesion")
    controller.clicks.add(place(controller, (5, 6, 7)))
    controller.clicks.selected_data = {0}
    controller.clicks.remove_selected()
    assert len(controller.clicks.data) == 1
    assert "undo" in said[-1]


def test_without_a_choice_a_click_goes_and_says_why():
    _, controller = bright_controller()
    said = []
    controller.noted.connect(said.append)
    controller.clicks.add((3, 3, 3))
    assert said == ["nothing is chosen: choose an object or a class first"]
    assert len(controller.clicks.data) == 0
    assert controller.items == []
    with pytest.raises(PromptError, match="choose a scan"):
        Controller(ViewerModel()).segment(["liver"])


def test_a_box_on_a_slice_is_a_box_of_voxels():
    _, controller = bright_controller((5, 6, 7), affine_of((2, 0, 1), (-1, 1, -1), OBLIQUE, (2, 2, 2)))
    controller.new_object("lesion")
    low, high = place(controller, (2, 3, 7)), place(controller, (8, 9, 7))
    flat = int(np.flatnonzero(low == high)[0])
    corners = np.tile(low, (4, 1))
    first, second = (axis for axis in range(3) if axis != flat)
    corners[1:3, first] = high[first]
    corners[2:, second] = high[second]
    asked = []
    session = controller._session._session
    box, session.box = session.box, lambda given, *rest: asked.append(given) or box(given, *rest)
    controller.boxes.add_rectangles(corners)
    assert asked == [[(2, 9), (3, 10), (7, 8)]]
    assert len(controller.boxes.data) == 0
    assert shown(controller)[5, 6, 7] == controller.items[0].id
    assert len(controller.clicks.data) == 0  # nobody clicked


def test_the_brush_of_napari_edits_the_session_and_shares_its_undo():
    _, controller = bright_controller((5, 6, 7))
    first, second = controller_object(controller), None
    controller.clicks.add(place(controller, (5, 6, 7)))
    before = shown(controller)
    controller.new_object("other")
    second = controller.object
    assert controller.labels.selected_label == second != first
    controller.labels.brush_size = 5
    controller.labels.paint(place(controller, (7, 6, 7)), second)  # partly over the first
    painted = shown(controller)
    assert painted[7, 6, 7] == second
    assert before[7, 6, 7] == first
    session = controller._session._session
    assert np.array_equal(session.segmentation().labels, painted)
    assert (session.mask(first) & (painted == second)).sum() == 0
    controller.labels.fill(place(controller, (7, 6, 7)), 0)  # the bucket, with nothing
    assert not (shown(controller) == second).any()
    controller.undo()
    assert np.array_equal(shown(controller), painted)
    controller.undo()  # one stroke, though two objects changed
    assert np.array_equal(shown(controller), before)
    controller.redo()
    assert np.array_equal(shown(controller), painted)
    keys = {str(key): do for key, do in controller.labels.keymap.items()}
    keys["Ctrl+Z"](controller.labels)  # the session's undo, not napari's own
    assert np.array_equal(shown(controller), before)
    keys["Ctrl+Shift+Z"](controller.labels)
    assert np.array_equal(shown(controller), painted)
    later = Later()
    controller.run = later.run
    controller.choose("liver")
    controller.labels.paint(place(controller, (14, 3, 3)), 77)  # an id that nobody has: the class that is chosen
    later.do()
    assert {item.name for item in controller.items} == {"lesion", "other", "liver"}
    assert controller.items[-1].id == 1 == shown(controller)[14, 3, 3]
    controller.labels.paint(place(controller, (14, 12, 3)), 999)
    controller.labels.paint(place(controller, (14, 12, 9)), 999)  # before the first is answered
    later.do()
    assert [item.name for item in controller.items][3:] == ["drawn", "drawn 2"]
    assert shown(controller)[14, 12, 9] == controller.items[-1].id


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_strokes_of_all_kinds_reach_the_session_in_every_orientation(axes, signs):
    _, controller = bright_controller((5, 6, 7), affine_of(axes, signs, spacing=(2, 2, 2)))
    first = controller_object(controller)
    controller.labels.n_edit_dimensions = 3
    controller.labels.brush_size = 4
    controller.labels.paint(place(controller, (3, 11, 2)), first)
    with controller.labels.block_history():  # as a drag does
        for x in range(4, 12):
            controller.labels.paint(place(controller, (x, 4, 9)), first)
    indices = tuple(place(controller, (15, 14, 12)).astype(int)[:, None])
    controller.labels.data_setitem(indices, first)
    controller.labels.n_edit_dimensions = 2
    controller.labels.fill(place(controller, (1, 1, 1)), first)  # a slice
    drawn = shown(controller) == first
    assert drawn[3, 11, 2]
    assert drawn[4:12, 4, 9].all()
    assert drawn[15, 14, 12]
    assert drawn.sum() > 150
    assert np.array_equal(controller._session.labels() == first, drawn)
    for _ in range(4):
        controller.undo()
    assert not controller._session.labels().any()


def test_a_locked_object_is_not_painted_over_and_the_layer_says_so():
    _, controller = bright_controller((5, 6, 7))
    first = controller_object(controller)
    controller.clicks.add(place(controller, (5, 6, 7)))
    before = shown(controller)
    session = controller._session._session
    session.change(first, locked=True)
    said, later = [], Later()
    controller.noted.connect(said.append)
    controller.run = later.run
    controller.labels.paint(place(controller, (5, 6, 7)), 0)
    assert not np.array_equal(shown(controller), before)
    later.do()
    assert "locked" in said[-1]
    assert np.array_equal(shown(controller), before)


def test_label_maps_of_many_pieces_become_edits_that_fit():
    before = np.zeros((70, 70, 70), dtype=np.uint16)
    after = (np.indices(before.shape).sum(axis=0) % 2).astype(np.uint16)
    edits = drawn_edits((0, 0, 0), before, after)
    assert len(edits) > 1
    assert sum(sum(one.edit.runs[1::2]) for one in edits) == after.sum()


def test_a_labels_layer_is_corrected():
    viewer, controller = bright_controller((5, 6, 7))
    placing = Placing.of_layer(controller.image)
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[1:4, 1:4, 1:4] = 1
    data, choices, _ = labels_layer(Segmentation(labels, placing.grid, {1: "liver"}), "mine")
    controller.start_from(viewer.add_labels(data, **choices))
    assert [(item.id, item.name) for item in controller.items] == [(1, "liver")]
    assert np.array_equal(shown(controller), labels)
    data, choices, _ = labels_layer(Segmentation(labels[:9], Grid((9, 15, 13), np.eye(4)), {1: "liver"}), "else")
    with pytest.raises(PromptError, match="does not lie on the voxels"):
        controller.start_from(viewer.add_labels(data, **choices))


def test_layers_that_somebody_removed_come_back_and_a_closed_session_leaves_its_labels():
    viewer, controller = bright_controller()
    controller.new_object("lesion")
    viewer.layers.remove(controller.labels)
    viewer.layers.remove(controller.clicks)
    controller.click((5, 6, 7))
    assert controller.labels in viewer.layers
    assert (shown(controller) > 0).any()
    labels = controller.labels
    controller.close()
    assert {layer.name for layer in viewer.layers} == {"made-up", labels.name}
    labels.paint((3, 3, 3), 7)  # an ordinary layer now
    assert controller.items == []


@pytest.fixture(scope="module")
def ct(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("scans") / "ct.nii.gz"
    nib.save(nib.Nifti1Image(random_scan(affine_of(signs=(-1, -1, 1), spacing=(2, 2, 2.5))).voxels, np.eye(4)), path)
    return path


def test_this_computer_and_a_server_give_the_same(small_model, ct, tmp_path):
    with running(models=(str(small_model),), state=tmp_path / "state") as server:
        engines = [Engine(str(small_model), device="cpu"), Engine("both", server=server.url)]
        assert engines[1].models() == ["both"]
        assert engines[0].classes() == engines[1].classes()
        pictures = []
        for engine in engines:
            viewer = ViewerModel()
            (image,) = read(ct)
            controller = Controller(viewer)
            controller.engine = engine
            controller.open(viewer.add_layer(image))
            controller.segment(["liver", "right kidney"])
            controller.choose("liver")
            controller.clicks.add(place(controller, (8, 7, 6)))
            controller.labels.paint(place(controller, (4, 4, 4)), controller.object)
            names = [(item.id, item.name, item.colour, item.clicks) for item in controller.items]
            pictures.append((shown(controller), str(names).replace("[8.0, 7.0, 6.0]", "(8.0, 7.0, 6.0)")))
            for _ in range(3):
                controller.undo()
            assert not shown(controller).any()
            controller.close()
        assert pictures[0][0].any()
        assert pictures[0][1] == pictures[1][1]
        assert np.array_equal(pictures[0][0], pictures[1][0])
        with pytest.raises(OpenVistaError, match="no model"):
            Engine("other", server=server.url).open(read_scan(ct))


def test_what_cannot_be_reached_says_so_and_leaves_no_session(ct):
    viewer = ViewerModel()
    (image,) = read(ct)
    controller = Controller(viewer)
    controller.engine = Engine("", server="http://127.0.0.1:9")
    said = []
    controller.noted.connect(said.append)
    with pytest.raises(OpenVistaError):
        controller.open(viewer.add_layer(image))
    assert controller.image is None
    assert said
    assert controller.waiting == 0
