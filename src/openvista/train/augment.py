"""Patches for training: where to cut, how to bend, how to change the intensities.

The recipe's augmentation (paper facts §6): zoom, low-resolution simulation, smoothing, intensity scale, shift and
noise, each with its own chance; ours adds a rotation and a left-right mirror that swaps paired structures.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from openvista.train.cases import TrainingCase


@dataclass(frozen=True)
class Augmentation:
    """How strongly and how often patches are changed.

    Attributes:
        chance: probability of each intensity change.
        zoom: size factor is drawn from 1/(1+zoom)..1+zoom.
        rotation_degrees: largest rotation around each axis.
        mirror: mirror left and right half of the time (paired structures change their label).
        around_structure: share of patches centred on a voxel of a random annotated structure.
    """

    chance: float = 0.2
    zoom: float = 0.2
    rotation_degrees: float = 12.0
    mirror: bool = True
    around_structure: float = 0.8


@dataclass(frozen=True)
class Patch:
    """One training sample.

    Attributes:
        image_XYZ: float32, about 0..1.
        labels_XYZ: int64 label values.
        known_XYZ: per range-limited label value, where it is known (bool).
        annotated: label values that may be prompted.
        supervoxels_XYZ: int64 number of each voxel's supervoxel, 0 for air; ``None`` where the case has none.
    """

    image_XYZ: Tensor
    labels_XYZ: Tensor
    known_XYZ: dict[int, Tensor]
    annotated: tuple[int, ...]
    supervoxels_XYZ: Tensor | None = None


def draw_patch(
    case: TrainingCase,
    window: tuple[int, int, int],
    augmentation: Augmentation,
    mirrored: dict[int, int],
    random: torch.Generator,
) -> Patch:
    """Cut a random, changed patch out of a case.

    Args:
        case: the prepared scan.
        window: patch size in voxels.
        augmentation: strengths.
        mirrored: label value to the value it becomes in a mirror (right parotid to left parotid).
        random: source of all randomness.
    """
    mirror = augmentation.mirror and _uniform(random) < 0.5
    theta = _affine(case, window, augmentation, mirror, random)
    size = [1, 1, *reversed(window)]
    grid = functional.affine_grid(theta[None], size, align_corners=False)
    # grid_sample wants the last axis first: volumes go in transposed to Z Y X and come out the same way
    image = _sample(case.image_XYZ.float(), grid, "bilinear")
    labels = _sample(case.labels_XYZ.float(), grid, "nearest").long()
    known = {value: _sample(_known_volume(case, value), grid, "nearest") > 0.5 for value in case.known}
    annotated = case.annotated
    supervoxels = (
        None if case.supervoxels_XYZ is None else _sample(case.supervoxels_XYZ.float(), grid, "nearest").long()
    )
    if mirror:
        labels = _swap(labels, mirrored)
        known = {mirrored.get(value, value): mask for value, mask in known.items()}
        annotated = tuple(mirrored.get(value, value) for value in annotated)
    return Patch(change_intensity(image, augmentation, random), labels, known, annotated, supervoxels)


def centre_of_interest(case: TrainingCase, augmentation: Augmentation, random: torch.Generator) -> Tensor:
    """A voxel of a random annotated structure, or (sometimes) of anywhere in the scan; [3], float."""
    if case.annotated and _uniform(random) < augmentation.around_structure:
        value = case.annotated[int(torch.randint(len(case.annotated), (1,), generator=random))]
        voxels = (case.labels_XYZ == value).nonzero()
        if len(voxels):
            return voxels[int(torch.randint(len(voxels), (1,), generator=random))].float()
    return torch.rand(3, generator=random) * (torch.tensor(case.image_XYZ.shape) - 1)


def _affine(
    case: TrainingCase,
    window: tuple[int, int, int],
    augmentation: Augmentation,
    mirror: bool,
    random: torch.Generator,
) -> Tensor:
    """The 3×4 matrix for ``affine_grid``: normalised patch coordinates to normalised volume coordinates."""
    shape = torch.tensor(case.image_XYZ.shape, dtype=torch.float32)
    size = torch.tensor(window, dtype=torch.float32)
    jitter = (torch.rand(3, generator=random) - 0.5) * size * 0.5
    centre = centre_of_interest(case, augmentation, random) + jitter
    room = (shape - size).clamp(min=0) / 2
    middle = (shape - 1) / 2
    centre = torch.maximum(torch.minimum(centre, middle + room), middle - room)
    angles = [math.radians(augmentation.rotation_degrees) * (2 * _uniform(random) - 1) for _ in range(3)]
    low = math.log(1 / (1 + augmentation.zoom))
    zoom = math.exp(low + (math.log(1 + augmentation.zoom) - low) * _uniform(random))
    spacing = torch.tensor(case.spacing)
    linear = _rotation(angles) * spacing[None] / spacing[:, None] / zoom
    if mirror:
        linear = linear * torch.tensor([-1.0, 1.0, 1.0])
    # voxel offset from the patch centre -> voxel of the volume -> normalised (align_corners=False) coordinates
    matrix = torch.empty(3, 4)
    matrix[:, :3] = (2 / shape)[:, None] * linear * (size / 2)[None]
    matrix[:, 3] = (2 * centre + 1) / shape - 1
    return matrix


def _rotation(angles: list[float]) -> Tensor:
    rotation = torch.eye(3)
    for axis, angle in enumerate(angles):
        a, b = [other for other in range(3) if other != axis]
        step = torch.eye(3)
        step[a, a] = step[b, b] = math.cos(angle)
        step[a, b], step[b, a] = -math.sin(angle), math.sin(angle)
        rotation = rotation @ step
    return rotation


def _sample(volume_XYZ: Tensor, grid: Tensor, mode: str) -> Tensor:
    flipped = volume_XYZ.permute(2, 1, 0)[None, None]
    sampled = functional.grid_sample(flipped, grid, mode=mode, padding_mode="zeros", align_corners=False)
    return sampled[0, 0].permute(2, 1, 0)


def _known_volume(case: TrainingCase, value: int) -> Tensor:
    known = case.known[value]
    volume = torch.zeros(case.image_XYZ.shape)
    volume.narrow(known.axis, known.first, known.last - known.first + 1).fill_(1)
    return volume


def _swap(labels: Tensor, mirrored: dict[int, int]) -> Tensor:
    table = torch.arange(256)
    for value, other in mirrored.items():
        table[value] = other
    return table[labels]


def change_intensity(image_XYZ: Tensor, augmentation: Augmentation, random: torch.Generator) -> Tensor:
    """Low resolution, smoothing, scale, shift, noise: each with the recipe's chance; float32 [X, Y, Z]."""
    image = image_XYZ[None, None]
    chance = augmentation.chance
    if _uniform(random) < chance:
        factor = 0.3 + 0.7 * _uniform(random)
        small = functional.interpolate(image, scale_factor=factor, mode="nearest")
        image = functional.interpolate(small, size=image.shape[2:], mode="trilinear")
    if _uniform(random) < chance:
        image = _smooth(image, 0.5 + 0.5 * _uniform(random))
    if _uniform(random) < chance:
        image = image * (1 + 0.1 * (2 * _uniform(random) - 1))
    if _uniform(random) < chance:
        image = image + 0.1 * (2 * _uniform(random) - 1)
    if _uniform(random) < chance:
        image = image + 0.02 * torch.randn(image.shape, generator=random)
    return image[0, 0]


def _smooth(image: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing, sigma in voxels, axis by axis."""
    offsets = torch.arange(-3, 4, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    for axis in range(3):
        shape, padding = [1, 1, 1, 1, 1], [0, 0, 0]
        shape[axis + 2], padding[axis] = 7, 3
        image = functional.conv3d(image, kernel.view(shape), padding=padding)
    return image


def _uniform(random: torch.Generator) -> float:
    return float(torch.rand(1, generator=random))
