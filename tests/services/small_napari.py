"""A viewer of napari without Qt, with a made-up scan and a network that sees brightness."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Layer

from napari_openvista.controller import Controller, run_here
from napari_openvista.engine import Engine, LocalSession
from napari_openvista.layers import scan_layer, segmentation_of
from napari_openvista.placing import Placing
from napari_openvista.reader import get_reader
from openvista.geometry.grid import Grid
from openvista.scan import Scan
from small_sessions import bright_scan, bright_session

SHAPE = (16, 15, 13)
OBLIQUE, UPRIGHT = (9.0, -14.0, 20.0), (0.0, 0.0, 0.0)

ORIENTATIONS = [((0, 1, 2), (1, 1, 1)), ((0, 1, 2), (-1, -1, 1)), ((2, 0, 1), (-1, 1, -1)), ((1, 2, 0), (1, -1, -1))]


def controller_object(controller: Controller) -> int:
    controller.new_object("lesion")
    return controller.items[-1].id


def affine_of(axes=(0, 1, 2), signs=(1, 1, 1), degrees=UPRIGHT, spacing=(0.8, 1.1, 2.5)) -> np.ndarray:
    """Array axis i runs along world axis ``axes[i]``, turned by some degrees."""
    directions = np.zeros((3, 3))
    directions[list(axes), range(3)] = signs
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ directions @ np.diag(spacing)
    affine[:3, 3] = (-40, 22, 9)
    return affine


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


def read(path: Path) -> list[Layer]:
    reader = get_reader(str(path))
    assert reader is not None
    return [Layer.create(*layer) for layer in reader(str(path))]


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
