"""Which series there are, which of them is a CT that can be segmented, and which one is meant."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from openvista.errors import ScanError, SeveralSeriesError
from openvista.io.dicom.file_set import files_at
from openvista.io.dicom.instances import ImageFrame, Instance, read_instance

logger = logging.getLogger(__name__)

SECONDARY_CAPTURES = "1.2.840.10008.5.1.4.1.1.7"  # and .7.1 to .7.4, its multi-frame kinds (PS3.6 annex A)
SAME_PLACE_MM = 0.01

_SAME_DIRECTION = 1e-3  # 0.5 mm at the end of 500 mm: rounding in a header, not another orientation
_LISTED_DESCRIPTION = 64
_NO_POSITION = "no position in the patient"
_NO_IMAGE = "no image"
CT = ("CT",)
"""What Modality of an image says that may be read."""
_HU = ("", "HU", "HU_MOD", "US")  # Rescale Type (PS3.3 C.11.1.1.2); US is "unspecified"


@dataclass(frozen=True, eq=False)
class Series:
    """Frames that may make up one volume: those of a series that agree in orientation, size and frame of reference.

    Attributes:
        uid: Series Instance UID.
        part: 1, 2, ... where a series holds several such volumes, 0 where it is one.
        number: of the series, "" where missing.
        modality: such as "CT".
        description: of the series; may hold anything, so it belongs in no log.
        rows, columns: size of every frame.
        frames: in the order of files.
        left_out: why it cannot be segmented, "" if it may.
    """

    uid: str
    part: int
    number: str
    modality: str
    description: str = field(repr=False)
    rows: int
    columns: int
    frames: tuple[ImageFrame, ...] = field(repr=False)
    left_out: str = ""

    @property
    def key(self) -> str:
        """What ``--series`` takes: the UID, with the part where there are several."""
        return f"{self.uid}#{self.part}" if self.part else self.uid

    @property
    def name(self) -> str:
        """What a log may say: number and UID."""
        return f"series {self.number or '(no number)'} ({self.key})"

    @property
    def distances(self) -> list[float]:
        """mm along the normal of the slices, each place once, ascending."""
        first = self.frames[0] if self.frames else None
        if first is None or first.orientation is None:
            return []
        normal = np.cross(first.orientation[:3], first.orientation[3:])
        along = sorted(float(np.dot(frame.position, normal)) for frame in self.frames if frame.position is not None)
        return [here for before, here in zip([-np.inf, *along], along, strict=False) if here - before > SAME_PLACE_MM]

    @property
    def is_volume(self) -> bool:
        """A CT of more than one slice."""
        return not self.left_out and len(self.distances) > 1

    def describe(self) -> str:
        """One line for a list: number, modality, description, slices, spacing and UID."""
        words = "".join(letter if letter.isprintable() else " " for letter in self.description)[:_LISTED_DESCRIPTION]
        parts = [f"{self.number or '-'}: {self.modality or 'no modality'} {words!r}"]
        distances, spacing = self.distances, self.frames[0].spacing if self.frames else None
        if self.frames:
            parts.append(f"{len(distances) or len(self.frames)} x {self.rows} x {self.columns}")
        if spacing:
            steps = np.diff(distances)
            shown = f" x {np.median(steps):.4g}" if len(steps) else ""
            parts.append(f"{spacing[1]:.4g} x {spacing[0]:.4g}{shown} mm")
        return ", ".join([*parts, self.key or "no UID"]) + (f" ({self.left_out})" if self.left_out else "")


def find_series(path: Path, kinds: Sequence[str] = CT) -> list[Series]:
    """What a folder and all below it, a DICOMDIR or a file holds; a zip is first ``file_set.unpacked``.

    One file of a classic series means the series: the files of that series in the same folder.

    Args:
        path: where.
        kinds: what Modality of an image may be, "CT", "MR" or both; others are left out.

    Raises:
        ScanError: nothing there is DICOM, or it cannot be read.
    """
    files = files_at(path)
    instances = [instance for file in files if (instance := read_instance(file)) is not None]
    if not instances:
        raise ScanError(f"{path}: no DICOM image is there; give the folder of a {kinds[0]} series")
    if len(files) > len(instances):
        logger.info("%s: %d files that are no DICOM are left out", path, len(files) - len(instances))
    if files == [path]:
        instances = _with_neighbours(instances[0])
    found = _grouped(instances, kinds)
    return sorted(found, key=lambda one: (int(one.number) if one.number.isdecimal() else 10**9, one.uid, one.part))


def choose_series(found: list[Series], wanted: str | None, path: Path, kinds: Sequence[str] = CT) -> Series:
    """The series that is meant, or the only one that is a volume.

    Args:
        found: all there are.
        wanted: UID, its beginning, the series' number or its description; ``None`` for the only volume.
        path: for messages.
        kinds: that were looked for, for messages.

    Raises:
        SeveralSeriesError: several could be meant, or the one that is wanted is not among those there are.
        ScanError: nothing there can be segmented, or not the one that is wanted, and why.
    """
    if wanted is not None:
        chosen = _matching(found, wanted)
    else:
        usable = [one for one in found if not one.left_out]
        volumes = [one for one in usable if one.is_volume]
        chosen = volumes if len(usable) > 1 and volumes else usable
    if len(chosen) != 1:
        message = f"{path}: {_why_not_one(chosen, wanted, ' or '.join(kinds))}; there is {_listed(found)}"
        choices = {one.key: one.describe() for one in chosen or found if not one.left_out}
        raise SeveralSeriesError(message, choices) if choices else ScanError(message)
    if chosen[0].left_out:
        raise ScanError(f"{path}: {chosen[0].name} cannot be segmented: {chosen[0].left_out}")
    for one in found:
        if one is not chosen[0]:
            level = logging.WARNING if one.uid == chosen[0].uid and _may_be_slices(one) else logging.INFO
            logger.log(level, "%s: left out: %s, %s", path, one.name, one.left_out or f"another {one.modality}")
    return chosen[0]


def _may_be_slices(one: Series) -> bool:
    """Whether what is left out may be slices that the volume lacks: cut short, or with a damaged header."""
    if one.left_out:  # a series has one modality, says PS3.3 C.7.3.1
        return one.left_out in (_NO_POSITION, _NO_IMAGE) or one.left_out.startswith(_not_a(one.modality, ()))
    return not one.is_volume


def _why_not_one(chosen: list[Series], wanted: str | None, kinds: str) -> str:
    if chosen and wanted is not None:
        return f"--series {wanted} means {len(chosen)} of its series; give more of the UID"
    if chosen:
        return f"holds {len(chosen)} {kinds} series; choose one by --series UID"
    if wanted is not None:
        return f"no series {wanted} is there"
    return f"holds no {kinds} that can be segmented"


def _listed(found: list[Series], most: int = 20) -> str:
    """One line (errors are): each series in brackets; what cannot be segmented only where nothing can."""
    shown = [one for one in found if not one.left_out] or found
    more = f" and {len(found) - len(shown[:most])} more" if len(found) > len(shown[:most]) else ""
    return " ".join(f"[{one.describe()}]" for one in shown[:most]) + more


def _matching(found: list[Series], wanted: str) -> list[Series]:
    wanted = wanted.strip()
    for same in (
        lambda one: one.key == wanted,
        lambda one: one.uid == wanted,
        lambda one: one.number == wanted,
        lambda one: one.description.casefold() == wanted.casefold(),
        lambda one: one.key.startswith(wanted),
    ):
        if chosen := [one for one in found if same(one)]:
            usable = [one for one in chosen if not one.left_out]
            return usable or chosen
    return []


def _with_neighbours(instance: Instance) -> list[Instance]:
    """A classic slice with the others of its series beside it; a multi-frame file is whole by itself.

    Another image of the same place is another version of the file that was named, and left out.
    """
    if len(instance.frames) != 1 or not instance.series:
        return [instance]
    place = instance.frames[0].position
    files = [file for file in files_at(instance.file.parent) if file.parent == instance.file.parent]
    others = [one for file in files if file != instance.file and (one := read_instance(file)) is not None]
    same = [one for one in others if one.series == instance.series and one.frames]
    series = [instance, *(one for one in same if one.frames[0].position != place)]
    if len(series) > 1:
        logger.info("%s: read with the %d other files of its series", instance.file, len(series) - 1)
    return sorted(series, key=lambda one: one.file)


def _grouped(instances: list[Instance], kinds: Sequence[str]) -> list[Series]:
    by_series: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    for instance in instances:
        by_series[instance.series, instance.modality].append(instance)
    found = []
    for same in by_series.values():
        volumes = [volume for volume in _volumes_of(same, kinds) for volume in _acquisitions_of(volume)]
        part = 0 if len(volumes) == 1 else 1
        found += [replace(volume, part=part and index) for index, volume in enumerate(volumes, start=1)]
    return found


def _volumes_of(instances: list[Instance], kinds: Sequence[str]) -> list[Series]:
    """Frames of one series by what a volume must share."""
    groups: list[tuple[Instance, ImageFrame, str, list[ImageFrame]]] = []
    for instance in instances:
        if not instance.frames:
            groups.append((instance, _NO_FRAME, _left_out(instance, None, kinds), []))
        for frame in instance.frames:
            reason = _left_out(instance, frame, kinds)
            for other, first, why, members in groups:
                if why == reason and _share_a_volume(instance, frame, other, first):
                    members.append(frame)
                    break
            else:
                groups.append((instance, frame, reason, [frame]))
    return [
        Series(
            uid=instance.series,
            part=0,
            number=instance.number,
            modality=instance.modality,
            description=instance.description,
            rows=instance.rows,
            columns=instance.columns,
            frames=tuple(frames),
            left_out=reason,
        )
        for instance, _, reason, frames in groups
    ]


_NO_FRAME = ImageFrame(Path(), 0, None, None, None, None, 1.0, 0.0, "", (), ())


def _share_a_volume(instance: Instance, frame: ImageFrame, other: Instance, first: ImageFrame) -> bool:
    same = (instance.rows, instance.columns, instance.colour, instance.frame_of_reference)
    if same != (other.rows, other.columns, other.colour, other.frame_of_reference):
        return False
    return _close(frame.orientation, first.orientation) and _close(frame.spacing, first.spacing)


def _close(some: Sequence[float] | None, others: Sequence[float] | None) -> bool:
    if some is None or others is None:
        return some is others
    return some == others or bool(np.allclose(some, others, rtol=_SAME_DIRECTION, atol=_SAME_DIRECTION))


def _left_out(instance: Instance, frame: ImageFrame | None, kinds: Sequence[str]) -> str:
    """Why an image cannot be part of a volume of one of these kinds; "" if it can."""
    if instance.sop_class.startswith(SECONDARY_CAPTURES) and instance.sop_class[25:26] in ("", "."):
        return "secondary capture"
    if frame is None:
        return _NO_IMAGE
    if instance.modality not in kinds:
        return _not_a(instance.modality, kinds)
    if instance.colour:
        return "a picture in colour"
    if instance.modality == "CT" and frame.unit not in _HU:
        return f"values are {frame.unit}, not HU"
    if "LOCALIZER" in frame.image_type:
        return "localizer"
    if frame.position is None or frame.orientation is None or frame.spacing is None:
        return _NO_POSITION
    return ""


def _not_a(modality: str, kinds: Sequence[str]) -> str:
    return f"{modality or 'no modality'}, not {' or '.join(kinds)}"


def _acquisitions_of(volume: Series) -> list[Series]:
    """Several images of each place are points in time or kinds of image: a volume each, if their headers tell."""
    if volume.left_out or len(volume.distances) == len(volume.frames):
        return [volume]
    if len(volume.distances) == 1:
        return [replace(volume, left_out=f"one place {len(volume.frames)} times")]
    parts: dict[tuple[tuple[str, ...], tuple[str, ...]], list[ImageFrame]] = defaultdict(list)
    for frame in volume.frames:
        parts[frame.image_type, frame.acquisition].append(frame)
    split = [replace(volume, frames=tuple(frames)) for frames in parts.values()]
    if len(split) > 1 and all(len(part.distances) == len(part.frames) for part in split):
        return split
    return [volume]
