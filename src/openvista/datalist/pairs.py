"""Which image belongs to which label map, by the names of files and folders."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openvista.datalist.dicom_pairs import find_dicom_pairs
from openvista.errors import DataListError
from openvista.io.paths import image_suffix, scan_name

_IMAGE_WORDS = frozenset(
    {"ct", "image", "images", "img", "imgs", "imaging", "volume", "volumes", "vol", "scan", "scans"}
)
_LABEL_WORDS = frozenset(
    {"seg", "segs", "segmentation", "segmentations", "label", "labels", "lbl"}
    | {"mask", "masks", "gt", "truth", "contours"}
)
_SEPARATORS = re.compile(r"[_\-. ]+")
_CHANNEL = re.compile(r"_[0-9]{4}$")
"""nnU-Net's number of an image's channel."""

_EXPECTED = (
    "imagesTr/ and labelsTr/, images/ and labels/, pairs such as case_ct.nii.gz and case_seg.nii.gz, "
    "or DICOM series with the segmentations that refer to them"
)


@dataclass(frozen=True)
class FoundPairs:
    """What a folder holds. An image comes with its label map, or with ``None``.

    Attributes:
        training: images of the folder, in order of name.
        testing: those in MSD's and nnU-Net's ``imagesTs``.
        labels_left: label maps without an image.
    """

    training: tuple[tuple[Path, Path | None], ...]
    testing: tuple[tuple[Path, Path | None], ...]
    labels_left: tuple[Path, ...]


def find_pairs(folder: Path) -> FoundPairs:
    """Images and label maps below a folder, in one of five layouts.

    - MSD and nnU-Net: ``imagesTr/``, ``labelsTr/``, also ``imagesTs/``, ``labelsTs/``, ``imagesVal/``, ``labelsVal/``;
      nnU-Net's ``_0000`` at the end of image names does not count;
    - ``images/`` and ``labels/``, or words like these (``ct/`` and ``masks/``);
    - side by side: ``case_ct.nii.gz`` and ``case_seg.nii.gz``, ``volume-3.nii`` and ``labels-3.nii``, or
      ``case.nii.gz`` and ``case_seg.nii.gz``;
    - the same in one folder per case: ``case/ct.nii.gz`` and ``case/seg.nii.gz``;
    - DICOM anywhere: CT series, and segmentations or structure sets that refer to them by UID.

    Raises:
        DataListError: no such folder, no image with a label map in it, or one that could belong to several.
    """
    if not folder.is_dir():
        raise DataListError(f"{folder}: {'is a file, not a folder' if folder.exists() else 'there is no such folder'}")
    found = _find_decathlon(folder) or _find_two_folders(folder) or _find_side_by_side(folder)
    if not found.training and not found.testing:
        series, left = find_dicom_pairs(folder)
        found = FoundPairs(tuple(series), (), (*found.labels_left, *left))
    if not any(label for _, label in (*found.training, *found.testing)):
        seen = len(found.training) + len(found.testing)
        raise DataListError(f"{folder}: {seen} images, none with a label map; expected {_EXPECTED}")
    return found


def _find_decathlon(folder: Path) -> FoundPairs | None:
    folders = {entry.name.casefold(): entry for entry in _entries(folder) if entry.is_dir()}
    if "imagestr" not in folders:
        return None
    pairs: dict[str, list[tuple[Path, Path | None]]] = {}
    left: list[Path] = []
    for part in ("tr", "val", "ts"):
        images, labels = (_images(folders.get(f"{kind}{part}")) for kind in ("images", "labels"))
        pairs[part], unused = _match(images, labels)
        left += unused
    return FoundPairs(tuple(pairs["tr"] + pairs["val"]), tuple(pairs["ts"]), tuple(left))


def _find_two_folders(folder: Path) -> FoundPairs | None:
    folders = [entry for entry in _entries(folder) if entry.is_dir() and _images(entry)]
    images = [entry for entry in folders if entry.name.casefold() in _IMAGE_WORDS]
    labels = [entry for entry in folders if entry.name.casefold() in _LABEL_WORDS]
    if not images or not labels:
        return None
    if len(images) > 1 or len(labels) > 1:
        several = ", ".join(entry.name for entry in (images if len(images) > 1 else labels))
        raise DataListError(f"{folder}: which folder to take is unclear: {several}; move the others away")
    pairs, left = _match(_images(images[0]), _images(labels[0]))
    return FoundPairs(tuple(pairs), (), tuple(left))


def _find_side_by_side(folder: Path) -> FoundPairs:
    pairs: list[tuple[Path, Path | None]] = []
    left: list[Path] = []
    for place in (folder, *(entry for entry in _entries(folder) if entry.is_dir())):
        files = _images(place)
        labels = [file for file in files if _is_label(file)]
        matched, unused = _match([file for file in files if file not in set(labels)], labels)
        pairs += matched
        left += unused
    return FoundPairs(tuple(pairs), (), tuple(left))


def _match(images: Sequence[Path], labels: Sequence[Path]) -> tuple[list[tuple[Path, Path | None]], list[Path]]:
    """Each image with its label map: by equal names, then without a channel number, then without words like "ct".

    Returns:
        Pairs in the order of the images, and the label maps that are left.
    """
    by_key: dict[str, list[Path]] = defaultdict(list)
    for label in labels:
        for key in dict.fromkeys((scan_name(label).casefold(), _core(scan_name(label)))):
            by_key[key].append(label)
    pairs: list[tuple[Path, Path | None]] = []
    image_of: dict[Path, Path] = {}
    for image in images:
        found = _label_of(image, by_key)
        if found is not None and found in image_of:
            raise DataListError(
                f"{image_of[found].name} and {image.name} both belong to {found.name}: give one CT per label map "
                "(of several channels or phases keep one)"
            )
        if found is not None:
            image_of[found] = image
        pairs.append((image, found))
    return pairs, [label for label in labels if label not in image_of]


def _label_of(image: Path, by_key: dict[str, list[Path]]) -> Path | None:
    name = scan_name(image).casefold()
    for key in (name, _CHANNEL.sub("", name), _core(name)):
        fitting = by_key.get(key, [])
        if len(fitting) > 1:
            both = " and ".join(label.name for label in fitting[:2])
            raise DataListError(f"{image}: {both} both fit its name; keep one, or rename the other")
        if fitting:
            return fitting[0]
    return None


def _core(name: str) -> str:
    """A name without a channel number and without words for image or label at its ends."""
    words = [word for word in _SEPARATORS.split(_CHANNEL.sub("", name.casefold())) if word]
    roles = _IMAGE_WORDS | _LABEL_WORDS
    while words and words[-1] in roles:
        words.pop()
    while words and words[0] in roles:
        words.pop(0)
    return "_".join(words)


def _is_label(file: Path) -> bool:
    words = [word for word in _SEPARATORS.split(scan_name(file).casefold()) if word]
    return bool(words) and (words[-1] in _LABEL_WORDS or words[0] in _LABEL_WORDS)


def _images(folder: Path | None) -> list[Path]:
    """Image files directly in a folder, in order of name."""
    return [entry for entry in _entries(folder) if image_suffix(entry) and entry.is_file()] if folder else []


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, without hidden files (macOS leaves ``._`` copies beside images)."""
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataListError(f"{folder}: cannot be listed: {error.strerror}; check its permissions") from error
