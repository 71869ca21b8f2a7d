"""Surfaces of structures as STL, OBJ and GLB, for 3D Slicer, CAD, printing and web pages (extra ``mesh``).

STL and OBJ have no field for the patient's axes: points are mm, LPS+, with 3D Slicer's marker ``SPACE=LPS``. glTF
wants metres with Y up (glTF 2.0, 3.4): x is the patient's left, y superior, z anterior.
"""

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from openvista._version import __version__
from openvista.anatomy.colours import Colour, colour_for
from openvista.geometry.box import Box, Crop
from openvista.geometry.triangles import Triangles, surface_of
from openvista.scan import Segmentation

_LPS_OF_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_GLTF_OF_LPS = np.array([[0.001, 0, 0, 0], [0, 0, 0.001, 0], [0, -0.001, 0, 0], [0, 0, 0, 1]])
_GLTF_SPACE = "metres; x: patient's left, y: superior, z: anterior. LPS mm = 1000 * (x, -z, y)"

_FLOATS, _UNSIGNED_INTS = 5126, 5125  # glTF 2.0, 5.1.3
_VERTICES, _INDICES = 34962, 34963  # 5.11.5
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942  # 4.4.3
_LINES_AT_ONCE = 100_000


@dataclass(frozen=True, eq=False)
class NamedSurface:
    """A structure with voxels: its id, name, colour (0..255), and surface (mm, LPS+)."""

    id: int
    name: str
    colour: Colour
    surface: Triangles


def write_mesh(path: Path, segmentation: Segmentation) -> None:
    """Write the surfaces of all structures that have voxels into one file.

    Args:
        path: ``.stl`` (binary; without names, one surface after the other), ``.obj`` (a group each) or ``.glb`` (a
            node and a material each).
        segmentation: whose structures; at least one has a voxel.

    Raises:
        OSError: it could not be written.
        MissingExtraError: scikit-image is not installed.
    """
    write = {".stl": _write_stl, ".obj": _write_obj, ".glb": _write_glb}[path.suffix.lower()]
    write(path, list(_structures(segmentation)), segmentation.provenance)


def _structures(segmentation: Segmentation) -> Iterator[NamedSurface]:
    labels = segmentation.labels
    for key, sides in enumerate(ndimage.find_objects(labels), start=1):
        if sides is not None:
            mask = Crop(Box.of_slices(sides).start, labels[sides] == key)
            name = segmentation.names.get(key, f"label {key}")
            colour = segmentation.colours.get(key) or colour_for(key)
            yield NamedSurface(key, name, colour, surface_of(mask, segmentation.grid).moved(_LPS_OF_RAS))


def _write_stl(path: Path, structures: list[NamedSurface], _: object) -> None:
    """Binary STL; its 80 letters must not begin with "solid", which would mean text."""
    corner_type = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    with path.open("wb") as stream:
        stream.write(f"OpenVISTA {__version__} SPACE=LPS".encode().ljust(80, b"\0"))
        stream.write(struct.pack("<I", sum(len(each.surface.faces) for each in structures)))
        for each in structures:
            records = np.zeros(len(each.surface.faces), corner_type)
            records["corners"] = each.surface.vertices[each.surface.faces]
            records["normal"] = each.surface.face_normals()
            stream.write(records.tobytes())


def _write_obj(path: Path, structures: list[NamedSurface], _: object) -> None:
    """A group per structure; blanks, which would separate names of groups, become underscores."""
    before = 1  # OBJ counts all points of the file, from 1
    with path.open("w", encoding="utf-8") as stream:
        stream.write(f"# OpenVISTA {__version__}, mm\n# SPACE=LPS\n")
        for each in structures:
            name = re.sub(r"\s+", "_", each.name.strip())
            stream.write(f"g {name}\n")
            _write_lines(stream, "v %.5f %.5f %.5f\n", each.surface.vertices)
            _write_lines(stream, "f %d %d %d\n", each.surface.faces + before)
            before += len(each.surface.vertices)


def _write_lines(stream: Any, line: str, rows: NDArray[Any]) -> None:
    for start in range(0, len(rows), _LINES_AT_ONCE):
        some = rows[start : start + _LINES_AT_ONCE]
        stream.write((line * len(some)) % tuple(some.reshape(-1).tolist()))


def _write_glb(path: Path, structures: list[NamedSurface], provenance: dict[str, object]) -> None:
    """Binary glTF 2.0: a node, a mesh and a material per structure, all values in one buffer."""
    buffer = _Buffer()
    nodes, meshes, materials = [], [], []
    for number, each in enumerate(structures):
        surface = each.surface.moved(_GLTF_OF_LPS)
        attributes = {
            "POSITION": buffer.add(surface.vertices.astype("<f4"), _FLOATS, "VEC3", _VERTICES),
            "NORMAL": buffer.add(surface.normals().astype("<f4"), _FLOATS, "VEC3", _VERTICES),
        }
        indices = buffer.add(surface.faces.reshape(-1).astype("<u4"), _UNSIGNED_INTS, "SCALAR", _INDICES)
        primitive = {"attributes": attributes, "indices": indices, "material": number}
        nodes.append({"name": each.name, "mesh": number, "extras": {"id": each.id}})
        meshes.append({"name": each.name, "primitives": [primitive]})
        surface_look = {"baseColorFactor": _linear(each.colour), "metallicFactor": 0.0, "roughnessFactor": 0.7}
        materials.append({"name": each.name, "pbrMetallicRoughness": surface_look})
    made_by = {key: provenance[key] for key in ("model", "weights_sha256") if isinstance(provenance.get(key), str)}
    extras = {"space": _GLTF_SPACE} | made_by
    content = {
        "asset": {"version": "2.0", "generator": f"OpenVISTA {__version__}", "extras": extras},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(nodes)))}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": materials,
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": buffer.length}],
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    with path.open("wb") as stream:
        stream.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + buffer.length))
        stream.write(struct.pack("<II", len(text), _JSON_CHUNK) + text)
        stream.write(struct.pack("<II", buffer.length, _BINARY_CHUNK))
        for piece in buffer.pieces:
            stream.write(piece)


class _Buffer:
    """The values of a glTF file one after the other, and what says where they are; all have 4 bytes."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.views: list[dict[str, object]] = []
        self.accessors: list[dict[str, object]] = []
        self.length = 0

    def add(self, values: NDArray[Any], component: int, kind: str, target: int) -> int:
        """Append values; the number of their accessor. Points get the bounds that the format asks for."""
        piece = values.tobytes()
        self.views.append({"buffer": 0, "byteOffset": self.length, "byteLength": len(piece), "target": target})
        accessor: dict[str, object] = {"bufferView": len(self.views) - 1, "componentType": component, "type": kind}
        accessor["count"] = len(values)
        if kind == "VEC3":
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        self.accessors.append(accessor)
        self.pieces.append(piece)
        self.length += len(piece)
        return len(self.accessors) - 1


def _linear(colour: Colour) -> list[float]:
    """A screen's colour as glTF wants it: linear, 0..1, with alpha (IEC 61966-2-1)."""
    shares = [channel / 255 for channel in colour]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return [*(round(share, 6) for share in linear), 1.0]
