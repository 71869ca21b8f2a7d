"""What a DICOM object says of each structure: number, name, codes, colour, who drew it; and where it lies."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from openvista._version import __version__
from openvista.anatomy.codes import StructureCodes, codes_for
from openvista.anatomy.colours import Colour, colour_for
from openvista.dicom_slices import DicomSlices
from openvista.errors import OutputError
from openvista.io.dicom.frames import labels_on_slices
from openvista.io.dicom.identity import new_uid, weights_of
from openvista.scan import Segmentation
from openvista.structures import present_ids

LONGEST_LABEL = 64
"""Characters of a segment's label and of an ROI's name (value representation LO)."""

_TRACKING = "OpenVISTA class "
_BY_MODEL = ("automatic", None)
"""What a session says of an object that began as the model's answer, or as nothing."""


@dataclass(frozen=True)
class DescribedStructure:
    """One structure of a result.

    Attributes:
        number: 1, 2, ... without gaps.
        label_id: its id in the segmentation.
        name: its name there.
        label: the name in at most 64 characters; no two structures have one label.
        colour: red, green, blue, 0..255.
        codes: what SNOMED CT calls it.
        tracking_id: holds the id; :func:`class_id_of` reads it.
        tracking_uid: the same whenever the same model finds the same structure in the same series.
        automatic: no user had a hand in it.
    """

    number: int
    label_id: int
    name: str
    label: str
    colour: Colour
    codes: StructureCodes
    tracking_id: str
    tracking_uid: str
    automatic: bool


@dataclass(frozen=True, eq=False)
class PlacedStructures:
    """The structures that are there, on the original slices.

    Attributes:
        structures: in order of number.
        layers: [slice, row, column] numbers; several where structures overlap.
    """

    structures: tuple[DescribedStructure, ...]
    layers: tuple[NDArray[np.unsignedinteger], ...] = field(repr=False)

    def mask(self, number: int) -> NDArray[np.bool_]:
        """[slice, row, column] where a structure is."""
        first, *others = [layer == number for layer in self.layers]
        for other in others:
            first |= other
        return np.asarray(first)

    def uid(self, kind: str, series_uid: str) -> str:
        """For an object of this kind: the same for the same structures, so that a PACS sees a repetition."""
        digests = [hashlib.sha256(layer.tobytes()).hexdigest() for layer in self.layers]
        about = [(one.tracking_uid, one.colour, one.automatic) for one in self.structures]
        return new_uid(kind, __version__, series_uid, *digests, *about)


def place_structures(segmentations: Sequence[Segmentation], slices: DicomSlices, series_uid: str) -> PlacedStructures:
    """What is labelled, described and on the original slices.

    Args:
        segmentations: of one scan; several where structures overlap.
        slices: of the scan.
        series_uid: of the scan.

    Raises:
        OutputError: nothing is labelled.
    """
    found = []
    for layer, segmentation in enumerate(segmentations):
        frames = labels_on_slices(segmentation.labels, slices)
        found += [(layer, key, frames) for key in present_ids(frames)]
    if not found:
        raise OutputError("nothing is labelled in the original slices: there is no structure to write")
    names = [segmentations[layer].names.get(key) or f"label {key}" for layer, key, _ in found]
    structures = [
        _described(segmentations[layer], number, key, (name, label), series_uid)
        for number, ((layer, key, _), name, label) in enumerate(
            zip(found, names, unique_labels(names), strict=True), start=1
        )
    ]
    layers = []
    for layer in sorted({layer for layer, _, _ in found}):
        numbers = {key: number for number, (own, key, _) in enumerate(found, start=1) if own == layer}
        frames = next(frames for own, _, frames in found if own == layer)
        layers.append(_renumbered(frames, numbers, len(structures)))
    return PlacedStructures(tuple(structures), tuple(layers))


def _described(
    segmentation: Segmentation, number: int, key: int, name_and_label: tuple[str, str], series_uid: str
) -> DescribedStructure:
    name, label = name_and_label
    origin = (series_uid, segmentation.provenance.get("model", ""), weights_of(segmentation.provenance))
    return DescribedStructure(
        number=number,
        label_id=key,
        name=name,
        label=label,
        colour=segmentation.colours.get(key) or colour_for(key),
        codes=codes_for(name),
        tracking_id=f"{_TRACKING}{key}: {name}",
        tracking_uid=new_uid("tracking", *origin, key, name),
        automatic="model" in segmentation.provenance and key not in touched_ids(segmentation.provenance),
    )


def class_id_of(tracking_id: str) -> int | None:
    """The id that :attr:`DescribedStructure.tracking_id` holds; None where it is somebody else's."""
    digits = tracking_id.removeprefix(_TRACKING).partition(":")[0]
    return int(digits) if tracking_id.startswith(_TRACKING) and digits.isdecimal() else None


def touched_ids(provenance: Mapping[str, object]) -> set[int]:
    """The ids of objects that a user clicked on or brought along, as a session's provenance tells."""
    prompts = provenance.get("prompts")
    objects = prompts.get("objects", []) if isinstance(prompts, Mapping) else []
    return {
        int(item["id"])
        for item in objects
        if isinstance(item, Mapping) and "id" in item and (item.get("clicks") or item.get("start") not in _BY_MODEL)
    }


def unique_labels(names: Iterable[str]) -> list[str]:
    """Names cut to 64 characters, on one line, without the backslash that DICOM keeps for itself; numbered if alike."""
    labels: list[str] = []
    for name in names:
        clean = " ".join(name.replace("\\", "/").split())[:LONGEST_LABEL] or "structure"
        label, count = clean, 2
        while label in labels:
            ending = f" ({count})"
            label, count = clean[: LONGEST_LABEL - len(ending)] + ending, count + 1
        labels.append(label)
    return labels


def _renumbered(
    frames: NDArray[np.unsignedinteger], numbers: Mapping[int, int], highest: int
) -> NDArray[np.unsignedinteger]:
    """Labels with numbers in place of their ids."""
    dtype = np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16
    number_of = np.zeros(int(np.iinfo(frames.dtype).max) + 1, dtype=dtype)
    number_of[list(numbers)] = list(numbers.values())
    return np.asarray(number_of[frames])
