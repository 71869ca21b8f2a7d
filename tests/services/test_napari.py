"""The plugin for napari without Qt: manifest, places, reader and writer, prompts on a ``ViewerModel``."""

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from serving import AFFINE, running

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Labels, Layer

from napari_openvista.controller import Controller, run_here
from napari_openvista.drawn import drawn_edits
from napari_openvista.engine import Engine, LocalSession
from napari_openvista.layers import labels_layer, scan_layer, segmentation_of
from napari_openvista.placing import Placing
from napari_openvista.planes import show_plane
from napari_openvista.reader import get_reader, may_be_labels
from napari_openvista.writer import write_labels
from openvista.errors import GridError, OpenVistaError, PromptError
from openvista.geometry.grid import Grid
from openvista.io import read_scan, read_segmentation
from openvista.scan import Scan, Segmentation
from small_dicom import FAR, phantom, write_series
from small_sessions import bright_scan, bright_session

SHAPE = (16, 15, 13)
OBLIQUE, UPRIGHT = (9.0, -14.0, 20.0), (0.0, 0.0, 0.0)


def affine_of(axes=(0, 1, 2), signs=(1, 1, 1), degrees=UPRIGHT, spacing=(0.8, 1.1, 2.5)) -> np.ndarray:
    """Array axis i runs along world axis ``axes[i]``, turned by some degrees."""
    directions = np.zeros((3, 3))
    directions[list(axes), range(3)] = signs
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ directions @ np.diag(spacing)
    affine[:3, 3] = (-40, 22, 9)
    return affine


ORIENTATIONS = [((0, 1, 2), (1, 1, 1)), ((0, 1, 2), (-1, -1, 1)), ((2, 0, 1), (-1, 1, -1)), ((1, 2, 0), (1, -1, -1))]


def random_scan(affine: np.ndarray, shape: tuple[int, int, int] = SHAPE) -> Scan:
    voxels = np.random.default_rng(3).integers(-1000, 1500, shape).astype(np.int16)
    return Scan(voxels, Grid(shape, affine), "ct")


class GivenEngine(Engine):
    """A session that is there already."""

    def open(self, scan):
        return LocalSession(bright_session(scan))


def bright_controller(centre=(5, 6, 7), affine=None, radius=3) -> tuple[ViewerModel, Controller]:
    """A viewer with a bright ball, and a network that sees brightness."""
    places = np.stack(np.indices(SHAPE), -1)
    ball = ((places - np.array(centre)) ** 2).sum(-1) <= radius**2
    scan = bright_scan(ball, affine_of(spacing=(2, 2, 2)) if affine is None else affine)
    viewer = ViewerModel()
    data, choices, _ = scan_layer(scan)
    controller = Controller(viewer)
    controller.engine = GivenEngine()
    controller.open(viewer.add_image(data, **choices))
    return viewer, controller


# --- the manifest -----------------------------------------------------------------------------------------------------


