"""Sending results: to a DICOM node by C-STORE (PS3.4 annex B), or to a DICOMweb service by STOW-RS."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openvista.errors import OutputError, needs_extra
from openvista.pacs.dicomweb import DicomWeb
from openvista.pacs.rules import Destination

with needs_extra("pynetdicom", "dicom", "send to a DICOM node"):
    from pydicom import Dataset, dcmread
    from pynetdicom import AE, build_context
    from pynetdicom.association import Association

logger = logging.getLogger(__name__)

_SECONDS = 60
_KEPT_WITH_REMARKS = (0xB000, 0xB006, 0xB007)
"""Coercion of data elements, elements discarded, data set does not match SOP class: stored all the same."""


def send(path: Path, destination: Destination, own_title: str) -> None:
    """Send one object; returns when it has arrived. The same object a second time is no error anywhere.

    Args:
        path: a DICOM file.
        destination: where to.
        own_title: AE title under which we call.

    Raises:
        OutputError: it did not arrive.
    """
    if destination.dicomweb is not None:
        DicomWeb(destination.dicomweb).store_files([path])
        return
    instance = dcmread(path)
    where = f"{destination.title} at {destination.host}:{destination.port}"
    with _association(instance, destination, own_title, where) as association:
        answer = association.send_c_store(instance)
    if "Status" not in answer:
        raise OutputError(f"{where}: broke off the transfer")
    if answer.Status != 0 and answer.Status not in _KEPT_WITH_REMARKS:
        raise OutputError(f"{where}: did not store a result (status 0x{answer.Status:04X})")


@contextmanager
def _association(instance: Dataset, destination: Destination, own_title: str, where: str) -> Iterator[Association]:
    ae = AE(own_title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = _SECONDS
    ae.requested_contexts = [build_context(instance.SOPClassUID, instance.file_meta.TransferSyntaxUID)]
    association = ae.associate(destination.host, destination.port, ae_title=destination.title)
    if not association.is_established:
        if association.is_rejected:
            raise OutputError(f"{where}: refuses the association; does it know the AE title {own_title}?")
        if association.rejected_contexts:
            raise OutputError(f"{where}: takes no {instance.SOPClassUID.name}")
        raise OutputError(f"{where}: cannot be reached")
    try:
        yield association
    finally:
        association.release()
