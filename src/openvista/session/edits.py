"""Edits of a mask, as plain values: what was asked for, in voxels and mm of the scan. Needs no torch.

An edit decides voxels of an object: inside or not. What it decides is certain, like a click: later clicks change other
voxels only, later edits win. What was drawn (:class:`Brush`, :class:`Polygon`, :class:`Voxels`) decides all voxels of
its region; the others decide those that they change. :mod:`openvista.session.editing` carries them out.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from openvista.errors import PromptError
from openvista.geometry.box import Crop
from openvista.geometry.grid import triple

MAX_POINTS = 4096
"""Of one stroke or polygon."""
MAX_RADIUS_MM = 100.0
MAX_MM = 50.0
"""Of smoothing, growing and shrinking."""
MAX_RUNS = 100_000
"""Of one set of voxels; a larger one comes in parts."""

_Coordinate = Annotated[float, Field(allow_inf_nan=False)]
_Voxel = Annotated[
    tuple[_Coordinate, _Coordinate, _Coordinate], Field(description="x, y, z; 0 is the centre of the first voxel")
]
_Axis = Annotated[int, Field(ge=0, le=2, description="array axis that the slice is perpendicular to")]
_Slice = Annotated[int, Field(ge=0, description="index along that axis")]
_Interval = Annotated[tuple[int, int], Field(description="first voxel, and the one after the last")]
_Add = Annotated[bool, Field(description="true: what is drawn belongs to the object; false: it does not")]


class _Edit(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Brush(_Edit):
    """Paint, or erase with ``add`` false: every voxel whose centre lies within the radius of the centre of a voxel that
    the stroke goes through."""

    kind: Literal["brush"] = "brush"
    points: Annotated[
        tuple[_Voxel, ...],
        Field(min_length=1, max_length=MAX_POINTS, description="what the stroke went through; lines between count"),
    ]
    radius_mm: Annotated[float, Field(ge=0, le=MAX_RADIUS_MM, allow_inf_nan=False)]
    axis: Annotated[int, Field(ge=0, le=2)] | None = Field(
        None, description="a disk on one slice, perpendicular to this array axis; default: a sphere"
    )
    hu: tuple[_Coordinate, _Coordinate] | None = Field(
        None, description="only voxels with HU from the first to the second value, both included"
    )
    add: _Add = True


class Polygon(_Edit):
    """Fill a closed contour on a slice, or clear it with ``add`` false. Voxels count by centres (even-odd rule)."""

    kind: Literal["polygon"] = "polygon"
    axis: _Axis
    slice: _Slice
    points: Annotated[
        tuple[tuple[_Coordinate, _Coordinate], ...],
        Field(min_length=3, max_length=MAX_POINTS, description="in the two other axes, in rising order of axis"),
    ]
    add: _Add = True


class Voxels(_Edit):
    """Add the voxels of a mask that another program drew, or clear them with ``add`` false."""

    kind: Literal["voxels"] = "voxels"
    box: Annotated[
        tuple[_Interval, _Interval, _Interval], Field(description="half-open intervals along x, y, z that hold them")
    ]
    runs: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...],
        Field(
            min_length=2,
            max_length=MAX_RUNS,
            description="how many voxels of the box are not drawn, drawn, not drawn, ..., with x fastest; all of them",
        ),
    ]
    add: _Add = True

    @classmethod
    def of(cls, drawn: Crop, add: bool = True) -> "Voxels":
        """From the True voxels of a crop [X, Y, Z].

        Raises:
            PromptError: it has no voxel that is True, or more than :data:`MAX_RUNS` runs.
        """
        drawn = drawn.cropped(drawn.values_XYZ)
        flat = drawn.values_XYZ.ravel(order="F")
        starts = np.flatnonzero(np.diff(flat, prepend=False))
        if not 0 < len(starts) < MAX_RUNS:
            raise PromptError(f"{int(flat.sum())} voxels in {len(starts)} runs: draw some, and many in parts")
        runs = np.diff(starts, prepend=0, append=flat.size)
        sides = zip(drawn.box.start, drawn.box.stop, strict=True)
        return cls(box=triple(sides), runs=tuple(runs.tolist()), add=add)


class FillHoles(_Edit):
    """Add what the object encloses. Holes end at faces of voxels, not at their corners."""

    kind: Literal["fill_holes"] = "fill_holes"
    axis: Annotated[int, Field(ge=0, le=2)] | None = Field(
        None, description="slice by slice, perpendicular to this array axis; default: in space"
    )


class KeepPiece(_Edit):
    """Keep one connected piece: at a voxel; by default those with positive clicks, without clicks the largest."""

    kind: Literal["keep_piece"] = "keep_piece"
    voxel: _Voxel | None = None


class Smooth(_Edit):
    """Smooth the surface: a Gaussian with this standard deviation, cut at one half."""

    kind: Literal["smooth"] = "smooth"
    mm: Annotated[float, Field(gt=0, le=MAX_MM, allow_inf_nan=False)]


class Margin(_Edit):
    """Grow by so many mm, or shrink if negative."""

    kind: Literal["margin"] = "margin"
    mm: Annotated[float, Field(ge=-MAX_MM, le=MAX_MM, allow_inf_nan=False)]


class Interpolate(_Edit):
    """Fill the empty slices between drawn ones, by their distance maps; or all between two given slices."""

    kind: Literal["interpolate"] = "interpolate"
    axis: _Axis
    between: tuple[_Slice, _Slice] | None = Field(
        None, description="two slices: what lies between them is replaced; default: every run of empty slices"
    )


class CopySlice(_Edit):
    """Put what the object has on one slice on the next one (``by`` 1) or on the one before (-1), in place of what it
    has there."""

    kind: Literal["copy_slice"] = "copy_slice"
    axis: _Axis
    slice: _Slice
    by: Literal[1, -1] = 1


class Combine(_Edit):
    """Add another object's voxels, take them away, or keep only what both have. The other object stays as it is."""

    kind: Literal["combine"] = "combine"
    operation: Literal["union", "subtract", "intersect"]
    other: int | Annotated[str, Field(min_length=1, max_length=120)] = Field(description="id or name of an object")


Edit = Annotated[
    Brush | Polygon | Voxels | FillHoles | KeepPiece | Smooth | Margin | Interpolate | CopySlice | Combine,
    Field(discriminator="kind"),
]
"""Any of them; as JSON an object with its ``kind``."""

_EDIT: TypeAdapter[Edit] = TypeAdapter(Edit)


def parse_edit(content: Mapping[str, Any]) -> Edit:
    """An edit from JSON.

    Raises:
        PromptError: it is none; the message says what is wrong with which part.
    """
    try:
        return _EDIT.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "edit"
        raise PromptError(f"the edit is not understood: {where}: {first['msg']}") from None


def make_edit(kind: str, **parts: Any) -> Edit:
    """An edit of a kind.

    Raises:
        PromptError: as :func:`parse_edit`.
    """
    return parse_edit({"kind": kind, **parts})


def log_edit(edit: Edit) -> dict[str, Any]:
    """The same as JSON, for a log."""
    return dict(_EDIT.dump_python(edit, mode="json", exclude_none=True))
