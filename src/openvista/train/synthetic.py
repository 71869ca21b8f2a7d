"""Label maps among the data of a run: their drawings become patches to learn from and cases to validate on."""

from collections.abc import Sequence

import torch

from openvista.network import Preset
from openvista.prepare import scale_hu
from openvista.synthesis.patch_source import POOL, LabelledDrawing, PatchSource
from openvista.synthesis.warp import Raster
from openvista.train.augment import Patch, change_intensity
from openvista.train.cases import TrainingCase, some_voxels
from openvista.train.recipe import Recipe, Source


class SyntheticCases:
    """Patches and held-out cases drawn from one source's label maps.

    Args:
        source: with label maps.
        recipe: gives seed, augmentation, and whether pieces are clicked on.
        preset: gives window, spacing and HU window.

    Attributes:
        share: of all patches that this source draws.
        annotated: class ids that some map knows.

    Raises:
        ScanError: a map cannot be read, or cannot be drawn.
        RecipeError: no map is left to learn from, or no map shows a class.
    """

    def __init__(self, source: Source, recipe: Recipe, preset: Preset) -> None:
        self._patches = PatchSource(
            source.label_maps, source.structures, source.synthesis, Raster(preset.window, preset.spacing), recipe.seed
        )
        self._recipe = recipe
        self._preset = preset
        self.share = source.synthesis.share
        self.annotated = frozenset(class_id for known in self._patches.annotated for class_id in known)

    def patch(self, step: int, index: int, random: torch.Generator) -> tuple[str, Patch]:
        """Name and patch of an index of a step; of one that several steps share, with intensities of its own."""
        drawing = self._patches.patch(step, index, int(torch.randint(POOL, (1,), generator=random)))
        image_XYZ = scale_hu(drawing.hu_XYZ.float(), self._preset.hu_window)
        return drawing.name, Patch(
            change_intensity(image_XYZ, self._recipe.augmentation, random),
            drawing.classes_XYZ.long(),
            {},
            drawing.annotated,
            drawing.pieces_XYZ.long() if self._recipe.supervoxels else None,
        )

    def held_out(self) -> list[TrainingCase]:
        """Whole drawings of the maps that are held out."""
        return [self._case(drawing) for drawing in self._patches.held_out(self._preset.spacing)]

    def _case(self, drawing: LabelledDrawing) -> TrainingCase:
        return TrainingCase(
            name=drawing.name,
            image_XYZ=scale_hu(drawing.hu_XYZ.float(), self._preset.hu_window).half(),
            labels_XYZ=drawing.classes_XYZ,
            annotated=drawing.annotated,
            known={},
            spacing=self._preset.spacing,
            places={one: some_voxels(drawing.classes_XYZ == one) for one in drawing.annotated},
        )


def choose_source(sources: Sequence[SyntheticCases], random: torch.Generator) -> SyntheticCases | None:
    """The source that draws the next patch; ``None`` for the data lists. Draws nothing where there is no source."""
    left = 1.0
    for source in sources:
        if float(torch.rand(1, generator=random)) * left < source.share:
            return source
        left -= source.share
    return None
