"""``openvista listen`` between a real PACS that sends and takes: by C-STORE both ways, by STOW, through kills."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from orthanc import TITLE, Orthanc
from pydicom import Dataset
from pynetdicom import AE, build_context
from pynetdicom.sop_class import CTImageStorage, Verification
from serving import free_port

from small_dicom import IDENTIFIERS
from small_series import ct_series, store_all

PATIENCE = 120.0
"""Seconds that a test waits at most: for a machine that does much else."""
NODE = "VISTANODE"


class Listening:
    """A running ``openvista listen``.

    Attributes:
        process: its process.
        port: where it listens.
        log: file with all that it says.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log

    @property
    def said(self) -> str:
        return self.log.read_text()

    def store(self, instances: list[Dataset], title: str = "SCANNER") -> list[int]:
        """Send by C-STORE; the status of each, -1 where the connection broke."""
        ae = AE(title)
        ae.requested_contexts = [build_context(CTImageStorage, instances[0].file_meta.TransferSyntaxUID)]
        association = ae.associate("127.0.0.1", self.port, ae_title=NODE)
        if not association.is_established:
            return []
        statuses = store_all(association, instances)
        association.release()
        return statuses


def wait_until(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@contextmanager
def listening(
    folder: Path, model: Path, destinations: dict[str, Any], *options: str, **rule: Any
) -> Iterator[Listening]:
    """Start it in a folder; it is ended by SIGTERM, unless it has ended before."""
    rules = folder / "rules.yaml"
    told = {"name": "everything", "model": str(model), "classes": ["liver"], "send_to": list(destinations)} | rule
    rules.write_text(yaml.safe_dump({"destinations": destinations, "rules": [told]}))
    port, log = free_port(), folder / "log"
    command = [sys.executable, "-m", "openvista", "listen", str(rules), "--port", str(port), "--title", NODE]
    command += ["--state", str(folder / "state"), "--precision", "float32", "--quiet-seconds", "1"]
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*command, "--retry-seconds", "1", *options],
            stdout=out,
            stderr=out,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )
    started = Listening(process, port, log)
    try:
        wait_until(lambda: f":{port}" in started.said or process.poll() is not None, "it did not start")
        assert process.poll() is None, started.said
        yield started
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture
def series() -> list[Dataset]:
    return ct_series(np.random.default_rng(3).integers(-900, 900, (48, 46, 24)))


def archive_of(orthanc: Orthanc) -> dict[str, Any]:
    return {"archive": {"title": TITLE, "host": "127.0.0.1", "port": orthanc.dicom_port}}


def segmentations(orthanc: Orthanc) -> list[Dataset]:
    return orthanc.instances(Modality="SEG")


def test_the_pacs_sends_and_gets_results_back(orthanc, series, small_model, tmp_path):
    orthanc.store(*series)
    uid = series[0].SeriesInstanceUID
    formats = ["dicom-seg", "dicom-rtstruct", "dicom-sr"]
    with listening(tmp_path, small_model, archive_of(orthanc), "-v", formats=formats) as node:
        orthanc.know(NODE, node.port)
        assert orthanc.http.post(f"/modalities/{NODE}/echo").status_code == 200
        orthanc.send(NODE, uid)
        wait_until(lambda: "3 results sent" in node.said, node.said)
        (seg,) = segmentations(orthanc)
        assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == uid
        assert {one.PatientID for one in orthanc.instances(StudyInstanceUID=series[0].StudyInstanceUID)} == {
            series[0].PatientID
        }
        assert len(orthanc.find("Series", Modality="RTSTRUCT")) == len(orthanc.find("Series", Modality="SR")) == 1
        orthanc.send(NODE, uid)  # the same images again
        time.sleep(3)
        assert node.said.count("results sent") == 1
        node.process.terminate()
        assert node.process.wait(PATIENCE) == 0
    for value in (*IDENTIFIERS.values(), uid, series[0].SeriesDescription):
        assert value not in node.said
    assert re.search(r"series [0-9a-f]{8}: 24 images, rule everything", node.said)


def test_results_go_to_dicomweb(orthanc, series, small_model, tmp_path):
    with listening(tmp_path, small_model, {"web": {"dicomweb": orthanc.dicomweb}}) as node:
        assert node.store(series) == [0] * len(series)
        wait_until(lambda: "1 results sent" in node.said, node.said)
    assert len(segmentations(orthanc)) == 1


