"""Masks taken apart: eroded, dilated, reduced to their largest piece; and the supervoxels of a patch."""

from functools import cached_property

import torch
from torch import Tensor

from openvista.geometry.box import Box
from openvista.geometry.components import largest_component


def erode(mask_BXYZ: Tensor, side: int) -> Tensor:
    """Voxels whose cube of ``side``³ voxels lies in the mask. Beyond the border of the patch it goes on like inside."""
    for axis in (1, 2, 3):
        mask_BXYZ = _erode_along(mask_BXYZ, axis, side // 2)
    return mask_BXYZ


def dilate(mask_XYZ: Tensor, side: int) -> Tensor:
    """Voxels with one of the mask in their cube of ``side``³ voxels."""
    return ~erode(~mask_XYZ[None], side)[0]


def _erode_along(mask: Tensor, axis: int, reach: int) -> Tensor:
    length = mask.shape[axis]
    eroded = mask.clone()
    for step in range(1, min(reach, length - 1) + 1):
        eroded.narrow(axis, step, length - step).logical_and_(mask.narrow(axis, 0, length - step))
        eroded.narrow(axis, 0, length - step).logical_and_(mask.narrow(axis, step, length - step))
    return eroded


def largest_piece(mask_XYZ: Tensor, opening: int, touching_XYZ: Tensor | None = None) -> Tensor:
    """The mask opened by a cube of ``opening``³ voxels and reduced to its largest piece; empty if nothing is left.

    Pieces are told apart after the erosion, so that a thin bridge does not join two.

    Args:
        mask_XYZ: bool.
        opening: side of the cube, odd.
        touching_XYZ: only pieces that have a voxel in this mask count.
    """
    result_XYZ = torch.zeros_like(mask_XYZ)
    box = Box.around(mask_XYZ.cpu().numpy(), margin=opening // 2)
    if box is None:
        return result_XYZ
    eroded_XYZ = erode(mask_XYZ[box.slices()][None], opening)[0].cpu().numpy()
    near_XYZ = None
    if touching_XYZ is not None:  # once dilated again, a piece near it will touch it
        near_XYZ = dilate(touching_XYZ[box.slices()], opening).cpu().numpy()
    largest = largest_component(eroded_XYZ, near_XYZ)
    if largest is not None:
        largest_XYZ = torch.from_numpy(largest.on(Box.whole(box.shape), False)).to(mask_XYZ.device)
        result_XYZ[box.slices()] = dilate(largest_XYZ, opening)
    return result_XYZ


class Supervoxels:
    """The supervoxels of a patch and what they cover. Nothing is counted before it is asked for.

    Args:
        numbers_XYZ: number of the supervoxel of each voxel, 0 for air; any integer type.
        labels_XYZ: label values, 0 for unlabelled.
    """

    def __init__(self, numbers_XYZ: Tensor, labels_XYZ: Tensor) -> None:
        self._numbers_XYZ = numbers_XYZ
        self._labels_XYZ = labels_XYZ

    @cached_property
    def _index_XYZ(self) -> Tensor:
        """Numbers without gaps, 0 for air."""
        numbers_XYZ = self._numbers_XYZ.long()
        present = torch.bincount(numbers_XYZ.flatten()) > 0
        present[0] = True
        return (present.cumsum(0) - 1)[numbers_XYZ]

    @cached_property
    def numbers(self) -> Tensor:
        """One number for each supervoxel of the patch, [S]; they fit :meth:`mask` only."""
        return torch.arange(1, int(self._index_XYZ.max()) + 1, device=self._index_XYZ.device)

    def mask(self, number: int) -> Tensor:
        """Where a supervoxel is, bool [X, Y, Z]."""
        return self._index_XYZ == number

    def voxels_in(self, region_XYZ: Tensor) -> Tensor:
        """Voxels of every supervoxel in a region, [S]."""
        return torch.bincount(self._index_XYZ[region_XYZ], minlength=len(self.numbers) + 1)[1:]

    @cached_property
    def voxels(self) -> Tensor:
        """Voxels of every supervoxel, [S]."""
        return torch.bincount(self._index_XYZ.flatten(), minlength=len(self.numbers) + 1)[1:]

    @cached_property
    def unlabelled_XYZ(self) -> Tensor:
        """Where no structure is marked."""
        return self._labels_XYZ == 0

    @cached_property
    def unlabelled_voxels(self) -> Tensor:
        """Unlabelled voxels of every supervoxel, [S]."""
        return self.voxels_in(self.unlabelled_XYZ)
