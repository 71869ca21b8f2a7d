"""Arrays from untrusted npz files. Lists of dicts are stored pickled; nothing but plain values is unpickled."""

import pickle
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np

from openvista.errors import ScanError, first_line
from openvista.io.npy import DAMAGE, read_header, refuse_bomb

Arrays = dict[str, np.ndarray[Any, Any]]

_DAMAGE = (*DAMAGE, pickle.UnpicklingError, IndexError, TypeError, AttributeError, MemoryError, OverflowError)


def read_arrays(path: Path, keys: Collection[str]) -> Arrays:
    """Those of the keys that a file has.

    Raises:
        ScanError: it is no npz file, is damaged, or holds something that is not plain numbers, texts, lists and dicts.
    """
    arrays: Arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_bomb(archive)
            for member in archive.namelist():
                key = member.removesuffix(".npy")
                if key in keys:
                    with archive.open(member) as stream:
                        arrays[key] = _read_array(stream)
    except _DAMAGE as error:
        reason = first_line(error).rstrip(".")
        raise ScanError(f"{path}: cannot be read as npz ({reason}); write it again with numpy.savez") from None
    return arrays


def _read_array(stream: IO[bytes]) -> np.ndarray[Any, Any]:
    shape, fortran, dtype = read_header(stream)
    if dtype.hasobject:
        return np.asarray(_PlainValues(stream).load())
    values = np.frombuffer(stream.read(), dtype=dtype)
    return values.reshape(shape, order="F" if fortran else "C")


class _PlainValues(pickle.Unpickler):
    """Rebuilds numpy's arrays and numbers, and refuses to look up anything else."""

    _ALLOWED = frozenset(
        {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
        | {
            (f"numpy.{core}.{module}", name)
            for core in ("core", "_core")
            for module, name in (("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it wants to run {module}.{name}")
        return super().find_class(module, name)
