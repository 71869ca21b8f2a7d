"""Damage, drawn from a seed: to bytes, to the numbers in a text, to the fields of a header, to a tree of values."""

import gzip
import io
import json
import random
import re
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import nibabel as nib
import pydicom
import yaml

NUMBERS = ["-1", "0", "1", "2", "32767", "65536", "-2147483648", "4294967296", "1e30", "-1e30", "1e-300", "1e400",
           "nan", "inf", "-inf", "", "x", "9" * 40, "0x10", "1 2", "3.5", "%s", "%n", "(", "\0"]  # fmt: skip
VALUES: list[Any] = [None, True, [], {}, "", "x" * 3000, "\0", "../../etc/passwd", -1, 0, 3.5, 1e308, float("nan"),
                     float("inf"), 10**30, -(10**30), [None], [[[]]], {"a": 1}, ["x"], "9" * 5000, "liver", [1, 2, 3],
                     "é\u2028", {"": {}}]  # fmt: skip
FIELDS: list[Any] = [0, 1, -1, 2, 7, 127, -128, 255, 32767, -32768, 2**31 - 1, -(2**31), float("nan"), float("inf"),
                     1e30, 1e-30, 1e5, -3.0, 0.001]  # fmt: skip

Mutation = Callable[[bytes, random.Random], bytes]


def damaged(name: str, content: bytes, draw: random.Random) -> bytes:
    """A damaged copy."""
    special = [mutation for ending, mutation in _SPECIAL if name.endswith(ending)]
    mutation = draw.choice([*special, *special, _bytes]) if special else _bytes
    return mutation(content, draw)


# --- bytes --------------------------------------------------------------------------------------------------------


def _bytes(content: bytes, draw: random.Random) -> bytes:
    return draw.choice([_flip, _flip, _early, _cut, _grow, _blank, _swap, _insert])(content, draw)


def _flip(content: bytes, draw: random.Random, until: int | None = None) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        changed[draw.randrange(min(len(changed), until or len(changed)))] = draw.choice([0, 255, draw.randrange(256)])
    return bytes(changed)


def _early(content: bytes, draw: random.Random) -> bytes:
    return _flip(content, draw, 400)


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def _grow(content: bytes, draw: random.Random) -> bytes:
    return content + draw.choice([bytes(1000), content, draw.randbytes(100)])


def _blank(content: bytes, draw: random.Random) -> bytes:
    first = draw.randrange(len(content))
    length = draw.choice([4, 16, 100, 1000])
    return content[:first] + draw.choice([b"\0", b"\xff", b" "]) * length + content[first + length :]


