"""The text headers of MetaImage and NRRD, checked before a library in C++ sees them.

A number of dimensions of 32767 or -1 ends a process inside the reading library, and a vector that is no vector becomes
zeros there. Both are refused here: MetaIO's and teem's readers take on trust what these formats' documents say
(https://itk.org/Wiki/MetaIO/Documentation, https://teem.sourceforge.net/nrrd/format.html). Neither says a word of
compressed voxels that are damaged, and gives other voxels instead: their checksums are looked at here as well.
"""

import math
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from openvista.errors import ScanError

_MOST_HEADER = 1 << 20  # a label map with names for 132 classes has 50 kB
_MOST_AXES = 7
_LONGEST_TEXT = 250  # MetaIO keeps comments and names in 255 characters
_LONGEST_VALUE = 30_000  # and other values in 32768 bytes
_METAIMAGE_TYPES = re.compile(
    r"MET_((U?(CHAR|SHORT|INT|LONG|LONG_LONG)|FLOAT|DOUBLE)(_ARRAY)?|(ASCII_)?CHAR|NONE|OTHER)"
)
_METAIMAGE_VECTORS = {
    "ElementSpacing": 1,
    "ElementSize": 1,
    "Offset": 1,
    "Position": 1,
    "Origin": 1,
    "CenterOfRotation": 1,
    "TransformMatrix": 2,
    "Rotation": 2,
    "Orientation": 2,
}
"""Fields with as many numbers as there are axes, to this power."""
_METAIMAGE_COUNTS = ("HeaderSize", "CompressedDataSize", "ElementNumberOfChannels", "ElementNBits")
_METAIMAGE_TEXTS = (
    *("ObjectType", "ObjectSubType", "TransformType", "Name", "Comment", "AnatomicalOrientation", "Modality"),
    *("AcquisitionDate", "DistanceUnits", "ElementType", "ElementDataFile"),
)
_METAIMAGE_KNOWN = {"NDims", "DimSize", *_METAIMAGE_VECTORS, *_METAIMAGE_COUNTS, *_METAIMAGE_TEXTS}
"""Others are whatever programs note down, such as all of a DICOM header."""
_NRRD_ALIASES = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}
_NRRD_NUMBERS = ("spacings", "thicknesses", "axis mins", "axis maxs")
_NRRD_WORDS = ("kinds", "centerings", "centers")
_NRRD_VECTOR = re.compile(r"\(([^()]*)\)|none")

_ZLIB, _GZIP = 15, 31
"""``wbits`` of the two containers: MetaImage's and NRRD's."""
_CHUNK = 1 << 20

Fields = dict[str, str]


def check_itk_header(path: Path) -> None:
    """Refuse a header that does not say what its format's document asks for.

    Raises:
        ScanError: naming the field and its value.
    """
    check: Callable[[Path], None] = _check_nrrd if path.suffix.lower() in (".nrrd", ".nhdr") else _check_metaimage
    check(path)


def check_packed_voxels(path: Path, count: int) -> None:
    """Refuse compressed voxels that are damaged or other than ``count`` bytes; the header is known to be good.

    Raises:
        ScanError: naming the file they lie in.
    """
    packed = _packed_nrrd(path) if path.suffix.lower() in (".nrrd", ".nhdr") else _packed_metaimage(path)
    if packed is None:
        return
    try:
        with packed.file.open("rb") as file:
            file.seek(packed.first)
            found = _unpacked_size(file, packed, count)
    except (OSError, zlib.error) as error:
        raise ScanError(f"{path}: its compressed voxels are damaged: {error}; copy it again") from error
    if found != count:
        what = "end early" if found < count else "are more than its header says"
        raise ScanError(f"{path}: damaged or cut short: its compressed voxels {what}; copy it again")


def nrrd_key_values(path: Path) -> Fields:
    """The ``key:=value`` lines of an NRRD header, such as Slicer's segment fields.

    Raises:
        ScanError: the file cannot be read.
    """
    pairs = (line.split(":=", 1) for line in _nrrd_lines(path) if ":=" in line)
    return {key: re.sub(r"\\[n\\]", lambda found: "\n" if found[0] == r"\n" else "\\", value) for key, value in pairs}


# --- compressed voxels --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Packed:
    """Where compressed voxels lie.

    Attributes:
        file: that holds them.
        first: their first byte there.
        length: how many bytes they take; ``None``: to the file's end.
        container: ``wbits`` of :func:`zlib.decompressobj`.
    """

    file: Path
    first: int
    length: int | None
    container: int


