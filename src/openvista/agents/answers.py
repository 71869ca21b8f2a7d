"""What the tools give back, as models that clients know the schema of. Left and right are always the patient's."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from openvista.anatomy.sides import side_of
from openvista.scan import Scan, Segmentation
from openvista.serve.schemas import JobInfo
from openvista.session.session import Session, SessionObject

MIDDLE_MM = 5.0
"""What lies no further from the middle of the body is on neither side."""
_BODY_HU = -300

Side = Literal["left", "right", "middle"]


class KnownClass(BaseModel):
    """A class that can be asked for by any of its names, or by its id."""

    id: int
    name: str
    aliases: list[str]
    group: str | None


class KnownClasses(BaseModel):
    """What the model knows by name."""

    model: str
    answers_clicks: bool = Field(description="objects without a name here can be segmented by clicks")
    classes: list[KnownClass]


class InspectedScan(BaseModel):
    """A scan, and what makes a wrong result likely."""

    name: str
    shape: tuple[int, int, int] = Field(description="voxels along x, y, z, as clicks count them from 0")
    spacing_mm: tuple[float, float, float]
    axis_codes: str = Field(description="towards what each array axis grows, such as LPS")
    affine: list[list[float]] = Field(description="4x4, voxel to RAS+ mm: +x is the patient's right")
    hu_range: tuple[float, float]
    from_dicom: bool = Field(description="results can be written as DICOM")
    warnings: list[str] = Field(description="why it may not be a CT in HU; empty when all is well")


class FoundStructure(BaseModel):
    """One structure that was found, measured."""

    id: int = Field(description="its value in the label map")
    name: str
    volume_ml: float
    mean_hu: float | None
    sd_hu: float | None
    touches_border: bool = Field(description="cut by the border of the scan: its volume is a lower bound")
    unlikely: list[str] = Field(
        description="which of volume, HU, elongation, place are unlike the cases of training; empty if none, "
        "or if nobody judged"
    )
    centroid_mm: tuple[float, float, float] = Field(description="RAS+: +x right, +y front, +z head of the patient")
    side: Side = Field(description="of the patient, seen from the middle of what the scan shows of the body")


class Measured(BaseModel):
    """All structures of a label map."""

    structures: list[FoundStructure] = Field(description="largest first")
    not_found: list[str] = Field(description="asked for, without a voxel")
    judged: bool = Field(description="whether 'unlikely' was judged at all")
    warnings: list[str] = Field(description="what to look at before the numbers are used")


class Segmented(Measured):
    """A finished segmentation."""

    output: str = Field(description="the file that was written")
    model: str


class JobAnswer(JobInfo):
    """How far a job is; its result once the state is 'done'."""

    result: Segmented | None = None


class SessionObjectAnswer(BaseModel):
    """One object of a session, by its own mask."""

    id: int
    name: str
    volume_ml: float
    clicks: int
    touches_border: bool
    unlikely: list[str]


class SessionAnswer(BaseModel):
    """A session as it is now."""

    session_id: str = Field(description="the handle for click, undo, measure, export, preview and close")
    scan: str
    objects: list[SessionObjectAnswer]
    can_undo: bool
    notes: list[str] = Field(
        default_factory=list, description="what to know of the last change, such as a click in air"
    )


class Written(BaseModel):
    """A file that was written."""

    path: str
    format: str


class Closed(BaseModel):
    """A session that is gone."""

    session_id: str
    open_sessions: int


def inspected(scan: Scan) -> InspectedScan:
    """A scan in plain values; its warnings are those it carries."""
    return InspectedScan(
        name=scan.name,
        shape=scan.grid.shape,
        spacing_mm=scan.grid.spacing,
        axis_codes=scan.grid.axis_codes,
        affine=scan.grid.affine.tolist(),
        hu_range=(float(scan.voxels.min()), float(scan.voxels.max())),
        from_dicom=scan.dicom is not None,
        warnings=[warning.message for warning in scan.warnings],
    )


def measured(segmentation: Segmentation, further: Iterable[str] = ()) -> Measured:
    """The structures of a label map.

    Args:
        segmentation: with its scan, if HU and the middle of the body are to be known.
        further: warnings that come before those of here.
    """
    rows = {row.id: row for row in segmentation.table()}
    middle = _middle_mm(segmentation)
    found, warnings = [], list(further)
    for each in segmentation.statistics():
        row = rows[each.id]
        if each.centroid_mm is None:
            continue
        structure = FoundStructure(
            id=row.id,
            name=row.name,
            volume_ml=round(row.volume_ml, 3),
            mean_hu=_rounded(row.mean_hu),
            sd_hu=_rounded(row.sd_hu),
            touches_border=row.touches_border,
            unlikely=list(row.unlikely),
            centroid_mm=each.centroid_mm,
            side=_side(each.centroid_mm[0] - middle),
        )
        said = side_of(row.name)
        if said is not None and structure.side not in (said, "middle"):
            warnings.append(
                f"{row.name} lies on the patient's {structure.side}: the name or the orientation of the scan is wrong"
            )
        found.append(structure)
    found.sort(key=lambda structure: -structure.volume_ml)
    missing = [row.name for row in rows.values() if not row.voxels]
    return Measured(structures=found, not_found=missing, judged=segmentation.unlikely is not None, warnings=warnings)


def session_answer(session_id: str, session: Session, notes: Iterable[str] = ()) -> SessionAnswer:
    """A session in plain values."""
    unlikely = session.open_scan.unlikely(session.state.objects) or {}
    objects = [_object_answer(session, item, unlikely.get(item.id, ())) for item in session.objects]
    return SessionAnswer(
        session_id=session_id,
        scan=session.scan.name,
        objects=objects,
        can_undo=session.can_undo,
        notes=list(notes),
    )


def _object_answer(session: Session, item: SessionObject, unlikely: tuple[str, ...]) -> SessionObjectAnswer:
    grid, mask = session.scan.grid, session.open_scan.shown_mask(item.state)
    ends = zip(mask.box.start, mask.box.stop, grid.shape, strict=True)
    touches = not mask.box.empty and any(start <= 0 or stop >= length for start, stop, length in ends)
    return SessionObjectAnswer(
        id=item.id,
        name=item.name,
        volume_ml=round(int(mask.values_XYZ.sum()) * grid.voxel_ml, 3),
        clicks=len(item.clicks),
        touches_border=touches,
        unlikely=list(unlikely),
    )


def _middle_mm(segmentation: Segmentation) -> float:
    """Where the middle of the body lies, in mm towards the patient's right; that of the grid where no body is seen."""
    grid, scan = segmentation.grid, segmentation.scan
    place = (np.array(grid.shape) - 1) / 2
    if scan is not None:
        body = np.greater(scan.voxels, _BODY_HU)
        counts = [body.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3)]
        if total := int(counts[0].sum()):
            place = np.array([float(count @ np.arange(len(count))) / total for count in counts])
    return float(grid.to_world(place[None])[0, 0])


def _side(right_mm: float) -> Side:
    return "middle" if abs(right_mm) <= MIDDLE_MM else "right" if right_mm > 0 else "left"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
