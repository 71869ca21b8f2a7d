"""Synthetic CT as files: scans and label maps that anybody may pass on as far as the label maps' licence goes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openvista.anatomy.catalogue import LAST_OFFICIAL_ID
from openvista.geometry.grid import Float3, Grid, triple
from openvista.scan import Scan, Segmentation
from openvista.synthesis.anatomy import Atlas, make_atlas
from openvista.synthesis.draws import Draws
from openvista.synthesis.maps import NamedMap
from openvista.synthesis.synthetic_ct import Drawing, Variety, draw_whole

TEACHING = Variety(strength=0.5, mirror=0.0, slab=0.0, cut=0.0)
"""Whole bodies with their sides as they were, less far from the maps than what a network learns from."""


@dataclass(frozen=True)
class TeachingSet:
    """What to draw.

    Attributes:
        count: drawings, of the maps in turn.
        spacing: mm per voxel.
        variety: how much drawings differ from the maps and from each other.
        seed: of everything that is drawn.
    """

    count: int = 4
    spacing: Float3 = (2.0, 2.0, 2.0)
    variety: Variety = TEACHING
    seed: int = 0


def draw_set(maps: Sequence[NamedMap], wanted: TeachingSet) -> Iterator[Segmentation]:
    """Draw one synthetic CT after the other, each as the segmentation of its scan.

    A label is the official id of its structure, or an id above 132 that it has in all drawings of these maps.

    Args:
        maps: the bodies.
        wanted: how many, and how.
    """
    atlas = make_atlas(maps)
    ids = label_ids(atlas)
    for number in range(wanted.count):
        body = number % len(maps)
        drawing = draw_whole(atlas, body, wanted.spacing, wanted.variety, Draws(wanted.seed, number))
        yield _segmentation(atlas, ids, drawing, wanted, number)


def label_ids(atlas: Atlas) -> list[int]:
    """The label of every structure by its number; 0 for number 0."""
    own = (number for number, structure in enumerate(atlas.structures) if number and structure.class_id is None)
    above = {number: LAST_OFFICIAL_ID + 1 + place for place, number in enumerate(own)}
    return [0] + [one.class_id or above[number] for number, one in enumerate(atlas.structures) if number]


def _segmentation(atlas: Atlas, ids: list[int], drawing: Drawing, wanted: TeachingSet, number: int) -> Segmentation:
    dtype = np.uint8 if max(ids) <= np.iinfo(np.uint8).max else np.uint16
    labels = np.array(ids, dtype)[drawing.numbers_XYZ.numpy()]
    grid = Grid(triple(labels.shape), np.diag([*wanted.spacing, 1.0]))
    name = f"{drawing.body}_synthetic_{wanted.seed}_{number:03d}"
    scan = Scan(drawing.hu_XYZ.round().to(dtype=drawing.pieces_XYZ.dtype).numpy(), grid, name)
    present = set(np.unique(labels).tolist()) - {0}
    names = {ids[place]: one.name for place, one in enumerate(atlas.structures) if ids[place] in present}
    return Segmentation(
        labels,
        grid,
        names,
        scan=scan,
        provenance={
            "synthetic": True,
            "label_map": drawing.body,
            "phase": drawing.phase,
            "seed": wanted.seed,
            "number": number,
            "variety": wanted.variety,
        },
    )


def targets(folder: Path, scan: str) -> tuple[Path, Path]:
    """Where a drawing's CT and label map go."""
    return folder / f"{scan}.nii.gz", folder / f"{scan}_seg.nii.gz"
