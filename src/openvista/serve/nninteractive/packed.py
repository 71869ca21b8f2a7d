"""Arrays as nnInteractive's protocol packs them: a header of our own reading, then chunks that blosc2 packed.

Layout, little-endian: ``NNIA``, version 1, codec (1 ZSTD, 2 LZ4), number of axes, length of the type's name; the name;
the shape as int64; the number of chunks as uint32; for each chunk its unpacked and packed length as uint64, and its
bytes. The last axis varies fastest. From ``nnInteractive/inference/remote/serialization.py`` (Apache-2.0).

The header is read by the server, so that sizes are refused before anything is reserved; chunks of others are unpacked
in the confined process only (:mod:`openvista.serve.sandbox_child`).
"""

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from openvista.errors import ServiceError, needs_extra

_MAGIC, _VERSION, _ZSTD, _CODECS = b"NNIA", 1, 1, (1, 2)
_FIXED = struct.Struct("<4sBBBB")
_COUNT = struct.Struct("<I")
_LENGTHS = struct.Struct("<QQ")
_MOST_AXES = 4
_CHUNK_BYTES = 1 << 30  # blosc2 counts in int32
_LEVEL = 3
_TYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float16", "float32", "float64")


@dataclass(frozen=True)
class PackedHeader:
    """What a packed array says about itself.

    Attributes:
        dtype: of its values; numbers only.
        shape: of 1 to 4 axes, none empty.
        nbytes: of this header.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    nbytes: int


def read_header(file: BinaryIO, most_voxels: int) -> PackedHeader:
    """Read the header, and leave the file at the number of chunks.

    Args:
        file: at its beginning.
        most_voxels: more are refused.

    Raises:
        ServiceError: 422, it is no packed array; 413, it is too large.
    """
    magic, version, codec, axes, name_bytes = _FIXED.unpack(_take(file, _FIXED.size))
    if (magic, version) != (_MAGIC, _VERSION) or codec not in _CODECS or not 1 <= axes <= _MOST_AXES:
        raise _damaged("it is none of nnInteractive's packed arrays of version 1")
    name = _take(file, name_bytes).decode("ascii", "replace")
    if name not in _TYPES:
        raise _damaged(f"values of type {name[:20]!r} are not taken; send {', '.join(_TYPES)}")
    shape = struct.unpack(f"<{axes}q", _take(file, 8 * axes))
    if min(shape) < 1:
        raise _damaged(f"shape {shape} is empty")
    if math.prod(shape) > most_voxels:
        message = f"the array has shape {shape}: more than the {most_voxels} voxels this server takes"
        raise ServiceError(message, status=413, code="too-large")
    return PackedHeader(np.dtype(name), shape, file.tell())


def unpack(path: Path, most_voxels: int) -> NDArray[Any]:
    """The array in a file. Only in a confined process: the bytes are somebody else's.

    Raises:
        ServiceError: 422, damaged; 413, too large.
    """
    with needs_extra("blosc2", "nninteractive", "read nnInteractive's arrays"):
        import blosc2
    with path.open("rb") as file:
        header = read_header(file, most_voxels)
        (chunks,) = _COUNT.unpack(_take(file, _COUNT.size))
        values = np.empty(math.prod(header.shape), header.dtype)
        size, begun, at = header.dtype.itemsize, 0, file.tell()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            for _ in range(chunks):
                if begun == values.size:
                    raise _damaged("it holds more than its shape says")
                unpacked, packed = _LENGTHS.unpack(_piece(mapped, at, _LENGTHS.size))
                at += _LENGTHS.size
                stop = begun + unpacked // size
                if unpacked % size or not begun < stop <= values.size:
                    raise _damaged("its chunks do not fit its shape")
                _unpack_chunk(blosc2, _piece(mapped, at, packed), values[begun:stop])
                begun, at = stop, at + packed
    if begun != values.size:
        raise _damaged("it holds less than its shape says")
    return values.reshape(header.shape)


def pack(values: NDArray[Any]) -> bytes:
    """An array packed.

    Raises:
        MissingExtraError: without blosc2.
    """
    with needs_extra("blosc2", "nninteractive", "answer nnInteractive's clients"):
        import blosc2
    values = np.ascontiguousarray(values)
    name, size = values.dtype.name.encode("ascii"), values.dtype.itemsize
    raw = values.data.cast("B")
    parts = [raw[start : start + _CHUNK_BYTES] for start in range(0, len(raw), _CHUNK_BYTES)]
    answer = [_FIXED.pack(_MAGIC, _VERSION, _ZSTD, values.ndim, len(name)), name]
    answer += [struct.pack(f"<{values.ndim}q", *values.shape), _COUNT.pack(len(parts))]
    choices = {"codec": blosc2.Codec.ZSTD, "clevel": _LEVEL, "filters": [blosc2.Filter.NOFILTER], "nthreads": 1}
    for part in parts:
        packed = blosc2.compress2(part, typesize=size, **choices)
        answer += [_LENGTHS.pack(len(part), len(packed)), packed]
    return b"".join(answer)


def _unpack_chunk(blosc2: Any, packed: bytes, into: NDArray[Any]) -> None:
    """blosc2 itself does not mind a target of another size, so the size is asked first."""
    try:
        fits = blosc2.get_cbuffer_sizes(packed)[:2] == (into.nbytes, len(packed))
        if fits:
            blosc2.decompress2(packed, dst=into, nthreads=1)
    except (ValueError, RuntimeError, TypeError):
        fits = False
    if not fits:
        raise _damaged("a chunk of it cannot be unpacked")


def _take(file: BinaryIO, count: int) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise _damaged("it is cut off")
    return found


def _piece(mapped: mmap.mmap, start: int, count: int) -> bytes:
    if start + count > len(mapped):
        raise _damaged("it is cut off")
    return mapped[start : start + count]


def _damaged(why: str) -> ServiceError:
    return ServiceError(f"the packed array cannot be read: {why}", code="array")
