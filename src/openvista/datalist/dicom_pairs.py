"""DICOM in data lists: which segmentation or structure set was drawn on which series, and one numbering for all."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from openvista.errors import DataListError, needs_extra
from openvista.geometry.grid import Grid
from openvista.io import read_grid, read_segmentation
from openvista.io.atomic import make_folder
from openvista.io.paths import distinct_file_names, image_suffix, may_be_dicom, scan_name
from openvista.scan import Segmentation
from openvista.structures import present_ids

Pair = tuple[Path, Path | None]


def find_dicom_pairs(folder: Path) -> tuple[list[Pair], list[Path]]:
    """Series of a folder and all below it, each with the segmentation or structure set that refers to it by its UID.

    A series is called by its folder where that holds no other CT volume, else by its first file.

    Returns:
        Pairs in order of path, and the objects whose series is not there.

    Raises:
        DataListError: two objects refer to one series.
        ScanError: a folder cannot be listed.
        MissingExtraError: pydicom is not installed.
    """
    with needs_extra("pydicom", "dicom", "read DICOM"):
        from openvista.io.dicom.file_set import files_at
        from openvista.io.dicom.labels import referenced_series
        from openvista.io.dicom.series import find_series
    files = [file for file in files_at(folder) if may_be_dicom(file)]
    if not files:
        return [], []
    refers = {file: uid for file in files if (uid := referenced_series(file)) is not None}
    volumes = [one for one in find_series(folder) if one.is_volume]
    label_of: dict[str, Path] = {}
    for label, uid in refers.items():
        if uid in label_of:
            raise DataListError(f"{label_of[uid]} and {label} refer to one series: keep one of them")
        label_of[uid] = label
    held: dict[Path, int] = defaultdict(int)
    for volume in volumes:
        for place in {parent for frame in volume.frames for parent in frame.file.parents}:
            held[place] += 1
    images = {volume.uid: _place_of([frame.file for frame in volume.frames], held) for volume in volumes}
    pairs: list[Pair] = [(image, label_of.get(uid)) for uid, image in images.items()]
    return sorted(pairs), [label for uid, label in label_of.items() if uid not in images]


def _place_of(files: Sequence[Path], held: dict[Path, int]) -> Path:
    """What to call a series by: its folder, or a file of it where the folder holds others as well."""
    return files[0].parent if held[files[0].parent] == 1 and len(files) > 1 else min(files)


def label_grid(image: Path, label: Path) -> Grid | None:
    """The image's grid, for labels in DICOM; ``None`` for label maps, which have one of their own.

    Raises:
        ScanError: the image cannot be read.
    """
    return None if image_suffix(label) else read_grid(image)


def number_alike(pairs: Sequence[tuple[Path, Path]], folder: Path, target: Path) -> dict[Path, Path]:
    """Write label maps in which a structure has one number in all cases: that of its name, in whatever capitals.

    Args:
        pairs: image and label.
        folder: of the images, whose paths below it name the label maps.
        target: where they are written; made where missing.

    Returns:
        {label: label map}.

    Raises:
        ScanError: a label cannot be read.
        OutputError: the system refused to write.
    """
    make_folder(target)
    numbers: dict[str, int] = {}
    names: dict[int, str] = {}
    written = {}
    files = distinct_file_names({place: _name_below(folder, image) for place, (image, _) in enumerate(pairs)})
    for place, (image, label) in enumerate(pairs):
        found = read_segmentation(label, scan_grid=label_grid(image, label), apart=True)
        own = {
            key: numbers.setdefault(found.names[key].casefold(), len(numbers) + 1) for key in present_ids(found.labels)
        }
        names = {own[key]: found.names[key] for key in own} | names  # as the first one spells it
        written[label] = renumbered(found, own, names).save(target / f"{files[place]}.nii.gz")
    return written


def _name_below(folder: Path, image: Path) -> str:
    """The names of the folders that an image lies in, and its own."""
    return "_".join((*image.relative_to(folder).parent.parts, scan_name(image)))


def renumbered(found: Segmentation, numbers: Mapping[int, int], names: Mapping[int, str]) -> Segmentation:
    """The same structures under other ids; those that get none are left out.

    Args:
        found: a label map.
        numbers: old id to new one.
        names: of the new ids.
    """
    table = np.zeros(int(found.labels.max()) + 1, dtype=np.uint16)
    for old, new in numbers.items():
        table[old] = new
    return Segmentation(table[found.labels], found.grid, {new: names[new] for new in numbers.values()})
