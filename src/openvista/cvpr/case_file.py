"""Case files of the challenge, in and out (challenge facts §1, §2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.cvpr.npz import Arrays, read_arrays
from openvista.cvpr.request import Labels, Request
from openvista.errors import InputError, PromptError, ScanError
from openvista.geometry.grid import Axis3, Float3, triple
from openvista.io import replacing
from openvista.simulate.challenge_user import ArrayClick, MiddleBox

_KEYS = ("imgs", "spacing", "boxes", "clicks", "clicks_order", "prev_pred", "gts")
_BOX_KEYS = ("z_min", "z_max", "z_mid", "z_mid_y_min", "z_mid_y_max", "z_mid_x_min", "z_mid_x_max")
_SIGNS = {"fg": True, "bg": False}


@dataclass(frozen=True, eq=False)
class CaseFile:
    """What a case file says.

    Attributes:
        path: of the file.
        image_ZYX: grey values.
        spacing: three mm, in the order of the file.
        request: the prompts; ``None`` if it has none.
        truth_ZYX: ``gts``; ``None`` if there is none.
    """

    path: Path
    image_ZYX: NDArray[np.generic]
    spacing: Float3
    request: Request | None
    truth_ZYX: NDArray[np.integer] | None


def find_cases(folder: Path) -> list[Path]:
    """The case files of a folder, by name.

    Raises:
        InputError: there is no such folder, or none in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; give the one with the npz files")
    files = sorted(path for path in folder.glob("*.npz") if not path.name.startswith("."))
    if not files:
        raise InputError(f"{folder}: holds no .npz file; put a case of the challenge there")
    return files


def read_case_file(path: Path) -> CaseFile:
    """Read a case.

    Classes are those of ``boxes`` or ``clicks``, in order: 1, 2, ... ; a training file's own ids where ``gts`` has as
    many.

    Raises:
        ScanError: the file, its image or its spacing cannot be used.
        PromptError: a box or click that cannot be used.
    """
    arrays = read_arrays(path, _KEYS)
    image_ZYX = _image(path, arrays)
    shape: Axis3 = image_ZYX.shape
    truth = _labels(path, arrays, "gts", shape)
    return CaseFile(path, image_ZYX, _spacing(path, arrays), _request(path, arrays, shape, truth), truth)


def read_training_file(path: Path) -> CaseFile:
    """Read image, spacing and truth of a case, but no prompts.

    Raises:
        ScanError: one of them cannot be used, or is missing.
    """
    if not path.is_file():
        raise ScanError(f"{path}: there is no such file")
    arrays = read_arrays(path, ("imgs", "spacing", "gts"))
    image_ZYX = _image(path, arrays)
    truth_ZYX = _labels(path, arrays, "gts", image_ZYX.shape)
    if truth_ZYX is None:
        raise ScanError(f"{path}: has no 'gts' to learn from")
    return CaseFile(path, image_ZYX, _spacing(path, arrays), None, truth_ZYX)


def read_truth(path: Path) -> NDArray[np.integer]:
    """The array ``gts`` of a file.

    Raises:
        ScanError: it cannot be read, or has none.
    """
    arrays = read_arrays(path, ("gts",)) if path.is_file() else {}
    truth = _labels(path, arrays, "gts", None)
    if truth is None:
        raise ScanError(f"{path}: there is no truth: the file or its key 'gts' is missing; give its folder by --truth")
    return truth


