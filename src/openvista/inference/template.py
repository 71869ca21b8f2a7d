"""A brain onto a template, and what was found in it back: what is done around NV-Segment-CTMR for MRI_BRAIN.

ANTs finds the affine, as in the original (extra ``brain``). The steps before it, such as skull-stripping, are other
tools' (docs/ctmr.md); those after it are a change of grid.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.errors import GridError, needs_extra
from openvista.geometry.grid import Grid
from openvista.inference.target import nearest_on, scan_on
from openvista.scan import Scan, Segmentation

logger = logging.getLogger(__name__)

_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Between our RAS+ mm and the LPS+ mm of ITK, both ways."""
_STRAIGHT = 1e-3


@dataclass(frozen=True, eq=False)
class OnTemplate:
    """A scan on the grid of a template.

    Attributes:
        scan: its values interpolated, 0 beyond its ends.
        original: the scan itself.
        affine: 4x4, mm of the template to mm of the original, both RAS+.
    """

    scan: Scan
    original: Scan
    affine: NDArray[np.float64]

    def back(self, result: Segmentation) -> Segmentation:
        """What was found on the template's grid, on the original's: each voxel gets what its nearest one has.

        Raises:
            GridError: the two have nothing in common.
        """
        there = Grid(result.grid.shape, self.affine @ result.grid.affine)
        provenance = {**result.provenance, "template_affine": self.affine.tolist()}
        moved = nearest_on(replace(result, grid=there, scan=None, provenance=provenance), self.original.grid)
        return replace(moved, scan=self.original)


def onto_template(scan: Scan, template: Scan, affine: NDArray[np.float64] | None = None) -> OnTemplate:
    """Bring a scan onto the grid of a template.

    Args:
        scan: of a brain without skull, as the template is.
        template: such as LUMIR's.
        affine: see :class:`OnTemplate`; found by :func:`find_affine` if it is not given.

    Raises:
        MissingExtraError: the affine has to be found, and ANTs is not installed.
        GridError: axes of a grid are not at right angles.
    """
    affine = find_affine(scan, template) if affine is None else affine
    there = Grid(template.grid.shape, affine @ template.grid.affine)
    return OnTemplate(replace(scan_on(scan, there, 0), grid=template.grid), scan, affine)


def find_affine(scan: Scan, template: Scan) -> NDArray[np.float64]:
    """The affine [4, 4] from mm of the template to mm of the scan (RAS+) that makes their values most alike.

    By ANTs' affine registration with mean squares, the metric of the original's brain script (ctmr facts §5).

    Raises:
        MissingExtraError: ANTs is not installed.
        GridError: axes of a grid are not at right angles.
    """
    with needs_extra("ants", "brain", "align a brain to a template"):
        import ants

    with TemporaryDirectory() as folder:
        found = ants.registration(
            fixed=_image(ants, template),
            moving=_image(ants, scan),
            type_of_transform="Affine",
            aff_metric="meansquares",
            outprefix=f"{Path(folder)}/",
            random_seed=1,
        )
        transform = ants.read_transform(found["fwdtransforms"][0])
    affine = ras_affine(transform.parameters, transform.fixed_parameters)
    logger.info("%s: aligned to %s, volume changed by a factor %.3f", scan.name, template.name, np.linalg.det(affine))
    return affine


def ras_affine(parameters: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """An ITK affine transform as a matrix [4, 4] for RAS+ mm.

    Args:
        parameters: 3x3 matrix, row by row, and translation, for LPS+ mm.
        centre: that the matrix turns around, LPS+ mm.
    """
    matrix, translation = np.reshape(parameters[:9], (3, 3)), np.asarray(parameters[9:12])
    lps = np.eye(4)
    lps[:3, :3], lps[:3, 3] = matrix, translation + centre - matrix @ centre
    return np.asarray(_FLIP @ lps @ _FLIP)


def _image(ants: Any, scan: Scan) -> Any:
    """A scan as ANTs has it."""
    affine = _FLIP @ scan.grid.affine
    directions = affine[:3, :3] / scan.grid.spacing
    if not np.allclose(directions.T @ directions, np.eye(3), atol=_STRAIGHT):
        raise GridError(f"{scan.name}: its axes are not at right angles, which ANTs cannot read; resample it first")
    return ants.from_numpy(
        np.ascontiguousarray(scan.voxels, np.float32),
        origin=affine[:3, 3].tolist(),
        spacing=list(scan.grid.spacing),
        direction=directions,
    )
