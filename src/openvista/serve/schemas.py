"""What the native API takes and gives, as JSON. Arrays are [x, y, z] in voxels of the scan as it lies in its file."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from openvista.session.edits import Edit

MAX_CLICKS = 256
"""In one request; more come in several."""

Coordinate = Annotated[float, Field(allow_inf_nan=False)]
Voxel = Annotated[
    tuple[Coordinate, Coordinate, Coordinate], Field(description="x, y, z; 0 is the centre of the first voxel")
]
Side = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
Interval = Annotated[tuple[Side, Side], Field(description="first voxel, and the one after the last")]
Box = Annotated[tuple[Interval, Interval, Interval], Field(description="half-open intervals along x, y, z")]
ClassName = Annotated[str, Field(min_length=1, max_length=120)]
ClassItem = Annotated[int, Field(ge=1, le=65535)] | ClassName
ObjectName = Annotated[str, Field(min_length=1, max_length=120, pattern=r"\S")]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
ObjectRef = Annotated[
    ClassItem, Field(description="id of an object of the session; or a class by name or id, which becomes an object")
]
Grow = Annotated[
    bool | None,
    Field(description="open neighbouring windows when the mask reaches the border of its own; default: the server's"),
]


class Request(BaseModel):
    """Unknown keys are refused, so that a misspelt one does not pass in silence."""

    model_config = ConfigDict(extra="forbid")


# --- what the server is ------------------------------------------------------------------------------------------


class Problem(BaseModel):
    """Every answer that is not a success."""

    detail: str = Field(description="one line: what is wrong and what to do")
    code: str = Field(description="stable short name, for programs")
    choices: Annotated[
        dict[str, str] | None, Field(description="with code several-series: what to give as `series`, and what each is")
    ] = None


class ModelInfo(BaseModel):
    """A model this server has loaded."""

    name: str
    licence: str
    weights_sha256: str
    branches: list[str] = Field(description="'automatic' answers class prompts, 'point' answers clicks")
    class_count: int
    window: tuple[int, int, int] = Field(description="voxels the network sees at once")
    spacing: tuple[float, float, float] = Field(description="mm per voxel it works at")
    hu_window: tuple[float, float]


class Limits(BaseModel):
    """What the server refuses beyond."""

    upload_bytes: int
    voxels: int
    scans: int
    sessions: int
    clicks_per_request: int = MAX_CLICKS


class Features(BaseModel):
    """What is switched on."""

    class_prompts: bool
    clicks: bool
    paths: bool = Field(description="scans can be registered by a path under an allowed folder")
    urls: bool = Field(description="scans can be fetched from allowed hosts")
    datastore: bool


class ServerInfo(BaseModel):
    name: Literal["openvista"] = "openvista"
    version: str
    ready: bool
    default_model: str
    models: list[ModelInfo]
    read_formats: list[str]
    write_formats: list[str]
    limits: Limits
    features: Features


class ClassInfo(BaseModel):
    id: int
    name: str
    group: str | None = Field(description="what to list it under")
    aliases: list[str]
    colour: Colour
    snomed: str | None
    special: bool = Field(description="a lesion or vessel that overlaps organs; its clicks have their own meaning")
    everything: bool = Field(description="part of 'all'")


class GroupInfo(BaseModel):
    """A prompt that is replaced by its parts, such as lung."""

    id: int
    name: str
    members: list[int]


class ClassList(BaseModel):
    model: str
    classes: list[ClassInfo]
    groups: list[GroupInfo]


# --- scans --------------------------------------------------------------------------------------------------------


class FromSeries(Request):
    name: ObjectName | None = None
    series: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="which DICOM series, if there are several: UID or its beginning, number, description"
    )
    fill_gaps: bool = Field(
        False, description="interpolate slices that are missing from a DICOM series, else refused (missing-slices)"
    )


class FromPath(FromSeries):
    path: Annotated[str, Field(min_length=1, max_length=4096)]


class FromUrl(FromSeries):
    url: Annotated[str, Field(min_length=8, max_length=4096)]


class ScanWarning(BaseModel):
    code: str
    message: str


ScanState = Literal["open", "review", "done"]
"""What its owner has to do with a scan: work on it, look at it again, nothing."""


class ChangeScan(Request):
    """Only what is given changes."""

    name: ObjectName | None = None
    state: ScanState | None = None


class ScanInfo(BaseModel):
    id: str
    name: str
    created: datetime
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float] = Field(description="mm")
    affine: list[list[float]] = Field(description="4x4, voxel to RAS+ mm")
    axis_codes: str = Field(description="towards what each array axis grows, such as LPS")
    hu_range: tuple[float, float]
    sha256: str = Field(description="of the voxels, their grid and type")
    warnings: list[ScanWarning] = Field(description="why it may not be a CT in HU")
    from_dicom: bool = Field(False, description="it came as DICOM, and can be exported as DICOM")
    state: ScanState = Field("open", description="in its owner's work list")


class ScanList(BaseModel):
    scans: list[ScanInfo]


# --- sessions -----------------------------------------------------------------------------------------------------


class OpenSession(Request):
    scan_id: Annotated[str, Field(max_length=64)]
    model: Annotated[str, Field(max_length=200)] | None = Field(None, description="default: the server's first")


class ClickInfo(BaseModel):
    voxel: Voxel
    positive: bool = True
    drawn: bool = Field(False, description="it stands for a box, a scribble or a lasso: nobody clicked there")


class ObjectInfo(BaseModel):
    id: int = Field(description="also its value in the label map")
    name: str
    class_id: int | None = Field(description="None for a new object, which no class describes")
    colour: Colour
    locked: bool = Field(description="no prompt changes it, and others do not take its voxels")
    visible: bool
    voxels: int = Field(description="of its own mask, before other objects cover it")
    clicks: list[ClickInfo]
    edits: list[str] = Field(description="kinds of the edits of its mask, oldest first")
    unlikely: list[str] = Field(
        default_factory=list,
        description="what of an automatic result is unlike the cases of training: volume, HU, elongation, place",
    )


class SessionInfo(BaseModel):
    id: str
    scan_id: str
    model: str
    created: datetime
    revision: int = Field(description="grows with every change; the label map's ETag")
    saved_revision: int = Field(description="what would survive a crash of the server")
    can_undo: bool
    can_redo: bool
    objects: list[ObjectInfo] = Field(description="later ones lie on top")
    active_job: "JobInfo | None" = None


class SessionList(BaseModel):
    sessions: list[SessionInfo]


class AskClasses(Request):
    """Segment by name. A class that has an object already is computed again."""

    classes: Literal["all"] | Annotated[list[ClassItem], Field(min_length=1, max_length=400)]
    drop_unlikely: bool = Field(
        False, description="remove what is unlike the cases of training; the warnings name it, undo brings it back"
    )


class NewObject(Request):
    name: ObjectName
    colour: Colour | None = None


class ChangeObject(Request):
    """Only what is given changes."""

    name: ObjectName | None = None
    colour: Colour | None = None
    locked: bool | None = None
    visible: bool | None = None
    position: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        None, description="place in the order; 0 lies lowest"
    )


class ClickIn(Request):
    voxel: Voxel
    positive: bool = True


class AskClicks(Request):
    object: ObjectRef
    clicks: Annotated[list[ClickIn], Field(min_length=1, max_length=MAX_CLICKS)]
    grow: Grow = None
    automatic: bool | None = Field(
        None, description="whether an object made for a class starts from its automatic result"
    )


class AskBox(Request):
    """Answered as clicks: one in the middle, negative ones beyond the faces."""

    object: ObjectRef
    box: Box
    positive: bool = True
    grow: Grow = None


class AskScribble(Request):
    """Answered as up to five clicks along the stroke."""

    object: ObjectRef
    points: Annotated[list[Voxel], Field(min_length=1, max_length=4096, description="what the stroke went through")]
    positive: bool = True
    grow: Grow = None


class AskLasso(Request):
    """Answered as up to five clicks inside the contour."""

    object: ObjectRef
    axis: Annotated[int, Field(ge=0, le=2, description="array axis that the slice is perpendicular to")]
    slice: Annotated[int, Field(ge=0, description="index along that axis")]
    points: Annotated[
        list[tuple[Coordinate, Coordinate]],
        Field(min_length=3, max_length=4096, description="contour in the two other axes, in rising order of axis"),
    ]
    positive: bool = True
    grow: Grow = None


class AskEdit(Request):
    """A change of a mask by hand, in voxels and mm of the scan. What it decides no later click changes."""

    object: ObjectRef
    edit: Edit


class Progress(BaseModel):
    stage: str = Field(description="prepare, encode or label")
    done: int
    total: int


class JobInfo(BaseModel):
    id: str
    kind: str = Field(description="classes, clicks, box, lasso")
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    created: datetime
    seconds: float | None = Field(None, description="of computing, once it has ended")
    progress: Progress | None = None
    problem: Problem | None = None
    warnings: list[str] = Field(default_factory=list, description="as of the change that it made")


class LabelBox(BaseModel):
    """The voxels of the label map that may differ, as they are now."""

    box: Box
    dtype: Literal["uint8", "uint16"] = Field(description="little-endian")
    data: str = Field(description="base64 of gzip of the box's label values, x fastest")


class Change(BaseModel):
    """What a prompt, an undo, or a rename has done."""

    session: SessionInfo
    since: int = Field(description="the revision that the box is relative to")
    labels: LabelBox | None = Field(description="None when no voxel changed, or it was not asked for")
    warnings: list[str] = Field(default_factory=list, description="such as a click in air")


class Cancelled(BaseModel):
    cancelled: int = Field(description="jobs that were asked to stop")


class ExportFormat(str, Enum):
    """What a session is exported as: file endings; for DICOM, which has one ending for all, names of objects."""

    NII_GZ = "nii.gz"
    NII = "nii"
    SEG_NRRD = "seg.nrrd"
    NRRD = "nrrd"
    MHA = "mha"
    OVSESSION = "ovsession"
    DICOM_SEG = "dicom-seg"
    DICOM_RTSTRUCT = "dicom-rtstruct"
    DICOM_SR = "dicom-sr"
    STL = "stl"
    STL_ZIP = "stl.zip"
    OBJ = "obj"
    GLB = "glb"


class Row(BaseModel):
    id: int
    name: str
    voxels: int
    volume_ml: float
    mean_hu: float | None
    sd_hu: float | None
    touches_border: bool
    unlikely: list[str] = Field(default_factory=list, description="as of the object")


class Table(BaseModel):
    revision: int
    rows: list[Row]


class HistoryEvent(BaseModel):
    revision: int
    time: datetime
    kind: str
    object: str | None
    prompt: dict[str, Any] = Field(description="what was asked")
    undone: bool = False


class History(BaseModel):
    events: list[HistoryEvent]
