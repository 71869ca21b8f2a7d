"""Closed surfaces of masks, made of triangles: smooth, and as large as the voxels.

Voxels become a surface in three steps, all of them in voxel units:

1. The mask is blurred. Where that would lose a voxel, or fill a gap (thin plates, single voxels), the distance of the
   blurred value from one half is mirrored: every voxel stays inside, every gap outside.
2. Marching cubes (Lewiner et al., Journal of Graphics Tools 8, 2003; scikit-image) at one half.
3. Vertices move along their normals, all of one connected piece by the same length, until the piece encloses the
   volume of its voxels.

An affine scales all volumes alike, so what holds in voxels holds in mm, for any spacing and obliquity.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from openvista.errors import needs_extra
from openvista.geometry.box import Crop
from openvista.geometry.grid import Grid

_SIGMA = 1.0
"""Voxels. Normals of a ball of 30 voxels' radius are then off by 5 degrees (rms); marching cubes alone: 21."""
_MARGIN = 0.03
"""Least distance of a value from one half: vertices keep apart from voxel centres."""
_PAD = 2
"""Voxels around the mask, so that a structure cut by the border is closed half a voxel beyond it."""
_TOLERANCE = 1e-4
_MOST_STEPS = 12
_LONGEST_STEP = 0.25
"""Voxels that vertices may move at once: further, and normals of small pieces would no longer be theirs."""


@dataclass(frozen=True, eq=False)
class Triangles:
    """A closed surface.

    Attributes:
        vertices: [N, 3] float64 points.
        faces: [M, 3] int32 indices of vertices, counter-clockwise seen from outside.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]

    @property
    def volume(self) -> float:
        """What it encloses, in the cube of its points' unit (divergence theorem)."""
        return float(_volumes(self, _crosses(self)).sum())

    def moved(self, affine: NDArray[np.float64]) -> "Triangles":
        """The surface after a 4x4 affine; its faces turned round where the affine mirrors."""
        mirrored = np.linalg.det(affine[:3, :3]) < 0
        faces = np.ascontiguousarray(self.faces[:, ::-1]) if mirrored else self.faces
        return Triangles(self.vertices @ affine[:3, :3].T + affine[:3, 3], faces)

    def normals(self) -> NDArray[np.float64]:
        """[N, 3] unit vectors that point outwards at the vertices."""
        sums = _vertex_sums(self, _crosses(self))
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), (0.0, 0.0, 1.0))

    def face_normals(self) -> NDArray[np.float64]:
        """[M, 3] unit vectors that point outwards from the faces; 0 where a face has no area."""
        crosses = _crosses(self)
        lengths = np.linalg.norm(crosses, axis=1, keepdims=True)
        return np.asarray(crosses / np.where(lengths > 0, lengths, 1))

    def inflated(self, piece: NDArray[np.integer[Any]], volumes: NDArray[np.float64]) -> "Triangles":
        """The surface with its vertices moved along their normals until each piece has its volume.

        Args:
            piece: [N] which piece a vertex belongs to.
            volumes: of each piece.
        """
        surface = self
        for _ in range(_MOST_STEPS):
            crosses = _crosses(surface)
            missing = volumes - np.bincount(piece[surface.faces[:, 0]], _volumes(surface, crosses), len(volumes))
            if np.all(np.abs(missing) <= _TOLERANCE * volumes):
                break
            sums = _vertex_sums(surface, crosses)
            lengths = np.linalg.norm(sums, axis=1)
            slope = np.bincount(piece, lengths / 6, len(volumes))  # dV over a step along all normals: sums are 6 dV/dx
            step = np.clip(missing / np.where(slope > 0, slope, 1), -_LONGEST_STEP, _LONGEST_STEP)
            unit = sums / np.where(lengths > 0, lengths, 1)[:, None]
            surface = Triangles(surface.vertices + step[piece][:, None] * unit, surface.faces)
        return surface


def surface_of(mask: Crop, grid: Grid) -> Triangles:
    """The surface of a mask in mm, RAS+: closed, normals outwards, as large as the voxels (to 0.1 %).

    Voxels that touch by a face, an edge or a corner are one piece; each piece has its own volume.

    Args:
        mask: True or False on some voxels of the grid, True at least once.
        grid: where the voxels lie.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    with needs_extra("scikit-image", "mesh", "make surfaces"):
        from skimage.measure import marching_cubes
    padded = np.pad(np.ascontiguousarray(mask.values_XYZ), _PAD)
    vertices, faces, _, _ = marching_cubes(_heights(padded), 0.0)
    raw = Triangles(vertices.astype(np.float64), np.ascontiguousarray(faces[:, ::-1], dtype=np.int32))
    labels, count = ndimage.label(padded, np.ones((3, 3, 3)))
    volumes = np.bincount(labels.reshape(-1), minlength=count + 1).astype(np.float64)
    volumes[0] = 0
    to_grid = np.eye(4)
    to_grid[:3, 3] = np.array(mask.start) - _PAD
    return raw.inflated(_pieces(raw, labels), volumes).moved(grid.affine @ to_grid)


def _heights(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Positive in the mask's voxels, negative in the others, and as smooth as that allows."""
    heights: NDArray[np.float32] = ndimage.gaussian_filter(
        mask.astype(np.float32), _SIGMA, mode="constant", truncate=3.0
    )
    heights -= 0.5
    np.abs(heights, out=heights)
    np.maximum(heights, _MARGIN, out=heights)
    # not quite the same on both sides: with a tie on the diagonals of a face, the two cells beside it could disagree
    np.multiply(heights, -0.95, out=heights, where=~mask)
    return heights


def _pieces(surface: Triangles, labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """[N] the label of the voxels that each vertex lies on, from the voxels at the two ends of its edge."""
    low, high = np.floor(surface.vertices).astype(np.intp), np.ceil(surface.vertices).astype(np.intp)
    found = np.maximum(labels[tuple(low.T)], labels[tuple(high.T)])
    if found.all():
        return np.asarray(found)
    # a vertex in the middle of a cell belongs to whatever its triangles hang together with
    count, edges = len(found), surface.faces[:, :2]
    links = sparse.coo_matrix((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), shape=(count, count))
    _, group = connected_components(links, directed=False)
    best = np.zeros(int(group.max()) + 1, dtype=found.dtype)
    np.maximum.at(best, group, found)
    return best[group]


def _crosses(surface: Triangles) -> NDArray[np.float64]:
    """[M, 3] normals of the faces, as long as twice their areas."""
    a, b, c = (surface.vertices[surface.faces[:, corner]] for corner in range(3))
    return np.cross(b - a, c - a)


def _volumes(surface: Triangles, crosses: NDArray[np.float64]) -> NDArray[np.float64]:
    """[M] signed volumes between the faces and the origin."""
    return np.asarray(np.einsum("ij,ij->i", surface.vertices[surface.faces[:, 0]], crosses) / 6)


def _vertex_sums(surface: Triangles, of_faces: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N, 3] sums of what the faces around each vertex have."""
    sums = np.zeros_like(surface.vertices)
    for corner in range(3):
        for axis in range(3):
            sums[:, axis] += np.bincount(surface.faces[:, corner], of_faces[:, axis], len(sums))
    return sums
