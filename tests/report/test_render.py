"""The 3D view: what is in front hides what is behind, colours are the structures', thin volumes work."""

import numpy as np
import pytest

from openvista.report.render import render_labels

COLOURS = {1: (255, 0, 0), 2: (0, 255, 0)}


def dominant(image: np.ndarray) -> tuple[int, int, int]:
    """How many pixels are clearly red, green, blue."""
    best = image.argmax(axis=2)
    strong = image.max(axis=2) > image.mean(axis=2) + 0.15
    return tuple(int((strong & (best == channel)).sum()) for channel in range(3))  # type: ignore[return-value]


def test_the_front_hides_the_back() -> None:
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[5:35, 30:34, 5:35] = 1  # in front: larger A
    labels[15:25, 8:12, 15:25] = 2
    red, green, _ = dominant(render_labels(labels, None, (3, 3, 3), COLOURS))
    assert red > 1000
    assert green == 0
    red, green, _ = dominant(render_labels(labels[:, ::-1], None, (3, 3, 3), COLOURS))
    assert green > 100


def test_right_is_on_the_left_and_head_is_up() -> None:
    labels = np.zeros((60, 30, 60), np.uint8)
    labels[45:55, 10:20, 45:55] = 1  # right of the patient, high
    labels[5:15, 10:20, 5:15] = 2
    image = render_labels(labels, None, (2, 2, 2), COLOURS)
    red = np.argwhere(image[..., 0] > 0.2).mean(axis=0)
    green = np.argwhere(image[..., 1] > 0.2).mean(axis=0)
    assert red[0] < green[0] - 10
    assert red[1] < green[1] - 10


def test_the_scan_is_a_faint_backdrop() -> None:
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[12:18, 12:18, 12:18] = 1
    hu = np.full(labels.shape, 100, np.int16)
    image = render_labels(labels, hu, (3, 3, 3), COLOURS)
    backdrop = image[image[..., 0] < 0.33]
    assert 0.1 < backdrop.max() < 0.5
    assert render_labels(labels, np.full_like(hu, -1000), (3, 3, 3), COLOURS)[0].max() == 0


@pytest.mark.parametrize("shape", [(1, 1, 1), (20, 20, 1), (1, 20, 20), (20, 1, 20), (60, 3, 2)])
@pytest.mark.parametrize("labelled", [True, False])
def test_any_shape_gives_an_image(shape: tuple[int, int, int], labelled: bool) -> None:
    labels = np.full(shape, int(labelled), np.uint8)
    image = render_labels(labels, np.zeros(shape, np.int16), (1, 1, 5), COLOURS)
    assert image.ndim == 3
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image.max() <= 1
    assert (dominant(image)[0] > 0) == labelled
