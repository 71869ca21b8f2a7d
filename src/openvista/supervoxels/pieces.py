"""Every supervoxel in one piece: scattered voxels join a neighbour.

Shape letters: R pieces (row 0 stands for outside), C channels.
"""

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.errors import needs_extra
from openvista.supervoxels.planes import count_voxels, look_up

Ints = NDArray[np.integer]


def connect(labels_XYZ: Ints, features_XYZC: NDArray[np.float32], smallest: int) -> NDArray[np.int32]:
    """Split labels into face-connected pieces; those below ``smallest`` voxels join the neighbour they are most like.

    The smallest go first, and what joined counts from then on. A piece without neighbours stays if it is large enough,
    otherwise it becomes 0.

    Returns:
        Pieces 1, 2, ... in the order of their first voxel, 0 where the labels are 0.
    """
    pieces_XYZ, sizes_R = split(labels_XYZ)
    channels = features_XYZC.shape[-1]
    flat = pieces_XYZ.ravel()
    sums_RC: NDArray[np.float64] = np.stack(
        [np.bincount(flat, features_XYZC[..., channel].ravel(), len(sizes_R)) for channel in range(channels)], 1
    )
    joining = _Joining(sizes_R.astype(np.float64), sums_RC, neighbours(pieces_XYZ, len(sizes_R)))
    joining.run(smallest)
    return _renumber(joining.roots(), joining.sizes_R >= smallest, pieces_XYZ)


def keep_together(labels_XYZ: Ints) -> NDArray[np.int32]:
    """Keep the largest piece of each label; other pieces join the neighbour with the longest common border.

    For labels that were in one piece each, before they were brought to another grid and cut by a mask. A stray piece
    without neighbours becomes 0.
    """
    pieces_XYZ, sizes_R = split(labels_XYZ)
    label_of_R = np.zeros(len(sizes_R), np.int64)
    for pieces, labels in zip(pieces_XYZ, labels_XYZ, strict=True):
        label_of_R[pieces] = labels
    order = np.lexsort((-sizes_R, label_of_R))  # by label, the largest first
    stray_R = np.ones(len(sizes_R), bool)
    stray_R[order[np.unique(label_of_R[order], return_index=True)[1]]] = False
    touching = neighbours(pieces_XYZ, len(sizes_R))
    roots_R = np.arange(len(sizes_R))
    kept_R = ~stray_R
    for piece in np.flatnonzero(stray_R):
        stay = {other: faces for other, faces in touching[piece].items() if not stray_R[other]}
        if stay:
            roots_R[piece] = min(stay, key=lambda other: (-stay[other], other))
    return _renumber(roots_R, kept_R, pieces_XYZ)


def split(labels_XYZ: Ints) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Face-connected pieces of equal label, numbered from 1 in the order of their first voxel, and their sizes [R]."""
    with needs_extra("scikit-image", "supervoxels", "make supervoxels"):
        from skimage.measure import label
    pieces_XYZ = label(labels_XYZ, connectivity=1, background=0).astype(np.int32)
    sizes_R = count_voxels(pieces_XYZ, int(pieces_XYZ.max()) + 1)
    sizes_R[0] = 0
    return pieces_XYZ, sizes_R


def neighbours(pieces_XYZ: Ints, count: int) -> list[dict[int, int]]:
    """For each piece the pieces that it touches, with the number of common voxel faces; 0 touches nothing."""
    touching: list[dict[int, int]] = [{} for _ in range(count)]
    for axis in range(3):
        rows = np.moveaxis(pieces_XYZ, axis, 0)
        border = (rows[:-1] != rows[1:]) & (rows[:-1] > 0) & (rows[1:] > 0)
        one, other = rows[:-1][border].astype(np.int64), rows[1:][border].astype(np.int64)
        pairs, faces = np.unique(np.minimum(one, other) * count + np.maximum(one, other), return_counts=True)
        for pair, number in zip(pairs.tolist(), faces.tolist(), strict=True):
            low, high = divmod(pair, count)
            touching[low][high] = touching[low].get(high, 0) + number
            touching[high][low] = touching[high].get(low, 0) + number
    return touching


@dataclass(eq=False)
class _Joining:
    """Pieces that join one after another."""

    sizes_R: NDArray[np.float64]
    sums_RC: NDArray[np.float64]
    touching: list[dict[int, int]]

    def __post_init__(self) -> None:
        self.parent = list(range(len(self.sizes_R)))

    def run(self, smallest: int) -> None:
        """Join every piece below ``smallest`` voxels, in order of size, then of number."""
        queue = [(float(size), piece) for piece, size in enumerate(self.sizes_R) if 0 < size < smallest]
        heapq.heapify(queue)
        while queue:
            size, piece = heapq.heappop(queue)
            if self.parent[piece] != piece or self.sizes_R[piece] != size or not self.touching[piece]:
                continue  # it has joined another, or has grown and waits further back, or is alone
            into = self._most_alike(piece)
            self._join(piece, into)
            if self.sizes_R[into] < smallest:
                heapq.heappush(queue, (float(self.sizes_R[into]), into))

    def roots(self) -> NDArray[np.int64]:
        """The piece that each piece ended in, [R]."""
        roots_R = np.array(self.parent)
        while not np.array_equal(roots_R, roots_R[roots_R]):
            roots_R = roots_R[roots_R]
        return roots_R

    def _most_alike(self, piece: int) -> int:
        others = np.array(sorted(self.touching[piece]))
        means = self.sums_RC[others] / self.sizes_R[others, None]
        distances = ((means - self.sums_RC[piece] / self.sizes_R[piece]) ** 2).sum(1)
        return int(others[np.argmin(distances)])

    def _join(self, piece: int, into: int) -> None:
        self.parent[piece] = into
        self.sizes_R[into] += self.sizes_R[piece]
        self.sizes_R[piece] = 0
        self.sums_RC[into] += self.sums_RC[piece]
        for other, faces in self.touching[piece].items():
            del self.touching[other][piece]
            if other != into:
                self.touching[other][into] = self.touching[other].get(into, 0) + faces
                self.touching[into][other] = self.touching[into].get(other, 0) + faces
        self.touching[piece] = {}


def _renumber(roots_R: NDArray[np.int64], kept_R: NDArray[np.bool_], pieces_XYZ: Ints) -> NDArray[np.int32]:
    """Final numbers without gaps, in the order of the first voxel; pieces whose root is not kept become 0."""
    roots_R = np.where(kept_R[roots_R], roots_R, 0)
    roots_R[0] = 0
    found, first = np.unique(roots_R, return_index=True)
    found, first = found[found > 0], first[found > 0]
    numbers_R = np.zeros(len(roots_R), np.int32)
    numbers_R[found[np.argsort(first)]] = np.arange(1, len(found) + 1)
    return np.asarray(look_up(numbers_R[roots_R], pieces_XYZ))
