"""The slices of a scan, kept on disk beside its voxels: what a result refers to, and nothing that tells of the patient.

JSON (the DICOM JSON model of PS3.18 annex F for headers), so that whoever reads it back decodes no DICOM file.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydicom import Dataset

from openvista.dicom_slices import DicomSlice, DicomSlices
from openvista.errors import ScanError
from openvista.io.atomic import write_text

_LAYOUT = 1

_KEPT = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "Modality",
    "ImageType",
    "SeriesNumber",
    "InstanceNumber",
    "PatientPosition",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
_GROUPS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "FrameContentSequence": ("StackID", "InStackPositionNumber", "DimensionIndexValues"),
}
_DIMENSIONS = {
    "DimensionOrganizationSequence": ("DimensionOrganizationUID",),
    "DimensionIndexSequence": ("DimensionOrganizationUID", "DimensionIndexPointer", "FunctionalGroupPointer"),
}


def write_slices(path: Path, slices: DicomSlices) -> None:
    """Write what a result needs of a series: UIDs and geometry, without patient, study and dates.

    Raises:
        OutputError: the system refused to write.
    """
    content = {
        "layout": _LAYOUT,
        "headers": [_without_identifiers(header).to_json_dict() for header in slices.headers],
        "slices": [None if one is None else asdict(one) for one in slices.slices],
        "orientation": slices.orientation,
        "columns": slices.columns,
        "rows": slices.rows,
    }
    write_text(path, json.dumps(content))


def read_slices(path: Path) -> DicomSlices:
    """What :func:`write_slices` wrote.

    Raises:
        ScanError: it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["layout"] != _LAYOUT:
            raise ValueError(f"layout {content['layout']}")
        return DicomSlices(
            headers=tuple(Dataset.from_json(header) for header in content["headers"]),
            slices=tuple(None if one is None else _slice(one) for one in content["slices"]),
            orientation=tuple(content["orientation"]),
            columns=content["columns"],
            rows=content["rows"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ScanError(f"{path}: the slices of a kept scan are unreadable: {error}") from error


def _slice(fields: dict[str, Any]) -> DicomSlice:
    x, y, z = fields["position"]
    columns, rows = fields["shift"]
    return DicomSlice(fields["instance"], fields["frame"], (x, y, z), (columns, rows))


def _without_identifiers(header: Dataset) -> Dataset:
    kept = _only(header, _KEPT)
    for sequence, keywords in _DIMENSIONS.items():
        if sequence in header:
            setattr(kept, sequence, [_only(item, keywords) for item in header[sequence].value])
    for sequence in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        if sequence in header:
            setattr(kept, sequence, [_groups(item) for item in header[sequence].value])
    return kept


def _groups(item: Dataset) -> Dataset:
    kept = Dataset()
    for sequence, keywords in _GROUPS.items():
        if sequence in item:
            setattr(kept, sequence, [_only(group, keywords) for group in item[sequence].value])
    return kept


def _only(source: Dataset, keywords: Sequence[str]) -> Dataset:
    kept = Dataset()
    for keyword in keywords:
        if keyword in source:
            kept[keyword] = source[keyword]
    return kept
