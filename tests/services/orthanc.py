"""A real PACS: Debian's Orthanc with its DICOMweb plugin, on loopback, in a folder of its own."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from pydicom import Dataset, dcmread
from pynetdicom import AE, build_context
from serving import free_port

from small_series import store_all

PROGRAM = "/usr/sbin/Orthanc"
_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
_START_SECONDS = 60
TITLE = "ORTHANC"


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc.

    Attributes:
        url: of its own REST interface.
        dicom_port: where it takes associations, under the title ``ORTHANC``.
        http: asks its REST interface.
    """

    url: str
    dicom_port: int
    http: httpx.Client = field(repr=False)

    @property
    def dicomweb(self) -> str:
        """Base address of QIDO, WADO and STOW."""
        return f"{self.url}/dicom-web"

    def store(self, *datasets: Dataset) -> None:
        """Send instances by C-STORE, each in the transfer syntax that it has."""
        ae = AE("TESTS")
        kinds = {(one.SOPClassUID, one.file_meta.TransferSyntaxUID) for one in datasets}
        ae.requested_contexts = [build_context(sop_class, syntax) for sop_class, syntax in sorted(kinds)]
        association = ae.associate("127.0.0.1", self.dicom_port, ae_title=TITLE)
        assert association.is_established
        try:
            assert store_all(association, datasets) == [0] * len(datasets)
        finally:
            association.release()

    def find(self, level: str, **query: str) -> list[str]:
        """Orthanc's own ids of what matches, such as ``find("Series", Modality="SEG")``."""
        answer = self.http.post("/tools/find", json={"Level": level, "Query": query})
        return list(answer.raise_for_status().json())

    def instances(self, **query: str) -> list[Dataset]:
        """Every instance of the series that match, as Orthanc holds it."""
        found = []
        for series in self.find("Series", **query):
            for instance in self.http.get(f"/series/{series}").raise_for_status().json()["Instances"]:
                content = self.http.get(f"/instances/{instance}/file").raise_for_status().content
                found.append(dcmread(BytesIO(content)))
        return found

    def know(self, title: str, port: int) -> None:
        """Let it send to a DICOM node on this machine, under the node's title."""
        node = {"AET": title, "Host": "127.0.0.1", "Port": port}
        self.http.put(f"/modalities/{title}", json=node).raise_for_status()

    def send(self, title: str, *series_uids: str) -> None:
        """Send series to a node that it knows, by C-STORE; returns when they have arrived."""
        ids = [found for uid in series_uids for found in self.find("Series", SeriesInstanceUID=uid)]
        answer = self.http.post(f"/modalities/{title}/store", json={"Resources": ids, "Synchronous": True})
        assert answer.status_code == 200, answer.text

    def forget(self) -> None:
        """Delete everything."""
        for patient in self.http.get("/patients").json():
            self.http.delete(f"/patients/{patient}").raise_for_status()


@contextmanager
def running_orthanc(folder: Path, **choices: Any) -> Iterator[Orthanc]:
    """Start Orthanc, wait until it answers, kill it at the end.

    Args:
        folder: existing; for its files.
        choices: further keys of its configuration. With ``RegisteredUsers`` the first of them is who asks.
    """
    http_port, dicom_port = free_port(), free_port()
    configuration = {
        "Name": "tests",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": TITLE,
        "DicomCheckCalledAet": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": "RegisteredUsers" in choices,
        "Plugins": [_PLUGIN],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **choices,
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, str(folder / "orthanc.json")], stdout=log, stderr=log)
    user = next(iter(choices.get("RegisteredUsers", {}).items()), None)
    url = f"http://127.0.0.1:{http_port}"
    try:
        with httpx.Client(base_url=url, auth=user, timeout=120) as http:
            _wait_until_ready(http, process, folder / "orthanc.log")
            yield Orthanc(url, dicom_port, http)
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(http: httpx.Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, f"Orthanc ended: {log.read_text(errors='replace')[-2000:]}"
        try:
            if http.get("/system").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"Orthanc did not start: {log.read_text(errors='replace')[-2000:]}")
