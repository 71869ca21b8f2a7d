"""Arrays out of npz files: equal to what was stored, and nothing is touched that was not asked for."""

import io
import os
import zipfile

import numpy as np
import pytest

from openvista.cvpr.npz import read_arrays
from openvista.errors import ScanError

STORED = [
    np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    np.arange(6, dtype=">i4"),
    np.array(2.5, np.float32),
    np.array([[True, False]]),
    np.array(["liver", "hepatic tumour"]),
]


class _Maker:
    """Makes a folder when it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("made-by-a-pickle",))


@pytest.mark.parametrize("values", STORED, ids=lambda values: f"{values.dtype}-{values.ndim}D")
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_numbers_and_texts_come_back_as_numpy_reads_them(tmp_path, values, save):
    save(tmp_path / "a.npz", wanted=values)
    read = read_arrays(tmp_path / "a.npz", {"wanted"})["wanted"]
    with np.load(tmp_path / "a.npz") as expected:
        assert read.dtype == expected["wanted"].dtype
        assert read.shape == values.shape
        assert np.array_equal(read, expected["wanted"])


def test_lists_of_dicts_come_back_with_arrays_and_numbers_in_them(tmp_path):
    clicks = [{"fg": [[1, 2, 3]], "bg": []}, {"fg": [np.array([4, 5, 6])], "bg": [(np.int64(7), 8.5, None)]}]
    np.savez(tmp_path / "a.npz", clicks=np.array(clicks, dtype=object))
    first, second = read_arrays(tmp_path / "a.npz", {"clicks"})["clicks"]
    assert first == clicks[0]
    assert second["fg"][0].tolist() == [4, 5, 6]
    assert second["bg"] == clicks[1]["bg"]


def test_what_was_not_asked_for_is_not_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", imgs=np.ones(3), more=np.array([_Maker()], dtype=object))
    arrays = read_arrays(tmp_path / "a.npz", {"imgs", "spacing"})
    assert arrays.keys() == {"imgs"}
    assert not (tmp_path / "made-by-a-pickle").exists()


@pytest.mark.parametrize("call", [np.load, np.fromfile, open, eval])
def test_nothing_but_arrays_can_be_rebuilt(tmp_path, call):
    class Caller:
        def __reduce__(self):
            return (call, (str(tmp_path / "none"),))

    np.savez(tmp_path / "a.npz", boxes=np.array([{"deep": [Caller()]}], dtype=object))
    with pytest.raises(ScanError, match=rf"a\.npz: .*it wants to run \S*\.{call.__name__}"):
        read_arrays(tmp_path / "a.npz", {"boxes"})


def test_fewer_values_than_the_header_says_is_told(tmp_path):
    member = io.BytesIO()
    np.save(member, np.arange(24.0).reshape(2, 3, 4))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("imgs.npy", member.getvalue()[:-16])
    with pytest.raises(ScanError, match="cannot be read as npz") as caught:
        read_arrays(tmp_path / "a.npz", {"imgs"})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_both_versions_of_headers_are_read(tmp_path, version):
    member = io.BytesIO()
    np.lib.format.write_array(member, np.arange(5), version=version)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("imgs.npy", member.getvalue())
    assert read_arrays(tmp_path / "a.npz", {"imgs"})["imgs"].tolist() == [0, 1, 2, 3, 4]
