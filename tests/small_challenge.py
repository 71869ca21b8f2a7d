"""Made-up cases of the CVPR 2025 challenge."""

import numpy as np

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
