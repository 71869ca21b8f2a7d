"""``train#deterministic_transforms`` and ``train#random_transforms``: how scans are prepared and patches changed.

The training loop does both by itself. Each list holds one entry of ours; transforms of MONAI in the second one, which
the official ``train_continual.json`` puts there, are read for what they say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monai.transforms import Compose, InvertibleTransform, RandomizableTrait

from openvista.bundle.command import reporting
from openvista.errors import RecipeError
from openvista.train.augment import Augmentation


class Preparation(InvertibleTransform, RandomizableTrait):
    """``train#deterministic_transforms``: one entry, which says how scans are prepared.

    The training loop reads ``spacing``. MONAI calls it where an official file puts this list into
    ``validate#preprocessing``. For MONAI's ``CacheDataset`` it is random, or that would read all scans when it is made.

    Args:
        spacing: mm along R, A, S.
        axcodes: always RAS.
        steps: transforms that do the same.
    """

    @reporting()
    def __init__(self, spacing: Sequence[float], axcodes: str = "RAS", steps: Sequence[Any] = ()) -> None:
        super().__init__()
        if axcodes != "RAS":
            raise RecipeError(f"train#deterministic_transforms: axcodes {axcodes!r}: training turns scans to RAS")
        self.spacing = spacing
        self.steps = Compose(list(steps))

    def __call__(self, data: Mapping[str, Any]) -> Any:
        return self.steps(data)

    def inverse(self, data: Mapping[str, Any]) -> Any:
        """Of what can be undone."""
        return self.steps.inverse(data)


@dataclass(frozen=True)
class Augmenting(Augmentation):
    """``train#random_transforms``: one entry, the strengths of :class:`openvista.train.augment.Augmentation`.

    Not mirrored unless asked, as the official bundle.
    """

    mirror: bool = False

    @reporting()
    def __post_init__(self) -> None:
        super().__post_init__()


_BY_THE_LOOP = ("ClassesToIndicesd", "RandCropByLabelClassesd", "ResizeWithPadOrCropd", "Relabeld", "CastToTyped")
"""Patches around labels, their size, and class ids in the place of label values."""
_INTENSITY = (
    "RandScaleIntensityd",
    "RandShiftIntensityd",
    "RandGaussianNoised",
    "RandGaussianSmoothd",
    "RandSimulateLowResolutiond",
)
"""Changes that the loop has, each with the same chance."""


def augmenting_of(transforms: Sequence[Any], patch_size: Sequence[int]) -> Augmenting:
    """The entry of ours, or what transforms of MONAI say.

    Args:
        transforms: ``train#random_transforms``.
        patch_size: the id of this name.

    Raises:
        RecipeError: a transform that the loop cannot honour.
    """
    if len(transforms) == 1 and isinstance(transforms[0], Augmenting):
        return transforms[0]
    chances, zooms = [], []
    for number, transform in enumerate(transforms):
        name = type(transform).__name__
        if name in _INTENSITY:
            chances.append(float(transform.prob))
        elif name == "RandZoomd":
            zooms.append((float(transform.prob), _largest(transform.rand_zoom.max_zoom) - 1))
        elif name not in _BY_THE_LOOP:
            raise RecipeError(
                f"train#random_transforms#{number} is {name}, which the loop here has not: take it out, or write one "
                f"entry {Augmenting.__module__}.{Augmenting.__name__} with strengths"
            )
        elif name == "RandCropByLabelClassesd":
            _check_crop(transform.cropper.spatial_size, patch_size)
    share, zoom = max(zooms, default=(0.0, 0.0))
    return Augmenting(chance=max(chances, default=0.0), zoom=zoom, rotation_degrees=0, spatial_share=share)


def _check_crop(crop: Any, patch_size: Sequence[int]) -> None:
    sides = [crop] * 3 if isinstance(crop, int) else [int(side) for side in crop]
    if sides != [int(side) for side in patch_size]:
        raise RecipeError(
            f"train#random_transforms: spatial_size is {sides}, patch_size {list(patch_size)}: change patch_size alone"
        )


def _largest(zoom: float | Sequence[float]) -> float:
    return float(zoom) if isinstance(zoom, (int, float)) else float(max(zoom))
