"""Scans made up for supervoxels."""

import numpy as np

from openvista.geometry.grid import Grid
from openvista.scan import Scan


def ball(shape, centre, radius, spacing=(1, 1, 1)):
    """A mask [X, Y, Z]; centre in voxels, radius in mm."""
    place = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return (((place - np.array(centre)) * np.array(spacing)) ** 2).sum(-1) <= radius**2


def make_phantom(shape=(40, 36, 30), spacing=(4.0, 4.0, 3.0), seed=0, noise=15.0):
    """A body of fat, with a bright and a dark ball in it, in air; R A S axes."""
    voxels = np.full(shape, -1000.0)
    middle = np.array(shape) / 2 - 0.5
    reach = min(n * s for n, s in zip(shape, spacing, strict=True)) / 2
    voxels[ball(shape, middle, 0.92 * reach, spacing)] = -90
    offset = np.array([0.4 * reach / spacing[0], 0, 0])
    voxels[ball(shape, middle + offset, 0.3 * reach, spacing)] = 150
    voxels[ball(shape, middle - offset, 0.3 * reach, spacing)] = 20
    voxels += np.random.default_rng(seed).normal(0, noise, shape)
    return Scan(voxels.astype(np.int16), Grid(shape, np.diag([*spacing, 1.0])), "phantom")