def write_labels(path: Path, **label_maps: Labels) -> None:
    """Write label maps, compressed, by key; the file is there whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with replacing(path) as temporary:
        np.savez_compressed(temporary, **label_maps)  # type: ignore[arg-type]


def class_ids(truth_ZYX: NDArray[np.integer]) -> tuple[int, ...]:
    """The label values that are there, 0 aside, rising."""
    return tuple(int(value) for value in np.unique(truth_ZYX) if value != 0)


def _image(path: Path, arrays: Arrays) -> NDArray[np.generic]:
    if "imgs" not in arrays:
        raise ScanError(f"{path}: key 'imgs' is missing; a case has imgs, spacing, and boxes or clicks")
    image = arrays["imgs"]
    if image.dtype.kind not in "uif":
        raise ScanError(f"{path}: imgs are {image.dtype}, not numbers; store uint8 grey values")
    if image.ndim != 3 or 0 in image.shape:
        raise ScanError(f"{path}: imgs have shape {image.shape}, not three axes (slices, rows, columns)")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ScanError(f"{path}: imgs hold values that are no numbers; replace NaN and infinity")
    return image


def _spacing(path: Path, arrays: Arrays) -> Float3:
    if "spacing" not in arrays:
        raise ScanError(f"{path}: key 'spacing' is missing; store the voxel size in mm as three numbers")
    try:
        spacing = triple(map(float, arrays["spacing"].ravel()))
    except (TypeError, ValueError):
        raise ScanError(f"{path}: spacing {arrays['spacing'].tolist()} is not three numbers of mm") from None
    if not all(math.isfinite(value) and value > 0 for value in spacing):
        raise ScanError(f"{path}: spacing {spacing} is impossible; store three positive numbers of mm")
    return spacing


def _labels(path: Path, arrays: Arrays, key: str, shape: Axis3 | None) -> NDArray[np.integer] | None:
    if key not in arrays:
        return None
    labels = arrays[key]
    if labels.dtype.kind not in "ui":
        raise ScanError(f"{path}: {key} is {labels.dtype}, not whole numbers; store uint8 labels")
    if labels.ndim != 3 or (shape is not None and labels.shape != shape):
        raise ScanError(f"{path}: {key} has shape {labels.shape}, the image {shape}; they must be the same")
    if labels.min() < 0 or labels.max() > 255:
        raise ScanError(f"{path}: {key} has labels {labels.min()}..{labels.max()}; only 0..255 can be written")
    return labels


def _request(path: Path, arrays: Arrays, shape: Axis3, truth: NDArray[np.integer] | None) -> Request | None:
    if "boxes" not in arrays and "clicks" not in arrays:
        return None
    boxes = tuple(_box(path, box, shape) for box in _per_class(path, arrays, "boxes")) if "boxes" in arrays else None
    if "clicks" in arrays:
        orders: Sequence[Any] = _per_class(path, arrays, "clicks_order") if "clicks_order" in arrays else ()
        given = _per_class(path, arrays, "clicks")
        if orders and len(orders) != len(given):
            raise PromptError(f"{path}: clicks are for {len(given)} classes, clicks_order for {len(orders)}")
        clicks = tuple(
            _clicks(path, entry, orders[index] if orders else None, shape) for index, entry in enumerate(given)
        )
    else:
        clicks = ((),) * len(boxes or ())
    if boxes is not None and len(boxes) != len(clicks):
        raise PromptError(f"{path}: boxes are for {len(boxes)} classes, clicks for {len(clicks)}; give both for each")
    ids = tuple(range(1, len(clicks) + 1))
    if truth is not None and len(class_ids(truth)) == len(ids):
        ids = class_ids(truth)
    if not 1 <= len(ids) <= 255:
        raise PromptError(f"{path}: has prompts for {len(ids)} classes; 1 to 255 can be written")
    previous = _labels(path, arrays, "prev_pred", shape)
    return Request(shape, ids, boxes, clicks, None if previous is None else previous.astype(np.uint8))


def _per_class(path: Path, arrays: Arrays, key: str) -> list[Any]:
    """One entry per class. numpy makes a matrix of lists of the same length; its rows are the entries."""
    if arrays[key].ndim == 0:
        raise PromptError(f"{path}: {key} is not a list with one entry per class")
    return list(arrays[key])


def _box(path: Path, box: Any, shape: Axis3) -> MiddleBox:
    try:
        z0, z1, middle, y0, y1, x0, x1 = (_whole(box[key]) for key in _BOX_KEYS)
    except (TypeError, KeyError, ValueError, IndexError):
        raise PromptError(f"{path}: box {box!r} is not understood; it needs whole {', '.join(_BOX_KEYS)}") from None
    inside = all(0 <= a <= b < n for (a, b), n in zip(((z0, z1), (y0, y1), (x0, x1)), shape, strict=True))
    if not inside or not z0 <= middle <= z1:
        raise PromptError(f"{path}: box {box!r} does not lie in the image of shape {shape} (z, y, x)")
    return MiddleBox((z0, z1), middle, (y0, y1), (x0, x1))


def _clicks(path: Path, entry: Any, order: Any, shape: Axis3) -> tuple[ArrayClick, ...]:
    """The clicks of a class in their order; without one, positive clicks first."""
    try:
        places = {sign: [_voxel(path, place, shape) for place in entry[sign]] for sign in _SIGNS}
    except (TypeError, KeyError, ValueError, IndexError):
        form = "{'fg': [[z, y, x]], 'bg': []}"
        raise PromptError(f"{path}: clicks {entry!r} are not understood; write {form}") from None
    signs = [sign for sign in _SIGNS for _ in places[sign]]
    if order is not None:
        order = order if isinstance(order, list | tuple | np.ndarray) else [order]
        given = [str(sign) for sign in order if sign is not None]  # None: nothing was wrong, and no click was made
        if sorted(given) != sorted(signs):
            raise PromptError(f"{path}: clicks_order {given} does not fit the clicks, which are {signs}; name each one")
        signs = given
    rest = {sign: iter(voxels) for sign, voxels in places.items()}
    return tuple(ArrayClick(next(rest[sign]), _SIGNS[sign]) for sign in signs)


def _voxel(path: Path, place: Any, shape: Axis3) -> Axis3:
    voxel = triple(map(_whole, place))
    if not all(0 <= value < length for value, length in zip(voxel, shape, strict=True)):
        raise PromptError(f"{path}: click {voxel} lies outside the image of shape {shape} (z, y, x)")
    return voxel


def _whole(value: Any) -> int:
    """A whole number.

    Raises:
        TypeError, ValueError: it is none.
    """
    whole = int(value)
    if whole != value:
        raise ValueError(f"{value!r} is not a whole number")
    return whole
