"""Sending to a DICOM node: what arrives, and one line for what does not."""

import numpy as np
import pytest

from openvista.errors import OutputError
from openvista.pacs.node import Node, NodeSettings
from openvista.pacs.queue import SeriesQueue
from openvista.pacs.rules import Destination
from openvista.pacs.send import send
from small_series import ct_series


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.dcm"
    ct_series(np.zeros((40, 40, 1), np.int16))[0].save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    ("title", "own_title", "room", "said"),
    [
        ("ARCHIVE", "OPENVISTA", 10_000, None),
        ("ARCHIVE", "STRANGER", 10_000, "does it know the AE title STRANGER"),
        ("OTHER", "OPENVISTA", 10_000, "refuses the association"),
        ("ARCHIVE", "OPENVISTA", 100, "0xA700"),
    ],
)
def test_what_a_node_answers(image, tmp_path, title, own_title, room, said):
    folder = tmp_path / "archive"
    folder.mkdir()
    got = SeriesQueue(folder, room, 0.0)
    node = Node(NodeSettings("ARCHIVE", port=0, titles=("OPENVISTA",)), got)
    destination = Destination(title=title, host="127.0.0.1", port=node.start())
    try:
        if said is None:
            send(image, destination, own_title)
            assert len(list(folder.glob("*/instances/*.dcm"))) == 1
        else:
            with pytest.raises(OutputError, match=said):
                send(image, destination, own_title)
    finally:
        node.stop()


def test_a_node_that_is_not_there(image):
    with pytest.raises(OutputError, match="cannot be reached"):
        send(image, Destination(title="ARCHIVE", host="127.0.0.1", port=9), "OPENVISTA")