def test_the_manifest_is_valid_and_what_it_names_loads_without_torch():
    subprocess.run([sys.executable, "-m", "npe2", "validate", "napari_openvista"], check=True, capture_output=True)
    code = (
        "import sys, napari_openvista.reader, napari_openvista.writer, napari_openvista.controller\n"
        "from npe2 import PluginManager; pm = PluginManager.instance(); pm.discover()\n"
        "assert 'napari-openvista' in {m.name for m in pm.iter_manifests()}\n"
        "for command in pm.get_manifest('napari-openvista').contributions.commands:\n"
        "    if 'widget' not in command.id: pm.commands.get(command.id)\n"
        "print([name for name in ('torch', 'PyQt6', 'qtpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


# --- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [UPRIGHT, OBLIQUE])
@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_places_go_there_and_back(axes, signs, degrees):
    scan = random_scan(affine_of(axes, signs, degrees))
    placing = Placing.of(scan.grid)
    data = placing.to_layer(scan.voxels)
    assert np.array_equal(placing.to_scan(data), scan.voxels)
    voxels = np.random.default_rng(1).integers(0, 13, (20, 3))
    places = placing.layer_places(voxels)
    assert np.allclose(placing.voxels(places), voxels)
    assert [data[tuple(place)] for place in places.astype(int)] == [scan.voxels[tuple(voxel)] for voxel in voxels]


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_the_world_of_napari_is_the_patient_in_z_y_x(axes, signs):
    scan = random_scan(affine_of(axes, signs))
    data, choices, _ = scan_layer(scan)
    layer = ViewerModel().add_image(data, **choices)
    voxel = np.array([[3, 9, 11]])
    right, anterior, superior = scan.grid.to_world(voxel)[0]
    place = Placing.of(scan.grid).layer_places(voxel)[0]
    assert np.allclose(layer.data_to_world(place), (superior, -anterior, -right))
    layer.metadata.clear()  # as if another reader had read it
    other = Placing.of_layer(layer)
    assert np.allclose(other.grid.to_world(other.voxels(place)), scan.grid.to_world(voxel))


@pytest.mark.parametrize("degrees", [UPRIGHT, OBLIQUE])
@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_click_lands_on_the_voxel_that_is_seen(axes, signs, degrees, plane):
    centre = (4, 8, 3)
    viewer, controller = bright_controller(centre, affine_of(axes, signs, degrees, (2, 2, 2)), radius=0)
    show_plane(viewer, plane)
    image = viewer.layers[0]
    (bright,) = np.argwhere(np.asarray(image.data) > 0)  # what the viewer shows, found without any of our code
    world = image.data_to_world(bright)
    viewer.dims.point = world
    across = viewer.dims.order[0]
    seen = image._slice.image.raw  # the slice on the screen
    assert seen.max() > 0
    assert seen.size == image.data.size // image.data.shape[across]
    controller.choose(controller_object(controller))
    controller.clicks.add(controller.clicks.world_to_data(world))  # as napari does when somebody clicks
    (item,) = controller.items
    assert np.allclose(item.clicks[0][0], centre)
    assert item.clicks[0][1]
    assert np.allclose(controller.clicks.data, [bright])
    shown = np.asarray(controller.labels.data)
    assert shown[tuple(bright)] == item.id


def controller_object(controller: Controller) -> int:
    controller.new_object("lesion")
    return controller.items[-1].id


def test_a_flat_layer_is_refused():
    viewer = ViewerModel()
    with pytest.raises(GridError, match="2 dimensions"):
        Controller(viewer).open(viewer.add_image(np.zeros((4, 4))))


# --- files ------------------------------------------------------------------------------------------------------------


def read(path: Path) -> list[Layer]:
    reader = get_reader(str(path))
    assert reader is not None
    return [Layer.create(*layer) for layer in reader(str(path))]


@pytest.mark.parametrize("ending", ["nii.gz", "nii", "seg.nrrd", "nrrd", "mha"])
@pytest.mark.parametrize("degrees", [UPRIGHT, OBLIQUE])
def test_labels_are_written_and_read_with_names_on_the_same_grid(tmp_path, ending, degrees):
    labels = np.zeros(SHAPE, dtype=np.uint16)
    labels[2:5, 3:7, 1:9], labels[9:12, 3:7, 4:6] = 1, 260
    grid = Grid(SHAPE, affine_of((0, 1, 2), (-1, -1, 1), degrees))
    made = Segmentation(labels, grid, {1: "liver", 260: "my lesion"}, {1: (10, 200, 30), 260: (255, 0, 9)})
    layer = Layer.create(*labels_layer(made, "made"))
    layer.show_selected_label = True  # the colours of the others are hidden then
    path = tmp_path / f"out.{ending}"
    assert write_labels(str(path), *layer.as_layer_data_tuple()[:2]) == [str(path)]
    judge = read_segmentation(path)
    assert np.array_equal(judge.labels, labels)
    assert judge.grid.matches(grid)
    assert (judge.names, judge.colours) == (made.names, made.colours)
    (again,) = read(path)
    assert isinstance(again, Labels)
    assert np.array_equal(np.asarray(again.data), np.asarray(layer.data))
    assert dict(zip(again.features["index"], again.features["name"], strict=True))[260] == "my lesion"
    back = segmentation_of(again)
    assert back.grid.matches(grid)
    assert (back.names, back.colours) == (made.names, made.colours)


def test_a_ct_is_an_image_and_a_label_map_without_names_is_labels(tmp_path, example_ct):
    (image,) = read(example_ct)
    scan = read_scan(example_ct)
    assert image.name == "head_neck_ct"
    assert tuple(image.contrast_limits) == (-160, 240)
    assert np.array_equal(Placing.of_layer(image).to_scan(np.asarray(image.data)), scan.voxels)
    nib.save(nib.Nifti1Image(np.eye(5, dtype=np.uint8)[None] * 3, np.eye(4)), tmp_path / "mask.nii.gz")
    (mask,) = read(tmp_path / "mask.nii.gz")
    assert isinstance(mask, Labels)
    assert not may_be_labels(np.arange(1000).reshape(10, 10, 10))
    assert get_reader(str(tmp_path / "mask.tif")) is None
    assert get_reader(str(tmp_path / "no.nii.gz")) is None


def test_dicom_is_read_by_series_and_labels_go_back_as_seg(tmp_path):
    for number in (4, 7):
        folder = tmp_path / "study" / str(number)
        write_series(folder, phantom(AFFINE, SHAPE, FAR) + number, AFFINE, SeriesNumber=number)
    layers = read(tmp_path / "study")
    assert len(layers) == 2
    viewer = ViewerModel()
    image = viewer.add_layer(layers[1])
    labels = np.zeros(SHAPE, dtype=np.uint16)
    labels[3:9, 4:8, 2:6] = 1
    made = Segmentation(labels, Placing.of_layer(image).grid, {1: "liver"})
    layer = Layer.create(*labels_layer(made, "liver", **image.metadata["openvista"]))
    (path,) = write_labels(str(tmp_path / "liver.dcm"), *layer.as_layer_data_tuple()[:2])
    (again,) = read(Path(path))
    assert isinstance(again, Labels)
    back = segmentation_of(again)
    centre = back.grid.to_world(np.argwhere(back.labels > 0)).mean(axis=0)
    assert np.allclose(centre, made.grid.to_world(np.argwhere(labels > 0)).mean(axis=0), atol=1e-3)
    layer.metadata.clear()
    with pytest.raises(OpenVistaError, match="which DICOM series"):
        write_labels(str(tmp_path / "other.dcm"), *layer.as_layer_data_tuple()[:2])


# --- prompts ----------------------------------------------------------------------------------------------------------


def shown(controller: Controller) -> np.ndarray:
    """[X, Y, Z] what the labels layer shows."""
    return segmentation_of(controller.labels).labels


class Later:
    """Work that is done when the test says so, as a viewer's mouse goes on while a model computes."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []

    def run(self, *asked) -> None:
        self.asked.append(asked)

    def do(self) -> None:
        asked, self.asked = self.asked, []
        for each in asked:
            run_here(*each)


def place(controller: Controller, voxel) -> np.ndarray:
    return Placing.of_layer(controller.labels).layer_places(np.array(voxel))[0]


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


# --- engines ----------------------------------------------------------------------------------------------------------


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
