"""Images that lie in a PACS: a series by its UID, fetched by DICOMweb, kept for an hour after the last question."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from openvista.errors import ScanError, ServiceError
from openvista.pacs.dicomweb import DicomWeb
from openvista.serve.scans import ScanRecord
from openvista.serve.service import Service
from openvista.serve.uploads import keep_file

_UID = re.compile(r"[0-9]+(\.[0-9]+){3,}")  # at least four numbers: a name such as "1.2" may be anybody's


def is_uid(image_id: str) -> bool:
    """Whether an image's id is a Series Instance UID, as OHIF's are."""
    return len(image_id) <= 64 and _UID.fullmatch(image_id) is not None


class PacsSource:
    """The series of a PACS as scans of ours.

    Args:
        service: the server's parts.
        base: address of the PACS's DICOMweb service.
        life: of a scan after the last question about it.

    Raises:
        InputError: the address cannot be one.
    """

    def __init__(self, service: Service, base: str, life: timedelta) -> None:
        self._archive = DicomWeb(base)
        self._service, self._life = service, life
        self._known: dict[str, str] = {}
        self._one = asyncio.Lock()

    async def scan(self, uid: str) -> ScanRecord:
        """The scan of a series.

        Raises:
            ServiceError: 404, there is none; 422, it is no scan; 502, the PACS does not give it.
        """
        async with self._one:
            known = self._known.get(uid)
            if known is not None and known in self._service.scans:
                return self._service.scans.prolong(known, self._life)
            async with self._service.sandbox.scratch() as folder:
                await run_in_threadpool(self._fetch, uid, folder)
                record = await keep_file(self._service, folder, uid, None, self._life)
            self._known = {key: scan_id for key, scan_id in self._known.items() if scan_id in self._service.scans}
            self._known[uid] = record.id
            return record

    def _fetch(self, uid: str, folder: Path) -> None:
        try:
            found = self._archive.find_series(uid)
            self._archive.fetch(found, folder, most_bytes=self._service.settings.upload_bytes)
        except ScanError as error:
            missing = "there is no series" in str(error)
            raise ServiceError(str(error), status=404 if missing else 502, code="pacs") from None
