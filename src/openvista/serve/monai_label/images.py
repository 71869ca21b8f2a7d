"""Images of the datastore as scans that can be asked about."""

from datetime import timedelta

from starlette.concurrency import run_in_threadpool

from openvista.serve.arrivals import keep_file
from openvista.serve.monai_label.datastore import Datastore
from openvista.serve.scans import ScanRecord
from openvista.serve.service import Service

SESSION_LIFE = timedelta(hours=1)


class Images:
    """The datastore's images as scans of ours: read once, kept for an hour after the last question.

    Args:
        service: the server's parts.
        datastore: the folder.
    """

    def __init__(self, service: Service, datastore: Datastore) -> None:
        self._service, self._datastore = service, datastore
        self._known: dict[tuple[str, int, int], str] = {}

    async def scan(self, image_id: str) -> ScanRecord:
        """The scan of an image.

        Raises:
            ServiceError: 404 no such image; 422, it is no scan.
        """
        path = await run_in_threadpool(self._datastore.image, image_id)
        stat = path.stat()
        key = (str(path), stat.st_mtime_ns, stat.st_size)
        scans = self._service.scans
        known = self._known.get(key)
        if known is not None and known in scans:
            return scans.prolong(known, SESSION_LIFE)
        record = await keep_file(self._service, path, image_id, None, SESSION_LIFE)
        self._known = {facts: scan_id for facts, scan_id in self._known.items() if scan_id in scans}
        self._known[key] = record.id
        return record
