"""Does a scan look like a CT, or as MR does? Warnings that help before a network answers nonsense.

And can it take DICOM results?
"""

import numpy as np

from openvista.anatomy.ctmr import CT_BODY, MRI_BODY, MRI_BRAIN
from openvista.dicom_slices import DicomSlices
from openvista.errors import FormatError
from openvista.io.paths import DICOM_FORMATS
from openvista.scan import Scan, ScanWarning

_SPACING_MM = (0.05, 20.0)  # from micro-CT detectors to the thickest slices
_EXTENT_MM = (20.0, 2500.0)  # a finger tip; taller than any patient
_FEWEST_VOXELS = 8
_TISSUE_HU = (-200, 300)  # fat, water, organs, muscle, blood with contrast agent
_LEAST_TISSUE = 0.01
_HU_LIMITS = (-4096, 32767)  # 12 bits below zero; metal in extended-range CT stays below 16 bits
_SAMPLE_VOXELS = 2_000_000
_SOME_AIR = -500  # below lung and fat of every CT; MR has no such values, but around 0 after bias correction


def check_scan(scan: Scan, modality: str | None = "CT") -> list[ScanWarning]:
    """What its file left unclear, and everything about a scan that does not look like a CT; empty when all is well.

    The caller prints the messages or, when strict, raises ``ScanError`` with them.

    Args:
        scan: as read.
        modality: "CT", or what the user of a model for CT and MR called it ("CT_BODY", "MRI_BODY", "MRI_BRAIN");
            ``None`` where it may be either.
    """
    return [*scan.warnings, *_check_values(scan, modality), *_check_spacing(scan), *_check_size(scan)]


def check_dicom_source(scan: Scan | None, format: str) -> None:
    """Refuse a DICOM format for a scan that was not read from DICOM.

    Raises:
        FormatError: it was not.
    """
    if format in DICOM_FORMATS:
        dicom_source(scan, format)


def dicom_source(scan: Scan | None, format: str = "a DICOM result") -> tuple[Scan, DicomSlices]:
    """The scan, and the slices that a result in DICOM lies on.

    Raises:
        FormatError: it was not read from DICOM.
    """
    if scan is None or scan.dicom is None:
        raise not_from_dicom(scan.name if scan else "scan", format)
    return scan, scan.dicom


def not_from_dicom(name: str, format: str) -> FormatError:
    """The refusal, for a scan or its file."""
    remedy = "give the DICOM series itself, or another format such as nii.gz or seg.nrrd"
    return FormatError(f"{name}: {format} needs a scan that was read from DICOM; {remedy}")


def _check_values(scan: Scan, modality: str | None) -> list[ScanWarning]:
    """At most one warning about values: the most telling one."""
    low, high = float(scan.voxels.min()), float(scan.voxels.max())
    seen = f"values {low:g} to {high:g}"
    if low == high:
        return [ScanWarning("values-constant", f"every voxel is {low:g}: the image is empty; export the scan again")]
    if modality in (MRI_BODY, MRI_BRAIN):
        is_hu = _HU_LIMITS[0] <= low < _SOME_AIR and _tissue_share(scan) >= _LEAST_TISSUE
        message = f"{seen} look like HU of a CT, but the modality is {modality}; for a CT it is {CT_BODY}"
        return [ScanWarning("values-hu", message)] if is_hu else []
    if modality is None:
        return []
    if modality == CT_BODY and low >= 0:
        message = f"{seen}, none below 0 HU, look like MR, but the modality is {modality}; for MR it is {MRI_BODY}"
        return [ScanWarning("values-mr", f"{message} or {MRI_BRAIN}; if the file holds HU + 1024, subtract 1024")]
    if high - low <= 20:
        return [ScanWarning("values-normalised", f"{seen} look rescaled, not HU; give the scan as the scanner made it")]
    if low >= 0 and high <= 255:
        return [ScanWarning("values-8-bit", f"{seen} look like an 8-bit picture, not HU; export the CT in HU")]
    if low < _HU_LIMITS[0] or high > _HU_LIMITS[1]:
        return [ScanWarning("values-range", f"{seen} are beyond what HU can be; check slope, intercept and data type")]
    if low >= 0 and high > 1000:
        message = f"{seen}: no air below 0 HU; if the file holds HU + 1024, subtract 1024"
        return [ScanWarning("values-offset", message)]
    share = _tissue_share(scan)
    if share < _LEAST_TISSUE:
        message = (
            f"only {share:.2%} of the voxels have soft-tissue values ({_TISSUE_HU[0]}..{_TISSUE_HU[1]} HU); is it CT?"
        )
        return [ScanWarning("values-no-tissue", message)]
    return []


def _tissue_share(scan: Scan) -> float:
    """Share of voxels with soft-tissue HU, on a regular sample of large volumes."""
    step = max(1, round((scan.voxels.size / _SAMPLE_VOXELS) ** (1 / 3)))
    sample = scan.voxels[::step, ::step, ::step].astype(np.float32)
    return float(np.mean((sample > _TISSUE_HU[0]) & (sample < _TISSUE_HU[1])))


def _check_spacing(scan: Scan) -> list[ScanWarning]:
    low, high = _SPACING_MM
    odd = [size for size in scan.grid.spacing if not low <= size <= high]
    if not odd:
        return []
    shown = " x ".join(f"{size:.4g}" for size in scan.grid.spacing)
    message = f"voxel size {shown} mm is outside {low:g}..{high:g} mm; check the unit in the header"
    return [ScanWarning("spacing-odd", message)]


def _check_size(scan: Scan) -> list[ScanWarning]:
    warnings = []
    shape = " x ".join(str(length) for length in scan.grid.shape)
    if min(scan.grid.shape) < _FEWEST_VOXELS:
        message = (
            f"only {min(scan.grid.shape)} voxels along one axis (shape {shape}): too thin for a 3D network to judge"
        )
        warnings.append(ScanWarning("size-thin", message))
    extents = [length * size for length, size in zip(scan.grid.shape, scan.grid.spacing, strict=True)]
    low, high = _EXTENT_MM
    if max(extents) < low or max(extents) > high:
        shown = " x ".join(f"{extent:.4g}" for extent in extents)
        message = f"covers {shown} mm, which is no part of a patient; check the voxel size in the header"
        warnings.append(ScanWarning("size-extent", message))
    return warnings
