"""The plugin for napari without Qt: manifest, places, reader and writer."""

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from serving import AFFINE

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Labels, Layer
from small_napari import (
    OBLIQUE,
    ORIENTATIONS,
    SHAPE,
    UPRIGHT,
    affine_of,
    bright_controller,
    controller_object,
    random_scan,
    read,
)

from napari_openvista.controller import Controller
from napari_openvista.layers import labels_layer, scan_layer, segmentation_of
from napari_openvista.placing import Placing
from napari_openvista.planes import show_plane
from napari_openvista.reader import get_reader, may_be_labels
from napari_openvista.writer import write_labels
from openvista.errors import GridError, OpenVistaError
from openvista.geometry.grid import Grid
from openvista.io import read_scan, read_segmentation
from openvista.scan import Segmentation
from small_dicom import FAR, phantom, write_series


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


def test_a_flat_layer_is_refused():
    viewer = ViewerModel()
    with pytest.raises(GridError, match="2 dimensions"):
        Controller(viewer).open(viewer.add_image(np.zeros((4, 4))))


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
