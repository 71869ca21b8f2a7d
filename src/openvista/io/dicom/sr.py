"""Structured reports: volume and mean HU of each structure (PS3.16, TID 1500), written by highdicom."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.sr.codedict import codes

from openvista._version import __version__
from openvista.errors import OutputError, first_line
from openvista.io.atomic import replacing
from openvista.io.checks import dicom_source
from openvista.io.dicom.described import DescribedStructure, place_structures
from openvista.io.dicom.identity import MANUFACTURER, add_identifiers, new_uid, source_headers
from openvista.io.dicom.seg import coded
from openvista.scan import Segmentation
from openvista.structures import StructureRow

SERIES_NUMBER = 102


def write_sr(
    path: Path,
    segmentation: Segmentation | Sequence[Segmentation],
    *,
    seg: Path | None = None,
    keep_identifiers: bool = False,
) -> None:
    """Write a report of volume and mean HU per structure; whole or not at all.

    Args:
        path: the file.
        segmentation: of a scan that was read from DICOM; or several of one scan, whose structures may overlap.
        seg: the DICOM segmentation that :func:`openvista.io.dicom.seg.write_seg` wrote of it: the report then refers
            to its segments (TID 1411). Without, measurements carry the same tracking UIDs, but no region (TID 1501).
        keep_identifiers: with the patient's name, id and dates, as the scan has them.

    Raises:
        OutputError: the scan is not from DICOM, nothing is labelled, ``seg`` is of something else, or the system
            refused to write.
    """
    report = make_sr(segmentation, seg=seg, keep_identifiers=keep_identifiers)
    with replacing(path) as temporary:
        report.save_as(temporary)


def make_sr(
    segmentation: Segmentation | Sequence[Segmentation], *, seg: Path | None = None, keep_identifiers: bool = False
) -> hd.sr.Comprehensive3DSR:
    """The object that :func:`write_sr` writes."""
    layers = [segmentation] if isinstance(segmentation, Segmentation) else list(segmentation)
    _, slices = dicom_source(layers[0].scan)
    headers = source_headers(slices)
    series_uid = headers[0].SeriesInstanceUID
    placed = place_structures(layers, slices, series_uid)
    objects = [] if seg is None else [_checked_seg(seg, placed.structures)]
    rows = {row.id: row for layer in layers for row in layer.table() if row.voxels}
    uid = placed.uid(f"SR {[one.SOPInstanceUID for one in objects]} {keep_identifiers}", series_uid)
    observer = hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=new_uid("device", __version__), name=MANUFACTURER, manufacturer_name=MANUFACTURER
        ),
    )
    groups: list[Any] = [_group(one, rows[one.label_id], objects, series_uid) for one in placed.structures]
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=hd.sr.CodedConcept("25045-6", "LN", "CT unspecified body region"),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    result = hd.sr.Comprehensive3DSR(
        evidence=[*headers, *objects],  # the first one tells whose it is
        content=report,
        series_instance_uid=new_uid("series", uid),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid,
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="Volumes and mean HU",
    )
    if keep_identifiers:
        add_identifiers(result, slices)
    return result


def _checked_seg(seg: Path, structures: Sequence[DescribedStructure]) -> Dataset:
    """The segmentation without its pixels; its segments must be our structures, by their tracking UIDs."""
    try:
        header = dcmread(seg, stop_before_pixels=True)
    except (OSError, InvalidDicomError) as error:
        raise OutputError(f"{seg}: the DICOM segmentation of the report cannot be read: {first_line(error)}") from error
    found = {item.SegmentNumber: item.get("TrackingUID") for item in header.get("SegmentSequence", [])}
    if any(found.get(one.number) != one.tracking_uid for one in structures):
        raise OutputError(f"{seg}: is no DICOM segmentation of these structures, so the report cannot refer to it")
    return header


def _group(
    structure: DescribedStructure, row: StructureRow, objects: Sequence[Dataset], series_uid: str
) -> Sequence[Dataset]:
    """What is measured of one structure."""
    site = _site(structure)
    shared: dict[str, Any] = {
        "tracking_identifier": hd.sr.TrackingIdentifier(structure.tracking_uid, structure.tracking_id),
        "finding_type": coded(structure.codes.type),
        "finding_sites": [site] if site else None,
        "measurements": _measurements(row),
    }
    if not objects:
        return hd.sr.MeasurementsAndQualitativeEvaluations(**shared)
    segment = hd.sr.ReferencedSegment(
        sop_class_uid=objects[0].SOPClassUID,
        sop_instance_uid=objects[0].SOPInstanceUID,
        segment_number=structure.number,
        source_series=hd.sr.SourceSeriesForSegmentation(series_uid),
    )
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **shared)


def _site(structure: DescribedStructure) -> hd.sr.FindingSite | None:
    """Where it is: the organ of a lesion or vessel, or the organ itself where it has a side."""
    own = structure.codes
    where, side = (own.region, own.region_side) if own.region else (own.type, own.side)
    if own.region is None and side is None:
        return None
    return hd.sr.FindingSite(coded(where), laterality=coded(side) if side else None)


def _measurements(row: StructureRow) -> list[hd.sr.Measurement]:
    millilitre = hd.sr.CodedConcept("ml", "UCUM", "milliliter")
    hounsfield = hd.sr.CodedConcept("[hnsf'U]", "UCUM", "Hounsfield unit")
    found = [
        hd.sr.Measurement(hd.sr.CodedConcept("118565006", "SCT", "Volume"), round(row.volume_ml, 4), millilitre),
    ]
    if row.mean_hu is not None:
        attenuation = hd.sr.CodedConcept("112031", "DCM", "Attenuation Coefficient")
        mean = hd.sr.CodedConcept("373098007", "SCT", "Mean")
        found.append(hd.sr.Measurement(attenuation, round(row.mean_hu, 2), hounsfield, derivation=mean))
    return found
