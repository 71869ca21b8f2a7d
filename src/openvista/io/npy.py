"""Arrays in NumPy's own format, out of archives that anybody may have made."""

import io
import math
import tokenize
import zipfile
import zlib
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from openvista.memory import free_host_memory

_HEADER_ERRORS = (tokenize.TokenError, SyntaxError, TypeError, OverflowError, RecursionError, MemoryError)
"""What NumPy lets through where the text of a header is no literal: it is a Python expression."""

DAMAGE = (OSError, KeyError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, NotImplementedError)
"""What reading a damaged archive and its texts and arrays can raise; RuntimeError where a member is encrypted."""


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the first axis is fastest, and type.

    Raises:
        ValueError: the header is damaged.
    """
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except _HEADER_ERRORS as error:
        raise ValueError(f"an array's header is damaged: {type(error).__name__}") from None
    if any(length < 0 for length in shape):
        raise ValueError(f"an array claims the shape {shape}")
    return shape, fortran, dtype


def read_array(content: bytes) -> NDArray[Any]:
    """An array of plain values; not more of them than there are bytes for.

    Raises:
        ValueError: it is damaged, or holds Python objects.
    """
    stream = io.BytesIO(content)
    shape, _, dtype = read_header(stream)
    claimed, held = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if claimed != held and not dtype.hasobject:
        raise ValueError(f"an array of shape {shape} claims {claimed} bytes and holds {held}")
    array: NDArray[Any] = npy.read_array(io.BytesIO(content), allow_pickle=False)
    return array


def refuse_bomb(archive: zipfile.ZipFile) -> None:
    """Refuse an archive that unpacks to more than this process can have. Reading a member stops at what it claims.

    Raises:
        ValueError: naming both sizes.
    """
    claimed, free = sum(member.file_size for member in archive.infolist()), free_host_memory()
    if claimed > free:
        raise ValueError(f"it unpacks to {claimed / 1e9:.1f} GB where {free / 1e9:.1f} GB are free")
