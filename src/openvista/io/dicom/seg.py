"""DICOM Segmentation objects, written by highdicom: a segment per structure, on the original slices (PS3.3, A.51)."""

from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from openvista._version import __version__
from openvista.anatomy.codes import Code
from openvista.errors import OutputError
from openvista.io.atomic import replacing
from openvista.io.checks import dicom_source
from openvista.io.dicom.described import DescribedStructure, PlacedStructures, place_structures
from openvista.io.dicom.identity import (
    MANUFACTURER,
    add_identifiers,
    new_uid,
    refer_to_frames,
    slice_headers,
    weights_of,
)
from openvista.scan import Segmentation

SERIES_NUMBER = 100
"""As in TotalSegmentator; high enough to stand after the scanner's own series."""


def write_seg(
    path: Path,
    segmentation: Segmentation | Sequence[Segmentation],
    *,
    labelmap: bool = False,
    keep_identifiers: bool = False,
) -> None:
    """Write a DICOM Segmentation; whole or not at all.

    Args:
        path: the file.
        segmentation: of a scan that was read from DICOM; or several of one scan, whose structures may overlap, as
            :meth:`openvista.session.Session.layers` gives.
        labelmap: the newer kind (Label Map Segmentation), one frame per slice however many structures there are, RLE
            compressed. By default one bit per voxel and structure, which every PACS takes.
        keep_identifiers: with the patient's name, id and dates, as the scan has them.

    Raises:
        OutputError: the scan is not from DICOM, nothing is labelled, overlaps in a label map, or the system refused.
    """
    seg = make_seg(segmentation, labelmap=labelmap, keep_identifiers=keep_identifiers)
    with replacing(path) as temporary:
        seg.save_as(temporary)


def make_seg(
    segmentation: Segmentation | Sequence[Segmentation], *, labelmap: bool = False, keep_identifiers: bool = False
) -> hd.seg.Segmentation:
    """The object that :func:`write_seg` writes."""
    layers = [segmentation] if isinstance(segmentation, Segmentation) else list(segmentation)
    scan, slices = dicom_source(layers[0].scan)
    headers = slice_headers(slices, scan.grid)
    placed = place_structures(layers, slices, headers[0].SeriesInstanceUID)
    if labelmap and len(placed.layers) > 1:
        raise OutputError("structures overlap: a label map holds one structure per voxel; write the binary kind")
    kind, provenance = "LABELMAP" if labelmap else "BINARY", layers[0].provenance
    uid = placed.uid(f"SEG {kind} {keep_identifiers}", headers[0].SeriesInstanceUID)
    result = hd.seg.Segmentation(
        source_images=headers,
        pixel_array=_pixels(placed),
        segmentation_type=kind,
        segment_descriptions=[_description(one, provenance) for one in placed.structures],
        series_instance_uid=new_uid("series", uid),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid,
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=str(provenance.get("model", MANUFACTURER)),
        software_versions=__version__,
        device_serial_number=weights_of(provenance),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        content_label="SEGMENTATION",
        content_description="Structures of a CT",
        series_description="Segmentation",
    )
    if labelmap:  # GDCM, which would be asked first, ends the process at frames of an odd number of bytes
        result.compress(RLELossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    described = [item for item in result.SegmentSequence if item.SegmentNumber > 0]  # 0: a label map's background
    for item, structure in zip(described, placed.structures, strict=True):
        _complete(item, structure)
    refer_to_frames(result, slices)
    if keep_identifiers:
        add_identifiers(result, slices)
    return result


def _pixels(placed: PlacedStructures) -> NDArray[np.unsignedinteger]:
    """[slice, row, column] numbers; of several layers [slice, row, column, structure] of 0 and 1."""
    if len(placed.layers) == 1:
        return placed.layers[0]
    return np.stack([placed.mask(one.number).astype(np.uint8) for one in placed.structures], axis=-1)


def _description(structure: DescribedStructure, provenance: dict[str, object]) -> hd.seg.SegmentDescription:
    facts = {key: str(provenance[key]) for key in ("weights_sha256", "profile") if provenance.get(key)}
    algorithm = hd.AlgorithmIdentificationSequence(
        name=f"{MANUFACTURER} {provenance.get('model', '')}".strip(),
        family=codes.cid7162.ArtificialIntelligence,
        version=str(provenance.get("version", __version__)),
        parameters=facts or None,
    )
    return hd.seg.SegmentDescription(
        segment_number=structure.number,
        segment_label=structure.label,
        segmented_property_category=coded(structure.codes.category),
        segmented_property_type=coded(structure.codes.type),
        algorithm_type="AUTOMATIC" if structure.automatic else "SEMIAUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=structure.tracking_uid,
        tracking_id=structure.tracking_id,
        anatomic_regions=[coded(structure.codes.region)] if structure.codes.region else None,
        display_color=hd.color.CIELabColor.from_rgb(*structure.colour),
    )


def _complete(item: Dataset, structure: DescribedStructure) -> None:
    """What highdicom has no argument for: modifiers (the side), and the description, which keeps the id."""
    item.SegmentDescription = structure.tracking_id
    if structure.codes.side:
        kind = item.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [coded(structure.codes.side)]
    if structure.codes.region_side:
        item.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [coded(structure.codes.region_side)]


def coded(code: Code) -> hd.sr.CodedConcept:
    """A code as an item of a code sequence."""
    return hd.sr.CodedConcept(code.value, "SCT", code.meaning)