def _packed_metaimage(path: Path) -> _Packed | None:
    fields = _metaimage_fields(path)
    if fields.get("CompressedData", "False")[:1] not in ("T", "t", "1"):
        return None
    if int(fields.get("CompressedDataSize", 0)) == 0:  # MetaIO then takes the size of the whole file
        raise ScanError(f"{path}: its voxels are compressed, but it lacks CompressedDataSize; export the scan again")
    first = max(int(fields.get("HeaderSize", 0)), 0)
    if (name := fields["ElementDataFile"]) not in ("LOCAL", "Local", "local"):
        return _Packed(path.parent / name, first, int(fields["CompressedDataSize"]), _ZLIB)
    head = _header(path)
    line = head.index(b"\n", head.index(b"ElementDataFile")) + 1
    return _Packed(path, first or line, int(fields["CompressedDataSize"]), _ZLIB)


def _packed_nrrd(path: Path) -> _Packed | None:
    lines = _nrrd_lines(path)
    pairs = (line.split(":", 1) for line in lines[1:] if ":" in line and ":=" not in line and line[:1] != "#")
    fields = {name.strip().lower(): value.strip() for name, value in pairs}
    fields = {_NRRD_ALIASES.get(name, name): value for name, value in fields.items()}
    skipped = any(int(fields.get(name, 0)) for name in ("line skip", "byte skip"))
    if fields.get("encoding", "").lower() not in ("gzip", "gz") or skipped:
        return None
    if name := fields.get("data file"):
        return None if name.startswith("LIST") else _Packed(path.parent / name, 0, None, _GZIP)
    end = re.search(rb"\r?\n\r?\n", _header(path))
    return _Packed(path, end.end(), None, _GZIP) if end else None


def _unpacked_size(file: BinaryIO, packed: _Packed, most: int) -> int:
    """How many bytes come out, at most a little more than ``most``; 0 where the stream does not end."""
    count, left = 0, packed.length if packed.length is not None else -1
    decoder, ahead = zlib.decompressobj(packed.container), b""
    while not decoder.eof or (count < most and (ahead or left)):
        if decoder.eof:  # several streams, one behind another, are one
            decoder = zlib.decompressobj(packed.container)
        if not ahead:
            ahead = file.read(_CHUNK if left < 0 else min(_CHUNK, left))
            left -= len(ahead) if left > 0 else 0
            if not ahead:
                break
        count += len(decoder.decompress(ahead, _CHUNK))
        if count > most:
            break
        ahead = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    return count if decoder.eof or count > most else 0


# --- MetaImage ----------------------------------------------------------------------------------------------------


def _check_metaimage(path: Path) -> None:
    fields = _metaimage_fields(path)
    axes = _whole(path, fields, "NDims", 2, _MOST_AXES)
    sizes = fields.get("DimSize", "").split()
    if len(sizes) != axes or not all(size.isdigit() and len(size) < 10 for size in sizes):
        raise _broken(path, "DimSize", fields.get("DimSize", ""), f"{axes} whole numbers")
    for name, power in _METAIMAGE_VECTORS.items():
        if name in fields:
            _check_numbers(path, name, fields[name], axes**power)
    for name in _METAIMAGE_COUNTS:
        if name in fields:
            _whole(path, fields, name, -1 if name == "HeaderSize" else 0, 1 << 48)
    kind = fields.get("ElementType", "")
    if not _METAIMAGE_TYPES.fullmatch(kind):
        raise _broken(path, "ElementType", kind, "a type such as MET_SHORT")
    _check_data_file(path, "ElementDataFile", fields["ElementDataFile"])


def _metaimage_fields(path: Path) -> Fields:
    """Up to and with ``ElementDataFile``, which is the last by definition; voxels may follow it."""
    fields: Fields = {}
    for line in _header(path).split(b"\n"):
        text = line.decode("utf-8", "replace").rstrip("\r")
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals and not name:
            continue
        ours = name in _METAIMAGE_KNOWN
        if not equals or not name.isprintable() or len(name) > _LONGEST_TEXT or (ours and name in fields):
            raise ScanError(
                f"{path}: not a readable MetaImage file: {text[:60]!r} is no line 'Name = value' of its own"
            )
        longest = _LONGEST_TEXT if name in _METAIMAGE_TEXTS else _LONGEST_VALUE
        if len(value) > longest or (ours and any(ord(letter) < 32 and letter != "\t" for letter in value)):
            raise _broken(path, name, value, f"at most {longest} letters")
        fields[name] = value
        if name == "ElementDataFile":
            return fields
    raise ScanError(f"{path}: not a readable MetaImage file: it has no ElementDataFile; export the scan again")