@pytest.mark.parametrize("moment", ["while images come", "while it waits", "while it segments", "while it sends"])
def test_killed_and_started_again_nothing_is_lost_and_nothing_twice(orthanc, series, small_model, tmp_path, moment):
    reachable = archive_of(orthanc)
    nowhere = {"archive": {"title": TITLE, "host": "127.0.0.1", "port": free_port()}}
    quiet = ("--quiet-seconds", "60") if moment in ("while images come", "while it waits") else ()
    with listening(tmp_path, small_model, nowhere if moment == "while it sends" else reachable, *quiet) as node:
        sent = series[:10] if moment == "while images come" else series
        assert node.store(sent) == [0] * len(sent)
        marks = {"while it segments": "rule everything", "while it sends": "cannot be reached"}
        wait_until(lambda: marks.get(moment, "") in node.said, node.said)
        node.process.send_signal(signal.SIGKILL)
        node.process.wait()
    assert segmentations(orthanc) == []
    with listening(tmp_path, small_model, reachable) as node:
        if moment == "while images come":  # the sender begins again, as all do that got no answer
            assert node.store(series) == [0] * len(series)
        wait_until(lambda: "1 results sent" in node.said, node.said)
        time.sleep(2)
        assert node.said.count("results sent") == 1
    (seg,) = segmentations(orthanc)
    referenced = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {item.ReferencedSOPInstanceUID for item in referenced} <= {one.SOPInstanceUID for one in series}
    assert f"{len(series)} images" in node.said


def test_slices_that_come_late_are_segmented_with_the_others(orthanc, series, small_model, tmp_path):
    with listening(tmp_path, small_model, archive_of(orthanc)) as node:
        assert node.store(series[:20]) == [0] * 20
        wait_until(lambda: "20 images" in node.said and "results sent" in node.said, node.said)
        assert node.store(series[20:]) == [0] * 4
        wait_until(lambda: node.said.count("results sent") == 2, node.said)
        assert "24 images" in node.said


def test_who_may_send(series, small_model, tmp_path, orthanc):
    with listening(tmp_path, small_model, archive_of(orthanc), "--allow-title", "SCANNER") as node:
        assert node.store(series[:1], "STRANGER") == []
        assert node.store(series[:1], "SCANNER") == [0]
    other = tmp_path / "other"
    other.mkdir()
    with listening(other, small_model, archive_of(orthanc), "--allow-peer", "10.1.0.0/16") as node:
        assert node.store(series[:1]) == []
        ae = AE("SCANNER")
        ae.add_requested_context(Verification)
        assert ae.associate("127.0.0.1", node.port, ae_title=NODE).is_rejected
        wait_until(lambda: "--allow-peer" in node.said, node.said)


def test_a_full_disk_is_said_to_the_sender(orthanc, series, small_model, tmp_path):
    room = 8 * len(series[0].PixelData) / (1 << 30)
    with listening(tmp_path, small_model, archive_of(orthanc), "--disk-gb", f"{room:.9f}") as node:
        statuses = node.store(series)
        assert statuses[0] == 0
        assert statuses[-1] == 0xA700
        assert set(statuses) == {0, 0xA700}


# --- TLS -----------------------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A key and a certificate that it signs itself, for one day."""
    key, made = folder / f"{name}.key", folder / f"{name}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return key, made


def storescu(port: int, file: Path, *options: object) -> "subprocess.CompletedProcess[str]":
    """Send a file as dcmtk does."""
    command = ["storescu", "-v", "-aet", "SCANNER", "-aec", NODE, "-R", *map(str, options)]
    return subprocess.run(
        [*command, "127.0.0.1", str(port), str(file)], capture_output=True, text=True, timeout=PATIENCE
    )


def test_tls(orthanc, series, small_model, tmp_path):
    """dcmtk sends with a certificate that is known; one that is not, none, and no TLS are refused."""
    (key, own), (their_key, theirs), (strange_key, strange) = (
        certificate(tmp_path, name) for name in ("node", "scanner", "stranger")
    )
    file = tmp_path / "image.dcm"
    series[0].save_as(file)
    options = ("--tls-cert", own, "--tls-key", key, "--tls-ca", theirs)
    with listening(tmp_path, small_model, archive_of(orthanc), *map(str, options)) as node:
        assert "with TLS" in node.said
        silent = socket.create_connection(("127.0.0.1", node.port))  # says nothing, and keeps nobody out
        sent = storescu(node.port, file, "+tls", their_key, theirs, "+cf", own)
        assert sent.returncode == 0, sent.stdout + sent.stderr
        assert "Success" in sent.stdout + sent.stderr
        assert storescu(node.port, file, "+tls", strange_key, strange, "+cf", own).returncode != 0
        assert storescu(node.port, file, "+tla", "+cf", own).returncode != 0
        assert storescu(node.port, file).returncode != 0
        silent.close()
        again = storescu(node.port, file, "+tls", their_key, theirs, "+cf", strange)
        assert again.returncode != 0  # the sender knows another node
        assert storescu(node.port, file, "+tls", their_key, theirs, "+cf", own).returncode == 0
    with listening(tmp_path, small_model, archive_of(orthanc), "--tls-cert", str(own), "--tls-key", str(key)) as node:
        assert storescu(node.port, file, "+tla", "+cf", own).returncode == 0
        assert storescu(node.port, file).returncode != 0
