"""Patches for training: where to cut, how to zoom and rotate, how to change the intensities.

The recipe's augmentation (paper facts §6): zoom, low-resolution simulation, smoothing, intensity scale, shift and
noise, each with its own chance; ours adds a rotation and a left-right mirror that swaps paired structures.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from openvista.errors import RecipeError
from openvista.geometry.grid import Axis3
from openvista.train.cases import TrainingCase


@dataclass(frozen=True)
class Augmentation:
    """How strongly and how often patches are changed.

    Attributes:
        chance: probability of each intensity change.
        spatial_share: share of the patches that are zoomed and rotated, and so interpolated; the others are cut out
            along the voxels, as inference sees them.
        zoom: size factor is drawn from 1/(1+zoom)..1+zoom.
        rotation_degrees: largest rotation around each axis.
        mirror: mirror left and right half of the time (paired structures change their label).
        flip: chance, for each of the three axes, that a patch is flipped along it; labels stay as they are.
        quarter_turn: chance that a patch is turned by one to three quarters in one of the three planes.
        around_structure: share of patches centred on a voxel of a random annotated structure that the scan shows.

    Raises:
        RecipeError: what is a share or a chance is not from 0 to 1, or ``zoom`` is negative.
    """

    chance: float = 0.2
    spatial_share: float = 1.0
    zoom: float = 0.2
    rotation_degrees: float = 12.0
    mirror: bool = True
    around_structure: float = 0.8
    flip: float = 0.0
    quarter_turn: float = 0.0

    def __post_init__(self) -> None:
        for key in ("chance", "spatial_share", "around_structure", "flip", "quarter_turn"):
            if not 0 <= getattr(self, key) <= 1:
                raise RecipeError(f"augmentation: {key} is {getattr(self, key):g}: give a share from 0 to 1")
        if self.zoom < 0:
            raise RecipeError(
                f"augmentation: zoom is {self.zoom:g}: give 0 or more; 0.2 is up to a fifth larger or smaller"
            )


@dataclass(frozen=True)
class Patch:
    """A patch cut out of a case and augmented.

    Attributes:
        image_XYZ: float32, about 0..1.
        labels_XYZ: int64 class ids.
        known_XYZ: per range-limited class id, where it is known (bool): in its range, and where anything is marked.
        annotated: class ids that may be prompted.
        supervoxels_XYZ: int64 number of each voxel's supervoxel, 0 for air; ``None`` where the case has none.
        pseudo: those of ``annotated`` that come from a pseudo-label.
    """

    image_XYZ: Tensor
    labels_XYZ: Tensor
    known_XYZ: dict[int, Tensor]
    annotated: tuple[int, ...]
    supervoxels_XYZ: Tensor | None = None
    pseudo: frozenset[int] = frozenset()


def draw_patch(
    case: TrainingCase,
    window: Axis3,
    augmentation: Augmentation,
    mirrored: Mapping[int, int],
    random: torch.Generator,
    repeats: Mapping[int, float] | None = None,
) -> Patch:
    """Cut a random patch out of a case and augment it.

    Args:
        case: the prepared scan.
        window: patch size in voxels.
        augmentation: strengths.
        mirrored: class id to the id it becomes in a mirror (right parotid to left parotid).
        random: source of all randomness.
        repeats: class id to how many times as often as others the patch is centred on it; 1 without an entry.
    """
    mirror = augmentation.mirror and _uniform(random) < 0.5
    cut = _Cut(_voxel_map(case, window, augmentation, mirror, random, repeats), window, case.image_XYZ.shape)
    image = cut.sample(case.image_XYZ, "bilinear")
    labels = cut.sample(case.labels_XYZ, "nearest").long()
    marked = labels > 0  # also beyond a class's range: what is marked as another structure is not this one
    known = {class_id: (cut.sample(_known_volume(case, class_id), "nearest") > 0.5) | marked for class_id in case.known}
    supervoxels = None if case.supervoxels_XYZ is None else cut.sample(case.supervoxels_XYZ, "nearest").long()
    annotated, pseudo = case.annotated, case.pseudo
    if mirror:
        labels = _swapped(labels, mirrored)
        known = {mirrored.get(class_id, class_id): mask for class_id, mask in known.items()}
        annotated = tuple(mirrored.get(class_id, class_id) for class_id in annotated)
        pseudo = frozenset(mirrored.get(class_id, class_id) for class_id in pseudo)
    image = change_intensity(image, augmentation, random)
    return Patch(image, labels, known, annotated, supervoxels, pseudo)


def centre_of_interest(
    case: TrainingCase, augmentation: Augmentation, random: torch.Generator, repeats: Mapping[int, float] | None = None
) -> Tensor:
    """A voxel of a random annotated class, or sometimes any voxel of the scan; [3], float."""
    present = {class_id: places for class_id in case.annotated if len(places := case.places_of(class_id))}
    if present and _uniform(random) < augmentation.around_structure:
        if repeats:
            times = torch.tensor([repeats.get(class_id, 1.0) for class_id in present])
            chosen = int(torch.multinomial(times, 1, generator=random))
        else:
            chosen = int(torch.randint(len(present), (1,), generator=random))
        places = list(present.values())[chosen]
        return places[int(torch.randint(len(places), (1,), generator=random))].float()
    return torch.rand(3, generator=random) * (torch.tensor(case.image_XYZ.shape) - 1)


def _voxel_map(
    case: TrainingCase,
    window: Axis3,
    augmentation: Augmentation,
    mirror: bool,
    random: torch.Generator,
    repeats: Mapping[int, float] | None,
) -> Tensor:
    """[3, 4]: offset of a voxel from the middle of the patch, in voxels, to the voxel of the volume."""
    shape = torch.tensor(case.image_XYZ.shape, dtype=torch.float32)
    turn = _turn(augmentation, random)
    size = turn.abs() @ torch.tensor(window, dtype=torch.float32)  # of the patch as it lies in the volume
    jitter = (torch.rand(3, generator=random) - 0.5) * size * 0.5
    centre = centre_of_interest(case, augmentation, random, repeats) + jitter
    room = (shape - size).clamp(min=0) / 2
    middle = (shape - 1) / 2
    centre = torch.maximum(torch.minimum(centre, middle + room), middle - room)
    if augmentation.spatial_share < 1 and _uniform(random) >= augmentation.spatial_share:
        first = (centre - (size - 1) / 2).round()
        return torch.cat((_mirrored(torch.eye(3), mirror) @ turn, (first + (size - 1) / 2)[:, None]), dim=1)
    angles = [math.radians(augmentation.rotation_degrees) * (2 * _uniform(random) - 1) for _ in range(3)]
    low = math.log(1 / (1 + augmentation.zoom))
    zoom = math.exp(low + (math.log(1 + augmentation.zoom) - low) * _uniform(random))
    spacing = torch.tensor(case.spacing)
    linear = _rotation(angles) * spacing[None] / spacing[:, None] / zoom
    return torch.cat((_mirrored(linear, mirror) @ turn, centre[:, None]), dim=1)


def _mirrored(linear: Tensor, mirror: bool) -> Tensor:
    """A linear map of offsets in voxels, [3, 3], that also swaps left and right if ``mirror``."""
    return linear * torch.tensor([-1.0, 1.0, 1.0]) if mirror else linear


def _turn(augmentation: Augmentation, random: torch.Generator) -> Tensor:
    """Flips and quarter turns as a map of offsets in voxels, [3, 3]; nothing is drawn where there are none."""
    turn = torch.eye(3)
    if augmentation.flip > 0:
        turn = torch.diag(1 - 2 * (torch.rand(3, generator=random) < augmentation.flip).float())
    if augmentation.quarter_turn > 0 and _uniform(random) < augmentation.quarter_turn:
        axis, quarters = (int(torch.randint(1, 4, (1,), generator=random)) for _ in range(2))
        a, b = [other for other in range(3) if other != axis - 1]
        quarter = torch.eye(3)
        quarter[a, a] = quarter[b, b] = 0
        quarter[a, b], quarter[b, a] = -1, 1
        turn = turn @ torch.linalg.matrix_power(quarter, quarters)
    return turn


class _Cut:
    """Reads a patch out of volumes of one shape; only the box around the patch is ever touched.

    Args:
        voxel_map: [3, 4], see :func:`_voxel_map`.
        window: voxels of the patch.
        shape: voxels of the volumes.
    """

    def __init__(self, voxel_map: Tensor, window: Axis3, shape: torch.Size) -> None:
        linear, centre = voxel_map[:, :3], voxel_map[:, 3]
        half = torch.tensor([(side - 1) / 2 for side in window])
        reach = linear.abs() @ half + 1.5  # neighbours that interpolation needs, and rounding
        first = (centre - reach).floor().clamp(min=0)
        last = torch.minimum((centre + reach).ceil(), torch.tensor(shape) - 1.0)
        self.box = tuple(slice(int(a), int(b) + 1) for a, b in zip(first, last, strict=True))
        size = last - first + 1
        # offset from the patch centre -> voxel of the box -> normalised coordinates (align_corners=False)
        theta = torch.empty(3, 4)
        theta[:, :3] = (2 / size)[:, None] * linear * (torch.tensor(window) / 2)[None]
        theta[:, 3] = (2 * (centre - first) + 1) / size - 1
        # grid_sample wants the last axis first: volumes go in transposed to Z Y X and come out the same way
        self.grid = functional.affine_grid(theta[None], [1, 1, *reversed(window)], align_corners=False)

    def sample(self, volume_XYZ: Tensor, mode: str) -> Tensor:
        """The patch, float32; 0 outside the volume."""
        flipped = volume_XYZ[self.box].float().permute(2, 1, 0)[None, None]
        sampled = functional.grid_sample(flipped, self.grid, mode=mode, padding_mode="zeros", align_corners=False)
        return sampled[0, 0].permute(2, 1, 0)


def _rotation(angles: list[float]) -> Tensor:
    rotation = torch.eye(3)
    for axis, angle in enumerate(angles):
        a, b = [other for other in range(3) if other != axis]
        step = torch.eye(3)
        step[a, a] = step[b, b] = math.cos(angle)
        step[a, b], step[b, a] = -math.sin(angle), math.sin(angle)
        rotation = rotation @ step
    return rotation


def _known_volume(case: TrainingCase, class_id: int) -> Tensor:
    """Where a class is known, expanded from a single line of voxels: it takes no more memory than that."""
    known = case.known[class_id]
    line = torch.zeros(case.image_XYZ.shape[known.axis])
    line[known.first : known.last + 1] = 1
    shape = [1, 1, 1]
    shape[known.axis] = len(line)
    return line.view(shape).expand(case.image_XYZ.shape)


def _swapped(labels_XYZ: Tensor, mirrored: Mapping[int, int]) -> Tensor:
    table = torch.arange(max(int(labels_XYZ.max()), *mirrored, 0) + 1)
    for class_id, other in mirrored.items():
        table[class_id] = other
    return table[labels_XYZ]


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
