"""Made-up cases of the CVPR 2025 challenge."""

import numpy as np

from openvista.network import Preset
from small_sessions import TWO_BRANCHES, BrightRegions, bright_session

PRESET = TWO_BRANCHES


class BrightModel:
    """Opens sessions with the network that sees brightness, always the same one, so that its work can be counted."""

    def __init__(self):
        self.bright = BrightRegions()

    def open(self, scan, profile):
        return bright_session(scan, self.bright, profile)


def box_of(mask_ZYX):
    """The smallest box of a mask, as a challenge file holds it."""
    z, y, x = (np.flatnonzero(mask_ZYX.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    middle = int(z[len(z) // 2])
    y, x = (np.flatnonzero(mask_ZYX[middle].any(axis=axis)) for axis in (1, 0))
    values = {"z_min": z[0], "z_max": z[-1], "z_mid": middle, "z_mid_y_min": y[0], "z_mid_y_max": y[-1]}
    return values | {"z_mid_x_min": x[0], "z_mid_x_max": x[-1]}


def empty(shape=(9, 9, 9)):
    return np.zeros(shape, bool)


def block(first, stop, shape=(9, 9, 9)):
    """A mask with one block, half-open."""
    mask = empty(shape)
    mask[tuple(slice(a, b) for a, b in zip(first, stop, strict=True))] = True
    return mask


def two_balls(shape=(20, 24, 28)):
    """Label map [Z, Y, X] with two balls apart from each other."""
    places = np.stack(np.indices(shape), -1)
    labels = np.zeros(shape, np.uint8)
    for value, centre in ((1, (9, 8, 8)), (2, (10, 15, 20))):
        labels[((places - centre) ** 2).sum(-1) <= 16] = value
    return labels


def write_case(path, labels_ZYX, boxes=True, spacing=(2.0, 2.0, 2.0), **arrays):
    """A case whose image is bright where the label map says something."""
    image = np.where(labels_ZYX > 0, 200, 20).astype(np.uint8)
    if boxes:
        arrays["boxes"] = [box_of(labels_ZYX == value) for value in np.unique(labels_ZYX)[1:]]
    np.savez_compressed(path, imgs=image, spacing=np.array(spacing), **arrays)
    return path


TINY = Preset(
    name="tiny",
    filters=8,
    blocks_per_level=(1, 1, 1),
    window=(24, 24, 24),
    spacing=(2.0, 2.0, 2.0),
    hu_window=(-500.0, 900.0),
    class_rows=140,
)
"""A network that learns to click in seconds."""


def write_capped_objects(path, seed):
    """A noisy image with a bright and a dark object; each has a paler cap towards higher rows that is no part of it."""
    random = np.random.default_rng(seed)
    image = random.normal(90, 5, (28, 24, 32))
    labels = np.zeros(image.shape, np.uint8)
    places = np.stack(np.indices(image.shape), -1)
    for value, (centre, radii, level) in enumerate((((9, 12, 8), (5, 9, 5), 70), ((19, 12, 22), (5, 8, 8), -60)), 1):
        middle = np.array(centre) + random.integers(-1, 2, 3)
        inside = (((places - middle) / radii) ** 2).sum(-1) < 1
        lower = inside & (places[..., 1] <= middle[1])
        labels[lower] = value
        image[lower] += level
        image[inside & ~lower] += 0.2 * level
    return save_case(path, image.clip(0, 255).astype(np.uint8), labels, (1.0, 2.0, 3.0))


def turned_copy(path, target, axes, flipped):
    """The same case stored with other axes, some of them reversed."""
    with np.load(path, allow_pickle=True) as stored:
        image, labels = (np.flip(stored[key].transpose(axes), flipped) for key in ("imgs", "gts"))
        return save_case(target, image, labels, stored["spacing"][list(axes)])


def save_case(path, image, labels, spacing):
    boxes = [box_of(labels == value) for value in np.unique(labels)[1:]]
    np.savez_compressed(path, imgs=image, gts=labels, spacing=np.array(spacing), boxes=boxes)
    return path
