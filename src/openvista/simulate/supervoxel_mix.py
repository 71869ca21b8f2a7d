"""Objects beyond the labelled classes, made with supervoxels, so that clicks are learned on anything.

Five variants (paper facts §6): the class as it is; one part of the organ; the organ with a neighbouring supervoxel; a
supervoxel of the unlabelled rest; a supervoxel merged with the organs it covers. Special classes always stay as they
are, and so does a class for which the patch holds no fitting supervoxel.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor

from openvista.errors import RecipeError
from openvista.simulate.class_prompts import drawn
from openvista.simulate.pieces import Supervoxels, dilate, largest_piece
from openvista.simulate.truth import ClickObject, PatchTruth

VARIANTS = ("plain", "part", "neighbour", "unlabelled", "merged")


@dataclass(frozen=True)
class SupervoxelMixing:
    """How often a chosen class becomes which object, and what makes a supervoxel fit (paper facts §6).

    Attributes:
        plain, part, neighbour, unlabelled, merged: share of each variant; together 1.
        opening: supervoxels are opened by a cube of this side, then their largest piece is taken.
        least_part, most_part: share of the organ that a part may be.
        least_neighbour: smallest neighbour, as a share of the organ's size.
        least_merged: an organ is merged when more than this share of it is covered.
        smallest: voxels an unlabelled or merged supervoxel has at least.
        smallest_share: but never more than this share of the patch, so that small windows have some: 20³ of 128³,
            432 of 48³.
        unseen: how often a part or an organ with a neighbour is marked zero-shot; the last two variants always are.
        unseen_plain: how often the class as it is is marked zero-shot, so that clicks find it when nobody names it.
            Ours: in the paper it never is.
        without_class: unlabelled supervoxels to ask for in a patch with no class to click on. Ours: it is how scans
            without any annotation take part.

    Raises:
        RecipeError: the shares are negative or do not sum to 1, or ``unseen`` or ``unseen_plain`` is not a share.
    """

    plain: float = 0.6
    part: float = 0.1
    neighbour: float = 0.1
    unlabelled: float = 0.1
    merged: float = 0.1
    opening: int = 3
    least_part: float = 0.1
    most_part: float = 0.9
    least_neighbour: float = 0.1
    least_merged: float = 0.1
    smallest: int = 20**3
    smallest_share: float = 1 / 256
    unseen: float = 0.5
    unseen_plain: float = 0.0
    without_class: int = 1

    def __post_init__(self) -> None:
        shares = [getattr(self, variant) for variant in VARIANTS]
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise RecipeError(
                f"shares of supervoxel mixing {dict(zip(VARIANTS, shares, strict=True))} sum to {sum(shares):g}: "
                "give shares from 0 to 1 that sum to 1"
            )
        for key in ("unseen", "unseen_plain"):
            if not 0 <= getattr(self, key) <= 1:
                raise RecipeError(f"supervoxel mixing: {key} is {getattr(self, key):g}: give a share from 0 to 1")

    def variant(self, chance: float) -> str:
        """The variant for a number drawn evenly from 0..1."""
        for variant in VARIANTS:
            chance -= getattr(self, variant)
            if chance < 0:
                return variant
        return "plain"

    def least_voxels(self, patch_voxels: int) -> int:
        """Voxels a supervoxel has at least to be an object of its own."""
        return min(self.smallest, int(patch_voxels * self.smallest_share))


def mixed_objects(
    truth: PatchTruth,
    chosen: Sequence[int],
    supervoxels_XYZ: Tensor,
    mixing: SupervoxelMixing,
    random: torch.Generator,
) -> list[ClickObject]:
    """An object for each chosen class: the class, or what a variant makes of it.

    Args:
        truth: of the patch.
        chosen: label values.
        supervoxels_XYZ: number of the supervoxel of each voxel, 0 for air; any integer type.
        mixing: how often, and which fit.
        random: source of randomness.
    """
    mixer = _Mixer(truth, Supervoxels(supervoxels_XYZ, truth.labels_XYZ), mixing, random)
    if not chosen:
        return list(islice(mixer.unlabelled(), mixing.without_class))
    return [mixer.mixed(value) for value in chosen]


@dataclass(frozen=True, eq=False)
class _Mixer:
    """Makes the variants of one patch; what several of them need is counted once."""

    truth: PatchTruth
    supervoxels: Supervoxels
    mixing: SupervoxelMixing
    random: torch.Generator

    def mixed(self, value: int) -> ClickObject:
        plain = self.truth.object_of(value)
        if plain.special:
            return plain
        # where it is 0 nothing is drawn, so that a seed gives the objects that it gave before there was this key
        if self.mixing.unseen_plain > 0 and self._chance() < self.mixing.unseen_plain:
            plain = replace(plain, unseen=True)
        variant = self.mixing.variant(self._chance())
        if variant == "part":
            return self.part(value) or plain
        if variant == "neighbour":
            return self.neighbour(value) or plain
        if variant == "unlabelled":
            return next(self.unlabelled(), plain)
        if variant == "merged":
            return self.merged() or plain
        return plain

    def part(self, value: int) -> ClickObject | None:
        """What a supervoxel shares with the organ, or the organ without it."""
        organ_XYZ = self.truth.target(value) & self.truth.known(value)
        size = int(organ_XYZ.sum())
        for number in self._shuffled(self.supervoxels.voxels_in(organ_XYZ) >= self.mixing.least_part * size):
            piece_XYZ = largest_piece(self.supervoxels.mask(number) & organ_XYZ, self.mixing.opening)
            if not self.mixing.least_part * size <= int(piece_XYZ.sum()) <= self.mixing.most_part * size:
                continue
            rest_XYZ = organ_XYZ & ~piece_XYZ
            target_XYZ, other_XYZ = (piece_XYZ, rest_XYZ) if self._chance() < 0.5 else (rest_XYZ, piece_XYZ)
            pieces_XYZ = target_XYZ.to(torch.int8) - other_XYZ.to(torch.int8)
            return ClickObject(target_XYZ, self.truth.known(value), pieces_XYZ, unseen=self._unseen())
        return None

    def neighbour(self, value: int) -> ClickObject | None:
        """The organ and the unlabelled piece of a supervoxel that touches it."""
        organ_XYZ = self.truth.target(value)
        least = self.mixing.least_neighbour * int(organ_XYZ.sum())
        around_XYZ = dilate(organ_XYZ, 3)
        touches = self.supervoxels.voxels_in(around_XYZ & self.supervoxels.unlabelled_XYZ) > 0
        for number in self._shuffled(touches & (self.supervoxels.unlabelled_voxels >= least)):
            free_XYZ = self.supervoxels.mask(number) & self.supervoxels.unlabelled_XYZ
            piece_XYZ = largest_piece(free_XYZ, self.mixing.opening, touching_XYZ=around_XYZ)
            if not 0 < int(piece_XYZ.sum()) >= least:
                continue
            return ClickObject(
                organ_XYZ | piece_XYZ,
                self.truth.known(value) | piece_XYZ,
                organ_XYZ.to(torch.int8) + 2 * piece_XYZ.to(torch.int8),
                unseen=self._unseen(),
            )
        return None

    def unlabelled(self) -> Iterator[ClickObject]:
        """Large supervoxels of the unlabelled rest, each once, in random order."""
        least = self.mixing.least_voxels(self.truth.labels_XYZ.numel())
        for number in self._shuffled(self.supervoxels.unlabelled_voxels >= least):
            free_XYZ = self.supervoxels.mask(number) & self.supervoxels.unlabelled_XYZ
            piece_XYZ = largest_piece(free_XYZ, self.mixing.opening)
            if int(piece_XYZ.sum()) >= least:
                everywhere_XYZ = torch.ones_like(piece_XYZ)
                yield ClickObject(piece_XYZ, everywhere_XYZ, piece_XYZ.to(torch.int8), unseen=True)

    def merged(self) -> ClickObject | None:
        """A large supervoxel and every organ of which it covers enough; at least one."""
        least = self.mixing.least_voxels(self.truth.labels_XYZ.numel())
        for number in self._shuffled(self._covering & (self.supervoxels.voxels >= least)):
            whole_XYZ = largest_piece(self.supervoxels.mask(number), self.mixing.opening)
            covered = [
                value
                for value, organ_XYZ in self._organs.items()
                if int((whole_XYZ & organ_XYZ).sum()) > self._least_covered[value]
            ]
            if not covered or int(whole_XYZ.sum()) < least:
                continue
            target_XYZ, known_XYZ, pieces_XYZ = whole_XYZ, torch.ones_like(whole_XYZ), whole_XYZ.to(torch.int8)
            for piece, value in enumerate(covered, start=2):
                target_XYZ = target_XYZ | self._organs[value]
                known_XYZ = known_XYZ & self.truth.known(value)
                pieces_XYZ = pieces_XYZ.masked_fill(whole_XYZ & self._organs[value], piece)
            if not (pieces_XYZ == 1).any():  # all of it lies in organs: the first of them is the main piece
                pieces_XYZ = (pieces_XYZ - 1).clamp(min=0)
            return ClickObject(target_XYZ, known_XYZ | whole_XYZ, pieces_XYZ, unseen=True)
        return None

    @cached_property
    def _organs(self) -> dict[int, Tensor]:
        """Truth of every annotated class of the patch by label value."""
        return {value: self.truth.target(value) for value in self.truth.clickable()}

    @cached_property
    def _least_covered(self) -> dict[int, float]:
        """How many voxels of each organ must be exceeded to merge it."""
        return {value: self.mixing.least_merged * int(organ_XYZ.sum()) for value, organ_XYZ in self._organs.items()}

    @cached_property
    def _covering(self) -> Tensor:
        """Supervoxels that may be merged with an organ. Opening only takes away, so none is missed. [S]"""
        covering = torch.zeros_like(self.supervoxels.numbers, dtype=torch.bool)
        for value, organ_XYZ in self._organs.items():
            covering |= self.supervoxels.voxels_in(organ_XYZ) > self._least_covered[value]
        return covering

    def _shuffled(self, fits: Tensor) -> list[int]:
        """Numbers of the supervoxels that fit, in random order."""
        numbers = self.supervoxels.numbers[fits].tolist()
        return drawn(numbers, len(numbers), self.random)

    def _unseen(self) -> bool:
        return self._chance() < self.mixing.unseen

    def _chance(self) -> float:
        return float(torch.rand((), generator=self.random, device=self.random.device))