def _swap(content: bytes, draw: random.Random) -> bytes:
    a, b, c = sorted(draw.randrange(len(content)) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _insert(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(content))
    return content[:place] + draw.randbytes(draw.choice([1, 2, 3, 50])) + content[place:]


# --- texts --------------------------------------------------------------------------------------------------------


def _numbers(content: bytes, draw: random.Random) -> bytes:
    """Other numbers in the text at the beginning, or a line that is there twice, or not."""
    end = len(content) if len(content) < 4000 else 4000
    found = list(re.finditer(rb"-?\d+(\.\d*)?(e-?\d+)?", content[:end]))
    if not found or draw.random() < 0.25:
        return _lines(content, draw)
    for match in sorted(draw.sample(found, min(len(found), draw.choice([1, 1, 2]))), key=lambda m: -m.start()):
        content = content[: match.start()] + draw.choice(NUMBERS).encode() + content[match.end() :]
    return content


def _lines(content: bytes, draw: random.Random) -> bytes:
    head, separator, rest = content[:4000], b"", content[4000:]
    lines = head.split(b"\n")
    place = draw.randrange(len(lines))
    action = draw.choice(["drop", "twice", "move", "long"])
    if action == "drop":
        del lines[place]
    elif action == "twice":
        lines.insert(place, lines[place])
    elif action == "move":
        lines.insert(draw.randrange(len(lines)), lines.pop(place))
    else:
        lines[place] += b"1 " * draw.choice([10, 500, 5000])
    return b"\n".join(lines) + separator + rest


# --- trees --------------------------------------------------------------------------------------------------------


def _tree(content: bytes, draw: random.Random) -> bytes:
    tree = json.loads(content)
    _change(tree, draw)
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def _yaml_tree(content: bytes, draw: random.Random) -> bytes:
    tree = yaml.safe_load(content)
    _change(tree, draw)
    return yaml.safe_dump(tree).encode()


def _change(tree: Any, draw: random.Random) -> None:
    places: list[tuple[Any, Any]] = []
    ahead = [tree]
    while ahead:
        node = ahead.pop()
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        places += [(node, key) for key in keys]
        ahead += [node[key] for key in keys if isinstance(node[key], (dict, list))]
    for _ in range(draw.choice([1, 1, 2])):
        node, key = draw.choice(places)
        if isinstance(node, list) and key >= len(node):
            continue
        action = draw.random()
        if action < 0.15:
            node.pop(key, None) if isinstance(node, dict) else node.pop(key)
        elif action < 0.25 and isinstance(node, dict):
            node[str(draw.choice(VALUES))[:50]] = node.pop(key, None)
        else:
            node[key] = draw.choice(VALUES)


# --- containers ---------------------------------------------------------------------------------------------------


def _nifti_field(content: bytes, draw: random.Random) -> bytes:
    """A header field with a value that its type can hold, and nothing else."""
    header = nib.Nifti1Header(content[:348], check=False)
    for _ in range(draw.choice([1, 1, 2])):
        name = draw.choice(header.keys())
        field = header.structarr[name]
        if field.dtype.kind == "S":
            continue
        value = draw.choice(FIELDS)
        if field.dtype.kind in "iu" and (value != value or abs(value) == float("inf")):
            value = 0
        info = None if field.dtype.kind == "f" else nib.casting.np.iinfo(field.dtype)
        value = value if info is None else max(info.min, min(info.max, int(value)))
        if field.shape:
            field[draw.randrange(len(field))] = value
        else:
            header.structarr[name] = value
    return header.binaryblock + content[348:]


def _inside_gzip(content: bytes, draw: random.Random) -> bytes:
    inner = gzip.decompress(content)
    return gzip.compress(draw.choice([_nifti_field, _nifti_field, _bytes])(inner, draw), 1)


def _inside_zip(content: bytes, draw: random.Random) -> bytes:
    """One member damaged, or all of the archive's order."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as changed:
        names = archive.namelist()
        chosen = draw.choice(names)
        for name in names:
            member = archive.read(name)
            if name == chosen:
                by_ending = next((mutation for ending, mutation in _MEMBERS if name.endswith(ending)), _bytes)
                member = draw.choice([by_ending, by_ending, _bytes])(member, draw)
            if name != chosen or draw.random() < 0.9:
                changed.writestr(name, member)
    return out.getvalue()


def _dicom_element(content: bytes, draw: random.Random) -> bytes:
    """What the header says of the image: another value, two values less, or nothing."""
    whole = pydicom.dcmread(io.BytesIO(content))
    groups = [whole]
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for item in whole.get(name, ()):
            groups += [inner for element in item if element.VR == "SQ" for inner in element.value]
    places = [(group, name) for group in groups for name in _ELEMENTS if name in group]
    for group, name in draw.sample(places, min(len(places), draw.choice([1, 1, 2]))):
        element = group[name]
        action = draw.random()
        if action < 0.15:
            del group[name]
        elif element.VR == "DS":
            values = [float(part) for part in (element.value if element.VM > 1 else [element.value])]
            place = draw.randrange(len(values))
            values[place] = draw.choice([values[place] + draw.choice([1, -1, 0.3, 0.001, 40]), 0, -1, 1e-9, 1e30])
            group[name].value = [f"{value:.9g}" for value in (values[:-1] if action < 0.25 else values)]
        elif element.VR in ("US", "SS", "IS"):
            group[name].value = draw.choice([0, 1, 2, 7, 8, 12, 15, 16, 32, 255, 32767])
        elif element.VR == "UI":
            group[name].value = draw.choice(["", "1.2.3", f"{element.value}.1"])
        else:
            group[name].value = draw.choice(["", "0", "99", "-1", "MR", "MONOCHROME1"])
    out = io.BytesIO()
    whole.save_as(out)
    return out.getvalue()


def _array(content: bytes, draw: random.Random) -> bytes:
    """The text of an array's header: its type, order and shape."""
    end = content.find(b"\n") + 1
    head, rest = content[:end], content[end:]
    found = list(re.finditer(rb"\d+|[<>|=][a-z]\d|True|False|'[a-z_]+'|[(){},:]", head[10:]))
    match = draw.choice(found)
    options = [b"-1", b"0", b"99999999999", b"", b"<f8", b"|O", b"<U9", b"'", b"(", b"True", b"None", b"1e9", b"2"]
    changed = head[10 : 10 + match.start()] + draw.choice(options) + head[10 + match.end() :]
    changed = changed.rstrip(b"\n").ljust(len(head) - 11)[: len(head) - 11] + b"\n"
    return head[:10] + changed + rest


def _inside_nrrd(content: bytes, draw: random.Random) -> bytes:
    """The voxels damaged where they are compressed: unpacked, changed, packed again."""
    head, separator, packed = content.partition(b"\n\n")
    try:
        return head + separator + gzip.compress(_bytes(gzip.decompress(packed), draw))
    except (OSError, EOFError, zlib.error):
        return _numbers(content, draw)


_ELEMENTS = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"),
    *("SliceThickness", "SpacingBetweenSlices", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Modality"),
    *("SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPClassUID", "PixelPaddingValue"),
)
_MEMBERS: list[tuple[str, Mutation]] = [(".json", _tree), (".npy", _array), (".dcm", _dicom_element)]
"""Of archives, by the ending of a member's name."""

_SPECIAL: list[tuple[str, Mutation]] = [
    (".nii", _nifti_field),
    (".nii.gz", _inside_gzip),
    (".nrrd", _numbers),
    ("packed.nrrd", _inside_nrrd),
    (".mha", _numbers),
    (".json", _tree),
    ("json", _numbers),
    (".dcm", _dicom_element),
    (".yaml", _yaml_tree),
    (".yaml", _numbers),
    (".npz", _inside_zip),
    (".ovsession", _inside_zip),
    (".zip", _inside_zip),
    ("model.pt", _inside_zip),
    (".safetensors", _numbers),
]
