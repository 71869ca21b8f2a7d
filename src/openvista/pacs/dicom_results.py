"""Results as DICOM objects for the archive that the scan came from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from openvista.errors import InputError
from openvista.io import DicomOptions, write_segmentation
from openvista.io.paths import DICOM_FORMATS
from openvista.pacs.dicomweb import DicomWeb
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


def stored_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """Which of these a PACS gets: the DICOM formats, or a segmentation if there is none."""
    return check_formats([name for name in formats if name in DICOM_FORMATS] or ["dicom-seg"])


def store_results(
    archive: DicomWeb, segmentation: Segmentation, formats: Sequence[str], options: DicomOptions
) -> tuple[str, ...]:
    """Store a result in a PACS.

    Args:
        archive: the PACS.
        segmentation: of a scan that was read from DICOM.
        formats: see :func:`stored_formats`.
        options: of the objects.

    Returns:
        The formats that are stored.

    Raises:
        OutputError: nothing was found, or the archive refuses.
    """
    stored = stored_formats(formats)
    with TemporaryDirectory(prefix="openvista-") as folder:
        archive.store_files(write_objects(segmentation, stored, Path(folder), options))
    return stored
