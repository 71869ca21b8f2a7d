import io
import zipfile

import numpy as np
import pytest

from openvista.cvpr.npz import read_arrays
from openvista.errors import InputError, OutputError, SessionError
from openvista.io.scratch import scratch_array
from openvista.io.session_file import SessionContents, read_log, read_session, write_log, write_session

CONTENTS = SessionContents(
    {"format": 1, "events": [{"action": "undo"}]},
    {"a.b": np.arange(6, dtype=np.float16).reshape(1, 2, 3), "c": np.eye(2)},
)


def test_contents_come_back(tmp_path):
    path = write_session(CONTENTS, tmp_path / "a.ovsession")
    back = read_session(path)
    assert back.manifest == CONTENTS.manifest
    assert set(back.arrays) == {"a.b", "c"}
    assert np.array_equal(back.arrays["a.b"], CONTENTS.arrays["a.b"])
    assert back.arrays["a.b"].dtype == np.float16
    assert read_log(path) == [{"action": "undo"}]


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "cut", "flipped"])
def test_damaged_files_are_one_line(tmp_path, damage):
    path = tmp_path / "a.ovsession"
    if damage != "missing":
        content = write_session(CONTENTS, path).read_bytes()
        middle = len(content) // 3
        flipped = (
            content[:middle] + bytes(255 - byte for byte in content[middle : middle + 40]) + content[middle + 40 :]
        )
        path.write_bytes({"empty": b"", "text": b"hello", "cut": content[:-30], "flipped": flipped}[damage])
    with pytest.raises(SessionError, match=r"a\.ovsession") as caught:
        read_session(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("header", ["{'descr': '<f8', 'shape': (3,", "{b'x': 1, 'y': 2}", "(" * 300, "{'descr': '<f8'"])
def test_an_array_whose_header_is_no_literal(tmp_path, header):
    """NumPy reads an old header as Python's own text; its tokenizer has errors of its own."""
    path = tmp_path / "a.ovsession"
    text = header.encode().ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr("arrays/a.npy", b"\x93NUMPY\x01\x00\x76\x00" + text + bytes(96))
    with pytest.raises(SessionError, match=r"a\.ovsession"):
        read_session(path)


def test_an_array_that_claims_more_than_it_holds(tmp_path):
    path = tmp_path / "a.ovsession"
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr("arrays/a.npy", content.getvalue().replace(b"(3,), }         ", b"(3000000000,), }"))
    with pytest.raises(SessionError, match="claims 24000000000 bytes and holds 24"):
        read_session(path)


@pytest.mark.parametrize("read", [read_session, lambda path: read_arrays(path, {"arrays/a"})])
def test_a_bomb_is_refused_before_it_unpacks(tmp_path, monkeypatch, read):
    monkeypatch.setattr("openvista.io.npy.free_host_memory", lambda: 1 << 20)
    path = tmp_path / "a.ovsession"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr("arrays/a.npy", bytes(2 << 20))
    with pytest.raises(InputError, match="unpacks to"):
        read(path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(OutputError, match="create the folder first"):
        write_session(CONTENTS, tmp_path / "no" / "a.ovsession")


def test_logs(tmp_path):
    path = write_log({"events": [{"action": "undo", "time": "now"}]}, tmp_path / "log.json")
    assert read_log(path) == [{"action": "undo", "time": "now"}]
    (tmp_path / "bare.json").write_text('[{"action": "redo"}]')
    assert read_log(tmp_path / "bare.json") == [{"action": "redo"}]
    for text in ("{", '{"events": 3}', '{"events": [{"click": 1}]}'):
        path.write_text(text)
        with pytest.raises(SessionError, match=r"log\.json: not a log"):
            read_log(path)
    with pytest.raises(SessionError, match="there is no such log"):
        read_log(tmp_path / "none.json")


def test_scratch_arrays_are_zeros_and_leave_nothing_behind(tmp_path):
    array = scratch_array((3, 4), np.float16, tmp_path)
    assert not array.any()
    array[1] = 7
    assert array.sum() == 28
    assert list(tmp_path.iterdir()) == []


def test_scratch_space_is_reserved_at_once(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        scratch_array((1 << 31, 1 << 20), np.float32, tmp_path)
    with pytest.raises(OutputError):
        scratch_array((2, 2), np.float32, tmp_path / "no")