# --- NRRD ---------------------------------------------------------------------------------------------------------


def _check_nrrd(path: Path) -> None:
    lines = _nrrd_lines(path)
    if not lines or not re.fullmatch(r"NRRD000[1-6]", lines[0]):
        raise ScanError(
            f"{path}: not a readable NRRD file: it begins with {''.join(lines[:1])[:20]!r}; export the scan again"
        )
    fields: Fields = {}
    for line in lines[1:]:
        if not line or line.startswith("#") or ":=" in line:
            continue
        name, colon, value = (part.strip() for part in line.partition(":"))
        name = _NRRD_ALIASES.get(name.lower(), name.lower())
        if not colon or name in fields:
            raise ScanError(f"{path}: not a readable NRRD file: {line[:60]!r} is no line 'field: value' of its own")
        if len(value) > _LONGEST_VALUE:
            raise _broken(path, name, value, f"at most {_LONGEST_VALUE} letters")
        fields[name] = value
        if (name, value[:4]) == ("data file", "LIST"):  # file names follow, to the end
            break
    axes = _whole(path, fields, "dimension", 1, 16)
    sizes = fields.get("sizes", "").split()
    if len(sizes) != axes or not all(size.isdigit() and len(size) < 10 for size in sizes):
        raise _broken(path, "sizes", fields.get("sizes", ""), f"{axes} whole numbers")
    for name in _NRRD_NUMBERS:
        if name in fields:
            _check_numbers(path, name, fields[name], axes, may_be_nan=True)
    for name in _NRRD_WORDS:
        if name in fields and len(fields[name].split()) != axes:
            raise _broken(path, name, fields[name], f"{axes} words")
    _check_vectors(path, fields, axes)
    for name in ("line skip", "byte skip"):
        if name in fields:
            _whole(path, fields, name, -1, 1 << 48)
    if "data file" in fields:
        _check_data_file(path, "data file", fields["data file"])


def _check_vectors(path: Path, fields: Fields, axes: int) -> None:
    """``space directions``: a vector or "none" per axis; ``space origin``: one. All of the space's dimension."""
    wanted = {"space directions": axes, "space origin": 1}
    for name, count in wanted.items():
        if name not in fields:
            continue
        value = fields[name]
        if len(_NRRD_VECTOR.findall(value)) != count or _NRRD_VECTOR.sub("", value).strip():
            raise _broken(path, name, value, f"{count} vectors in parentheses")
        vectors = [found[1].split(",") for found in _NRRD_VECTOR.finditer(value) if found[1] is not None]
        if len({len(vector) for vector in vectors}) > 1:
            raise _broken(path, name, value, "vectors of one length")
        for vector in vectors:
            _check_numbers(path, name, " ".join(vector), len(vector))


def _nrrd_lines(path: Path) -> list[str]:
    """The lines up to the first empty one, behind which voxels begin."""
    head = re.split(rb"\r?\n\r?\n", _header(path), maxsplit=1)[0]
    return [line.decode("utf-8", "replace").rstrip("\r") for line in head.split(b"\n")]


# --- both ---------------------------------------------------------------------------------------------------------


def _header(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_HEADER)
    except OSError as error:
        raise ScanError(f"{path}: cannot be read: {error.strerror}; check its permissions") from error


def _whole(path: Path, fields: Fields, name: str, low: int, high: int) -> int:
    text = fields.get(name, "")
    if not re.fullmatch(r"[-+]?\d{1,15}", text) or not low <= int(text) <= high:
        raise _broken(path, name, text, f"a whole number {low}..{high}")
    return int(text)


def _check_numbers(path: Path, name: str, value: str, count: int, may_be_nan: bool = False) -> None:
    try:
        numbers = [float(part) for part in value.split()]
    except ValueError:
        raise _broken(path, name, value, f"{count} numbers") from None
    usable = all(math.isfinite(number) or (may_be_nan and math.isnan(number)) for number in numbers)
    if len(numbers) != count or not usable:
        raise _broken(path, name, value, f"{count} numbers")


def _check_data_file(path: Path, name: str, value: str) -> None:
    """A pattern of file names is handed to the C library's ``printf``, with what the file says as its format."""
    if "%" in value:
        raise _broken(path, name, value, "the name of one file")


def _broken(path: Path, name: str, value: str, wanted: str) -> ScanError:
    shown = value if len(value) <= 60 else value[:57] + "..."
    return ScanError(f"{path}: its header says {name} = {shown!r}, which must be {wanted}; export the scan again")
