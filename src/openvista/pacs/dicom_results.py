"""Results as DICOM objects for the archive that the scan came from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from openvista.errors import InputError
from openvista.io import DicomOptions, write_segmentation
from openvista.io.paths import DICOM_FORMATS
from openvista.scan import Segmentation


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """The formats, each once, a report last: it refers to the segmentation.

    Raises:
        InputError: an archive takes no objects of such a format.
    """
    for name in formats:
        if name not in DICOM_FORMATS:
            raise InputError(f"{name!r} cannot be stored in an archive; choose of {', '.join(DICOM_FORMATS)}")
    return tuple(sorted(dict.fromkeys(formats), key=lambda name: name == "dicom-sr"))


def write_objects(
    segmentation: Segmentation, formats: Sequence[str], folder: Path, options: DicomOptions
) -> list[Path]:
    """Write DICOM objects into a folder.

    They keep the patient's name, id and dates: the archive would file them under another patient otherwise.

    Args:
        segmentation: of a scan that was read from DICOM.
        formats: DICOM formats.
        folder: existing.
        options: of the objects.

    Returns:
        The files, called like their formats.

    Raises:
        OutputError: nothing is labelled, the scan is not from DICOM, or the system refused to write.
    """
    wanted = check_formats(formats)
    seg = folder / "dicom-seg.dcm" if "dicom-seg" in wanted else None
    kept = replace(options, keep_identifiers=True, seg=seg)
    return [write_segmentation(segmentation, folder / f"{name}.dcm", name, kept) for name in wanted]
