"""A case of a data list ready to be answered and scored: scan, truth, and what of it is known."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from openvista.datalist import Case
from openvista.errors import DataListError
from openvista.geometry.box import Box
from openvista.io import read_labels, read_scan
from openvista.scan import Scan
from openvista.simulate.class_prompts import included_values


@dataclass(frozen=True)
class Structure:
    """One structure that somebody marked in a case.

    Attributes:
        values: its label values in the data list, usually one; those of what it includes, if that counts.
        class_id: its id in the model.
        region: the part of the scan where the truth is known; nothing is scored, or looked at, beyond it.
        open_axis: the axis along which the region cuts the structure; ``None`` where the region is the whole scan.
    """

    values: tuple[int, ...]
    class_id: int
    region: Box
    open_axis: int | None = None


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """A scan with its truth.

    Attributes:
        name: of the case.
        scan: HU on its own grid.
        labels_XYZ: label values of the data list, on the scan's grid.
        structures: those to score, in order of class id.
    """

    name: str
    scan: Scan
    labels_XYZ: NDArray[np.unsignedinteger]
    structures: tuple[Structure, ...]

    def truth(self, structure: Structure) -> NDArray[np.bool_]:
        """The structure's mask inside its region [x, y, z]."""
        return np.isin(self.labels_XYZ[structure.region.slices()], structure.values)


def read_case(
    case: Case,
    classes: Mapping[int, int],
    range_limited: Collection[int] = (),
    name: str = "",
    overlapping: bool = False,
) -> LabelledScan:
    """Read scan and labels.

    Args:
        case: from a data list.
        classes: label value to class id. A class is scored where somebody marked all its values.
        range_limited: label values that are known only between the case's ``label_slices`` (first and last slice of
            the file's third axis, inclusive), because the structure goes on unmarked beyond them.
        name: what to call it, instead of the file's name.
        overlapping: an organ's truth holds what the class includes and somebody marked here: tumour and vessels of the
            liver (paper facts §1).

    Raises:
        ScanError: a file that cannot be read.
        DataListError: labels do not lie on the grid of their scan.
    """
    scan = read_scan(case.image, apart=True)
    labels_XYZ, grid = read_labels(case.label, scan_grid=scan.grid, apart=True)
    if not grid.matches(scan.grid, tolerance_mm=0.1):
        raise DataListError(f"{case.label} is not on the grid of {case.image}; resample it first")

    def included(values: tuple[int, ...]) -> tuple[int, ...]:
        more = {one for value in values for one in included_values(value, classes)} if overlapping else set()
        return tuple(sorted(more & case.annotated - {*values}))

    structures = [
        _structure(case, values + included(values), class_id, labels_XYZ.shape, range_limited)
        for class_id, values in case.marked_classes(classes).items()
    ]
    return LabelledScan(name or case.name, scan, labels_XYZ, tuple(structures))


def _structure(
    case: Case, values: tuple[int, ...], class_id: int, shape: tuple[int, ...], range_limited: Collection[int]
) -> Structure:
    known = case.common_slices(value for value in values if value in range_limited)
    if known is None:
        return Structure(values, class_id, Box.whole(shape))
    first, last = known
    region = Box((0, 0, max(first, 0)), (shape[0], shape[1], min(last + 1, shape[2])))
    return Structure(values, class_id, region, open_axis=2)
