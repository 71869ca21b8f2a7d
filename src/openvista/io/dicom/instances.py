"""DICOM files, one by one: what a header says about each frame, in classic and in enhanced multi-frame objects."""

import logging
import math
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue

from openvista.errors import ScanError
from openvista.io.paths import may_be_dicom

logger = logging.getLogger(__name__)

UNREADABLE = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom and its decoders raise on damaged files: they have no error of their own for most damage."""


_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "ImageType",
    "FrameOfReferenceUID",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PixelPresentation",
    "NumberOfFrames",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]


@dataclass(frozen=True)
class ImageFrame:
    """One frame of an instance, as its header describes it.

    Attributes:
        file: where it is.
        index: which frame of the file, from 0.
        position: mm, LPS: centre of the first pixel; ``None`` where the header does not say.
        orientation: direction cosines of a row and a column, LPS; ``None`` where the header does not say.
        spacing: mm between rows and between columns; ``None`` where the header does not say.
        thickness: mm from this slice to the next, as the header claims; ``None`` where it does not.
        slope, intercept: stored value to HU, ...
        unit: ... or to what Rescale Type says instead; "" where it says nothing.
        image_type: Image Type, or Frame Type.
        acquisition: what tells apart images of one place: acquisition and point in time.
    """

    file: Path
    index: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness: float | None
    slope: float
    intercept: float
    unit: str
    image_type: tuple[str, ...]
    acquisition: tuple[str, ...]


@dataclass(frozen=True)
class Instance:
    """One DICOM file.

    Attributes:
        file: where it is.
        uid: SOP Instance UID.
        sop_class, series, frame_of_reference: UIDs; "" where missing.
        modality: such as "CT".
        number: of the series, "" where missing.
        description: of the series; may hold anything, so it belongs in no log.
        rows, columns: size of a frame; 0 in objects that are no image.
        colour: its pixels are colours, or numbers that stand for colours.
        frames: of the image.
    """

    file: Path
    uid: str
    sop_class: str
    series: str
    frame_of_reference: str
    modality: str
    number: str
    description: str = field(repr=False)
    rows: int
    columns: int
    colour: bool
    frames: tuple[ImageFrame, ...] = field(repr=False)


def read_instance(file: Path) -> Instance | None:
    """What a file's header says; ``None`` if it is no DICOM file, or none that can be read (logged)."""
    if not may_be_dicom(file):
        return None
    try:
        header = dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS), force=True)
        if "SOPClassUID" not in header and "Rows" not in header:
            raise InvalidDicomError("no object")
        return _instance_of(file, header)
    except OSError as error:
        raise ScanError(f"{file}: cannot be read: {error.strerror or type(error).__name__}") from error
    except UNREADABLE as error:
        logger.warning("%s: left out: its DICOM header is damaged (%s)", file, type(error).__name__)
        return None


def _instance_of(file: Path, header: Dataset) -> Instance:
    rows, columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
    return Instance(
        file=file,
        uid=_text(header, "SOPInstanceUID"),
        sop_class=_text(header, "SOPClassUID"),
        series=_text(header, "SeriesInstanceUID"),
        frame_of_reference=_text(header, "FrameOfReferenceUID"),
        modality=_text(header, "Modality"),
        number=_text(header, "SeriesNumber"),
        description=_text(header, "SeriesDescription"),
        rows=rows,
        columns=columns,
        colour=int(header.get("SamplesPerPixel") or 1) > 1 or _text(header, "PixelPresentation") in ("COLOR", "MIXED"),
        frames=_frames_of(file, header) if rows and columns else (),
    )


def _frames_of(file: Path, header: Dataset) -> tuple[ImageFrame, ...]:
    """A classic image has its geometry at the top; an enhanced one in functional groups, shared or of each frame."""
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = header.get("SharedFunctionalGroupsSequence") or []
    if per_frame or shared:
        count = len(per_frame) or int(header.get("NumberOfFrames") or 1)
        own = [[item] for item in per_frame] or [[] for _ in range(count)]
        return tuple(_frame(file, index, [*own[index], *shared[:1], header]) for index in range(count))
    count = int(header.get("NumberOfFrames") or 1)
    return tuple(_frame(file, index, [header]) for index in range(count))


def _frame(file: Path, index: int, sources: list[Dataset]) -> ImageFrame:
    """A frame from its own groups, the shared ones and the top of the header, in this order."""
    top = sources[-1]
    position = _group(sources, "PlanePositionSequence")
    orientation = _group(sources, "PlaneOrientationSequence")
    measures = _group(sources, "PixelMeasuresSequence")
    scaling = _group(sources, "PixelValueTransformationSequence")
    content = _group(sources, "FrameContentSequence")
    kind = _group(sources, "CTImageFrameTypeSequence")
    slope, intercept = _floats(scaling, "RescaleSlope", 1), _floats(scaling, "RescaleIntercept", 1)
    distance = _floats(measures, "SpacingBetweenSlices", 1) or _floats(measures, "SliceThickness", 1)
    image_type = kind.get("FrameType") or top.get("ImageType") or ()
    return ImageFrame(
        file=file,
        index=index,
        position=_floats(position, "ImagePositionPatient", 3),
        orientation=_floats(orientation, "ImageOrientationPatient", 6),
        spacing=_floats(measures, "PixelSpacing", 2),
        thickness=abs(distance[0]) or None if distance else None,
        slope=slope[0] if slope else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        unit=_text(scaling, "RescaleType").upper(),
        image_type=tuple(str(word).strip().upper() for word in _values(image_type)),
        acquisition=tuple(
            _text(source, keyword)
            for source, keyword in (
                (top, "AcquisitionNumber"),
                (top, "TemporalPositionIdentifier"),
                (content, "TemporalPositionIndex"),
                (content, "StackID"),
            )
        ),
    )


def _group(sources: list[Dataset], sequence: str) -> Dataset:
    """The item of a functional group, or the top of the header where there is no such group."""
    for source in sources[:-1]:
        if items := source.get(sequence):
            return items[0]
    return sources[-1]


def _text(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value).strip()


def _values(value: object) -> list[object]:
    return list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]


def _floats(header: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Finite numbers; ``None`` where the attribute is missing, empty or of another length."""
    value = header.get(keyword)
    if value is None or value == "":
        return None
    numbers = tuple(float(number) for number in _values(value))  # type: ignore[arg-type]
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None
