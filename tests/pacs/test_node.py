"""The node, asked by another: who may send, what is kept, and what the sender hears."""

import ipaddress
from collections.abc import Iterator

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, build_context
from pynetdicom.sop_class import CTImageStorage, Verification

from openvista.errors import InputError
from openvista.pacs.node import Node, NodeSettings, TlsFiles, parse_peer
from openvista.pacs.queue import SeriesQueue
from small_dicom import IDENTIFIERS
from small_series import ct_series, store_all


@pytest.fixture
def queue(tmp_path) -> SeriesQueue:
    return SeriesQueue(tmp_path, 100_000, 0.0)


@pytest.fixture
def port(queue) -> Iterator[int]:
    node = Node(NodeSettings(port=0, titles=("SCANNER",)), queue)
    yield node.start()
    node.stop()


@pytest.fixture(scope="module")
def series() -> list[Dataset]:
    return ct_series(np.random.default_rng(0).integers(-900, 900, (8, 7, 3)), syntax="JPEG-LS")


def associate(port: int, title: str = "SCANNER", called: str = "OPENVISTA", syntax: str = ExplicitVRLittleEndian):
    ae = AE(title)
    ae.requested_contexts = [build_context(CTImageStorage, syntax), build_context(Verification)]
    return ae.associate("127.0.0.1", port, ae_title=called)


def test_images_are_kept_as_they_are_sent(port, queue, series, caplog):
    association = associate(port, syntax=series[0].file_meta.TransferSyntaxUID)
    assert association.send_c_echo().Status == 0
    with caplog.at_level("DEBUG", "openvista"):
        assert store_all(association, (*series, series[0])) == [0] * 4
    association.release()
    (kept,) = [queue.next()]
    assert kept.images == {one.SOPInstanceUID for one in series}
    for one in series:
        there = dcmread(kept.instances / f"{one.SOPInstanceUID}.dcm")
        assert there.file_meta.TransferSyntaxUID == one.file_meta.TransferSyntaxUID
        assert there.PixelData == one.PixelData
        assert there.PatientName == one.PatientName
    facts = kept.entry.facts
    assert (facts.modality, facts.description, facts.sender) == ("CT", series[0].SeriesDescription, "SCANNER")
    assert not any(value in caplog.text for value in IDENTIFIERS.values())


def test_titles_that_are_not_known_are_refused(port):
    assert associate(port, "STRANGER").is_rejected
    assert associate(port, called="SOMEBODY").is_rejected


def test_an_image_that_says_two_things_is_refused(port, queue, series):
    image = ct_series(np.zeros((4, 4, 1), np.int16), "other")[0]
    association = associate(port)
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.SeriesInstanceUID = "../../etc"
    assert store_all(association, [image]) == [0xC000]
    association.release()
    assert len(queue) == 0


def test_a_full_queue_is_said(port, queue):
    images = ct_series(np.zeros((150, 150, 4), np.int16))
    association = associate(port)
    statuses = store_all(association, images)
    association.release()
    assert statuses == [0, 0, 0xA700, 0xA700]


def test_every_kind_of_image_is_taken(port):
    ae = AE("SCANNER")
    ae.requested_contexts = list(AllStoragePresentationContexts)[:128]
    association = ae.associate("127.0.0.1", port, ae_title="OPENVISTA")
    assert len(association.accepted_contexts) == 128
    association.release()


def test_peers():
    settings = NodeSettings(host="0.0.0.0", peers=(parse_peer("10.1.0.0/16"), parse_peer("192.168.1.7")))
    assert settings.may_connect("10.1.2.3")
    assert settings.may_connect("::ffff:192.168.1.7")
    assert not settings.may_connect("10.2.0.1")
    assert not settings.may_connect("fe80::1%eth0")
    with pytest.raises(InputError, match="--allow-peer"):
        NodeSettings(host="0.0.0.0")
    with pytest.raises(InputError, match="no address"):
        parse_peer("pacs")
    with pytest.raises(InputError, match="AE title"):
        NodeSettings(title="much too long a title")
    assert isinstance(parse_peer("10.1.2.3"), ipaddress.IPv4Network)


def test_files_of_tls_that_are_none(queue, tmp_path):
    """Connections with certificates are tried in tests/services, with those of openssl."""
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    with pytest.raises(InputError, match=r"text\.pem and .*text\.pem are no certificate and its private key"):
        Node(NodeSettings(port=0, tls=TlsFiles(text, text)), queue).start()
    with pytest.raises(InputError, match=r"key\.pem: there is no such file"):
        Node(NodeSettings(port=0, tls=TlsFiles(text, tmp_path / "key.pem")), queue).start()
    with pytest.raises(InputError, match="--allow-peer"):
        NodeSettings(host="0.0.0.0", tls=TlsFiles(text, text))
    assert NodeSettings(host="0.0.0.0", tls=TlsFiles(text, text, authority=text)).may_connect("10.1.2.3")
