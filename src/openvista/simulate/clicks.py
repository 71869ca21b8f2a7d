"""Simulated clicks on a training patch: the first ones on an object, and later ones where the answer was wrong.

The rules are those of the recipe (paper facts §6). Where the truth is not known nobody clicks. Every function works
on all objects of a patch at once and takes its randomness from a generator.

Shape letters: B objects, N clicks per object, X Y Z voxels of the patch, V the same in one row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from openvista.network.point_head import ClickLabel
from openvista.simulate.pieces import erode


@dataclass(frozen=True)
class Clicks:
    """Clicks on some objects, as the point head takes them.

    Attributes:
        places_BN3: int64, voxel of the patch.
        labels_BN: int64, a :class:`ClickLabel` each; an object with fewer clicks is filled up with PADDING at voxel 0.
    """

    places_BN3: Tensor
    labels_BN: Tensor

    def filled_up(self, count: int) -> "Clicks":
        """The same with padding up to ``count`` clicks per object."""
        missing = max(count - self.labels_BN.shape[1], 0)
        return Clicks(
            functional.pad(self.places_BN3, (0, 0, 0, missing)),
            functional.pad(self.labels_BN, (0, missing), value=ClickLabel.PADDING),
        )


def joined(parts: Sequence[Clicks]) -> Clicks:
    """Several clicks on the same objects as one."""
    return Clicks(
        torch.cat([part.places_BN3 for part in parts], dim=1), torch.cat([part.labels_BN for part in parts], dim=1)
    )


@dataclass(frozen=True)
class ClickRules:
    """Where and how often a simulated user clicks (paper facts §6).

    Attributes:
        border: clicks keep this many voxels away from the border of the patch.
        border_share: but never more than this share of the patch's side, so that a small window keeps its middle:
            10 voxels of 128, 4 of 48.
        erosion: side of the cube by which objects and errors are eroded; odd, 1 for none.
        most_positive, most_negative: at most this many first clicks of each kind on an object; how many is drawn.
        from_supervoxels: the objects come from supervoxel mixing. Then every object gets ``most_positive`` positive
            first clicks and no negative one, apart from the next two.
        piece_positive: positive first clicks on each further piece of an object that supervoxels put together.
        part_negative: negative first clicks on the rest of an organ of which only a part is asked.
    """

    border: int = 10
    border_share: float = 1 / 12
    erosion: int = 3
    most_positive: int = 3
    most_negative: int = 3
    from_supervoxels: bool = False
    piece_positive: int = 1
    part_negative: int = 1

    def margin(self, side: int) -> int:
        """Voxels to keep away from either end of an axis of ``side`` voxels."""
        return min(self.border, int(side * self.border_share))


def first_clicks(
    targets_BXYZ: Tensor,
    known_BXYZ: Tensor,
    special_B: Tensor,
    rules: ClickRules,
    random: torch.Generator,
    pieces_BXYZ: Tensor | None = None,
) -> Clicks:
    """The clicks with which a user begins.

    Positive clicks lie in the eroded object, away from all six sides of the patch; if that leaves nothing, anywhere in
    the object. Negative clicks lie anywhere outside the object with equal chance (paper facts name no erosion or border
    for them, so there is none). How many: min(3, floor|n| + 1) positive and min(3, floor|m|) negative ones, n and m
    drawn from N(0, 1) for each object. No voxel is clicked twice; what has too few voxels gets fewer clicks.

    Args:
        targets_BXYZ: bool truth per object.
        known_BXYZ: bool, where that truth is known.
        special_B: bool, objects of special classes: their clicks have labels of their own.
        rules: the constants.
        random: source of randomness.
        pieces_BXYZ: how supervoxels put the objects together (see ``ClickObjects``), so that the clicks show what is
            meant: every further piece gets a positive click of its own, the rest of an organ of which only a part is
            asked a negative one, both in the eroded piece if possible. None: every object is one piece.
    """
    if len(targets_BXYZ) == 0:
        return _no_clicks(targets_BXYZ)
    inside_BXYZ, outside_BXYZ = targets_BXYZ & known_BXYZ, known_BXYZ & ~targets_BXYZ
    counts_B, negatives_B = _first_counts(len(targets_BXYZ), rules, random)
    label_B = click_labels(special_B, positive=True)
    parts = []
    for area_BXYZ in _areas(inside_BXYZ, pieces_BXYZ):
        parts.append(_clicks_in(_inner(area_BXYZ, rules), counts_B, label_B, random, otherwise_BXYZ=area_BXYZ))
        counts_B = torch.full_like(counts_B, rules.piece_positive)
    negative_B = click_labels(special_B, positive=False)
    if pieces_BXYZ is None or pieces_BXYZ.min() >= 0:
        parts.append(_clicks_in(outside_BXYZ, negatives_B, negative_B, random))
        return joined(parts)
    rest_BXYZ = outside_BXYZ & (pieces_BXYZ < 0)
    is_part_B = rest_BXYZ.flatten(1).any(dim=1).to(negatives_B.device)
    parts.append(_clicks_in(outside_BXYZ, negatives_B.masked_fill(is_part_B, 0), negative_B, random))
    on_rest_B = is_part_B * rules.part_negative
    parts.append(_clicks_in(_inner(rest_BXYZ, rules), on_rest_B, negative_B, random, otherwise_BXYZ=rest_BXYZ))
    return joined(parts)


def further_clicks(
    predicted_BXYZ: Tensor,
    targets_BXYZ: Tensor,
    known_BXYZ: Tensor,
    special_B: Tensor,
    rules: ClickRules,
    random: torch.Generator,
) -> Clicks | None:
    """What a user adds on seeing the answer: per object one positive click on what is missing, one negative on what is
    too much, each in the eroded error and away from the border along X and Y. None if no object gets a click.

    Args:
        predicted_BXYZ: bool answer per object.
        targets_BXYZ, known_BXYZ, special_B, rules, random: as in :func:`first_clicks`.

    Returns:
        [B, 2] clicks, positive then negative; PADDING where there is no such error.
    """
    one_B = torch.ones(len(targets_BXYZ), dtype=torch.long)
    parts = []
    for wrong_BXYZ, positive in ((targets_BXYZ & ~predicted_BXYZ, True), (predicted_BXYZ & ~targets_BXYZ, False)):
        area_BXYZ = _away_from_border(erode(wrong_BXYZ & known_BXYZ, rules.erosion), rules, axes=2)
        parts.append(_clicks_in(area_BXYZ, one_B, click_labels(special_B, positive), random).filled_up(1))
    clicks = joined(parts)
    return None if (clicks.labels_BN == ClickLabel.PADDING).all() else clicks


def click_labels(special_B: Tensor, positive: bool) -> Tensor:
    """The label of such a click on each object, int64 [B]: special classes have labels of their own."""
    special, plain = (int(ClickLabel.of(positive, special)) for special in (True, False))
    return torch.where(special_B, special, plain)


def _no_clicks(objects_BXYZ: Tensor) -> Clicks:
    """No click on each object."""
    places = torch.zeros(len(objects_BXYZ), 0, 3, dtype=torch.long, device=objects_BXYZ.device)
    return Clicks(places, places[..., 0])


def _areas(inside_BXYZ: Tensor, pieces_BXYZ: Tensor | None) -> Iterator[Tensor]:
    """The places for positive clicks, piece by piece."""
    if pieces_BXYZ is None:
        yield inside_BXYZ
        return
    for piece in range(1, int(pieces_BXYZ.max()) + 1):
        yield inside_BXYZ & (pieces_BXYZ == piece)


def _inner(area_BXYZ: Tensor, rules: ClickRules) -> Tensor:
    """Where first clicks go if they can: the eroded area away from the border."""
    return _away_from_border(erode(area_BXYZ, rules.erosion), rules, axes=3)


def _away_from_border(mask_BXYZ: Tensor, rules: ClickRules, axes: int) -> Tensor:
    """The mask without the margin along the first ``axes`` of X, Y, Z."""
    kept = torch.zeros_like(mask_BXYZ)
    inner = [slice(None)]
    for axis, side in enumerate(mask_BXYZ.shape[1:]):
        margin = rules.margin(side) if axis < axes else 0
        inner.append(slice(margin, side - margin))
    kept[tuple(inner)] = mask_BXYZ[tuple(inner)]
    return kept


def _first_counts(objects: int, rules: ClickRules, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """How many positive and negative first clicks each object gets; [B], [B]."""
    if rules.from_supervoxels:
        return torch.full((objects,), rules.most_positive), torch.zeros(objects, dtype=torch.long)
    drawn_B2 = torch.randn(objects, 2, generator=random, device=random.device).abs().long()
    return (drawn_B2[:, 0] + 1).clamp(max=rules.most_positive), drawn_B2[:, 1].clamp(max=rules.most_negative)


def _clicks_in(
    area_BXYZ: Tensor,
    wanted_B: Tensor,
    label_B: Tensor,
    random: torch.Generator,
    otherwise_BXYZ: Tensor | None = None,
) -> Clicks:
    """Up to ``wanted_B`` different voxels of each area, as clicks with the label; [B, most of any object].

    Where an area is empty the voxels are those of ``otherwise_BXYZ``.
    """
    if not wanted_B.any():
        return _no_clicks(area_BXYZ)
    running_BV = _running(area_BXYZ)
    empty_B = running_BV[:, -1] == 0
    if otherwise_BXYZ is not None and empty_B.any():
        running_BV[empty_B] = _running(otherwise_BXYZ[empty_B])
    size_B = running_BV[:, -1].long()
    count_B = torch.minimum(wanted_B.to(size_B.device), size_B)
    most = int(count_B.max())
    ranks_BN = _different_ranks(size_B, count_B, most, random)
    # the voxel of rank r is the first at which r + 1 voxels have been counted
    voxels_BN = torch.searchsorted(running_BV, (ranks_BN + 1).int())
    is_click_BN = torch.arange(most, device=size_B.device) < count_B[:, None]
    voxels_BN = voxels_BN.where(is_click_BN, 0)
    places_BN3 = torch.stack(torch.unravel_index(voxels_BN, area_BXYZ.shape[1:]), dim=-1)
    return Clicks(places_BN3, label_B.to(size_B.device)[:, None].where(is_click_BN, int(ClickLabel.PADDING)))


def _running(area_BXYZ: Tensor) -> Tensor:
    """How many voxels of the area come up to each voxel; int32 [B, V]."""
    return area_BXYZ.flatten(1).cumsum(dim=1, dtype=torch.int32)


def _different_ranks(size_B: Tensor, count_B: Tensor, most: int, random: torch.Generator) -> Tensor:
    """For each object ``count`` different numbers below ``size``, every choice with the same chance (Floyd's way)."""
    chance_BN = torch.rand(len(size_B), most, generator=random, device=random.device, dtype=torch.float64)
    chance_BN = chance_BN.to(size_B.device)
    ranks_BN = torch.full_like(chance_BN, -1, dtype=torch.long)
    for step in range(most):
        last_B = (size_B - count_B + step).clamp(min=0)
        drawn_B = torch.minimum((chance_BN[:, step] * (last_B + 1)).long(), last_B)
        taken_B = (ranks_BN[:, :step] == drawn_B[:, None]).any(dim=1)
        ranks_BN[:, step] = torch.where(taken_B, last_B, drawn_B)
    return ranks_BN
