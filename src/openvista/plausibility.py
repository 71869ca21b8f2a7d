"""Whether a structure looks like those that a model learned from: ranges seen in training, and what lies outside."""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.geometry.box import Box
from openvista.geometry.grid import Axis3, Grid, triple

CHANCE = 0.01
"""How often a measure of a structure like those of training would be called unlikely, if it were normal and the network
as exact as a person. Chosen on training and validation cases alone (benchmarks/accuracy.md, "Unlikely structures")."""
NETWORK_SPREAD = {"volume": 1.25, "HU": 25.0, "elongation": 0.1, "place": 3.5}
"""By how much a network's result differs from what a person would have marked: standard deviations; of the volume a
geometric one, a factor. Of the starter against people's contours, measured on 41 training and validation cases, on
whole structures with two ends (the same page)."""
_FEWEST_TO_ALIGN = 3
"""Whole structures it takes to say where along the body a scan lies: with two, nobody knows which one is misplaced."""
_OPEN = "open_ended"
_ROUNDS = 50
"""Of the fit of heights; it has settled long before."""


@dataclass(frozen=True)
class Shape:
    """Measures of one structure in one scan.

    Attributes:
        volume_ml: in millilitres.
        mean_hu: mean HU, each voxel cut to the model's HU window, so that metal and air count as the model sees them;
            ``None`` without scan.
        elongation: square root of the second largest eigenvalue of the covariance of its voxels' places over the
            largest: 1 is round, 0 a line (Image Biomarker Standardisation Initiative, reference manual, Q3CK).
        height_mm: of its centre along the body, RAS+ mm towards the head.
        cut: it touches the border of the scan, so only a part of it may be seen.
    """

    volume_ml: float
    mean_hu: float | None
    elongation: float
    height_mm: float
    cut: bool


@dataclass(frozen=True)
class SeenRange:
    """What training saw of one measure of one class.

    Attributes:
        cases: how many of it were measured.
        lowest, highest: of these.
        mean, sd: mean and standard deviation; of volumes the geometric ones (the latter is a factor, 1 or more).
    """

    cases: int
    lowest: float
    highest: float
    mean: float
    sd: float

    @classmethod
    def of(cls, values: Sequence[float], geometric: bool = False) -> "SeenRange | None":
        """The range of values; ``None`` if there are fewer than two, which say nothing about others."""
        if len(values) < 2:
            return None
        numbers = np.log(values) if geometric else np.asarray(values, dtype=np.float64)
        middle, spread = float(numbers.mean()), float(numbers.std(ddof=1))
        if geometric:
            middle, spread = math.exp(middle), math.exp(spread)
        return cls(len(values), *(float(f"{one:.4g}") for one in (min(values), max(values), middle, spread)))

    def limits(self, network_spread: float, geometric: bool = False) -> tuple[float, float]:
        """Between which values a further one is likely.

        These are the ends of the prediction interval for one more value of a normal distribution (mean ± t · s ·
        √(1 + 1/n), t of n - 1 degrees of freedom; W. Q. Meeker, G. J. Hahn, L. A. Escobar, Statistical Intervals, 2nd
        edition, Wiley 2017, section 4.7) at :data:`CHANCE`, where s also holds by how much a network's result differs
        from a person's. Few cases make it wide. What training saw is never outside.

        Args:
            network_spread: of :data:`NETWORK_SPREAD`.
            geometric: it is the logarithm that is normal.
        """
        from scipy.special import stdtrit  # slow to load, and many who read a card judge nothing

        middle, spread, own = self.mean, self.sd, network_spread
        if geometric:
            middle, spread, own = math.log(middle), math.log(spread), math.log(own)
        reach = float(stdtrit(self.cases - 1, 1 - CHANCE / 2)) * math.hypot(spread, own) * math.sqrt(1 + 1 / self.cases)
        low, high = middle - reach, middle + reach
        if geometric:
            low, high = math.exp(low), math.exp(min(high, 700.0))
        return min(low, self.lowest), max(high, self.highest)


@dataclass(frozen=True)
class ClassRanges:
    """What training saw of a class; ``None`` where too few cases showed it.

    Attributes:
        volume_ml, elongation: of those whole in their scans.
        mean_hu: of all; see :class:`Shape`.
        height_mm: along the body, towards the head, above the middle of the classes that have a height; of those whole
            in scans with two more such.
        open_ended: it was marked along a part of its length only, so volumes are lower bounds, and it is longer than
            what was marked.
    """

    volume_ml: SeenRange | None = None
    mean_hu: SeenRange | None = None
    elongation: SeenRange | None = None
    height_mm: SeenRange | None = None
    open_ended: bool = False

    @classmethod
    def parsed(cls, content: Mapping[str, Any]) -> "ClassRanges":
        """From what ``dataclasses.asdict`` made of it.

        Raises:
            TypeError: a key is missing or unknown.
        """
        measured = {key: None if one is None else SeenRange(**one) for key, one in content.items() if key != _OPEN}
        return cls(**measured, open_ended=bool(content.get(_OPEN, False)))


@dataclass(frozen=True)
class Plausibility:
    """What is likely of the structures that a model finds.

    Attributes:
        ranges: by class id; a class without is never unlikely.
        hu_window: the model's.
    """

    ranges: Mapping[int, ClassRanges]
    hu_window: tuple[float, float]

    def unlikely(
        self,
        labels_XYZ: NDArray[np.unsignedinteger],
        grid: Grid,
        hu_XYZ: NDArray[np.generic] | None,
        looked_at: Box | None = None,
    ) -> dict[int, tuple[str, ...]]:
        """Structures of a label map whose ids are those of classes, and what is unlikely of them; see :meth:`judge`."""
        return self.judge(shapes(labels_XYZ, grid, hu_XYZ, self.ranges, self.hu_window, looked_at=looked_at))

    def judge(self, found: Mapping[int, Shape]) -> dict[int, tuple[str, ...]]:
        """Class id to those of "volume", "HU", "elongation" and "place" that lie outside of what is likely.

        Of what is cut by the border of the scan, a small volume and the elongation say nothing.
        """
        seen = {id: shape for id, shape in found.items() if id in self.ranges}
        places = self._places(seen)
        judged = {id: _outside(shape, self.ranges[id], places.get(id)) for id, shape in seen.items()}
        return {id: measures for id, measures in judged.items() if measures}

    def shows(self, volumes_ml: Mapping[int, float], unlikely: Container[int]) -> bool:
        """Whether a scan shows anything that the model knows: a likely structure, and not just a small part of it.

        Args:
            volumes_ml: by class id, of what was found.
            unlikely: ids of what is unlikely.
        """
        return any(id not in unlikely and volume >= self._least_ml(id) for id, volume in volumes_ml.items())

    def _least_ml(self, id: int) -> float:
        seen = self.ranges[id].volume_ml if id in self.ranges else None
        return 0.0 if seen is None else seen.limits(NETWORK_SPREAD["volume"], geometric=True)[0]

    def _places(self, seen: Mapping[int, Shape]) -> dict[int, float]:
        """Where whole structures lie on the scale of ``height_mm``, which most of them agree on."""
        means = {id: one.mean for id in seen if (one := self.ranges[id].height_mm) is not None and not seen[id].cut}
        if len(means) < _FEWEST_TO_ALIGN:
            return {}
        origin = median(seen[id].height_mm - mean for id, mean in means.items())
        return {id: seen[id].height_mm - origin for id in means}


def _outside(shape: Shape, ranges: ClassRanges, place: float | None) -> tuple[str, ...]:
    values: dict[str, tuple[SeenRange | None, float | None]] = {
        "volume": (ranges.volume_ml, shape.volume_ml),
        "HU": (ranges.mean_hu, shape.mean_hu),
        "elongation": (ranges.elongation, None if shape.cut else shape.elongation),
        "place": (ranges.height_mm, place),
    }
    found = []
    for measure, (seen, value) in values.items():
        if seen is None or value is None:
            continue
        low, high = seen.limits(NETWORK_SPREAD[measure], geometric=measure == "volume")
        if shape.cut and measure == "volume":
            low = 0.0
        if ranges.open_ended and measure in ("volume", "elongation"):
            low, high = (low, math.inf) if measure == "volume" else (0.0, high)
        if not low <= value <= high:
            found.append(measure)
    return tuple(found)


def in_words(measures: Iterable[str]) -> str:
    """What is unlikely of a structure, as people read it: "unlikely: volume, HU"; empty if nothing is."""
    text = ", ".join(measures)
    return text and f"unlikely: {text}"


def shapes(
    labels_XYZ: NDArray[np.integer],
    grid: Grid,
    hu_XYZ: NDArray[np.generic] | None,
    ids: Iterable[int],
    hu_window: tuple[float, float],
    margin: int = 0,
    looked_at: Box | None = None,
) -> dict[int, Shape]:
    """Measures of the structures of a label map, of those that have voxels.

    Args:
        labels_XYZ: ids.
        grid: theirs.
        hu_XYZ: HU on the same grid.
        ids: which to measure.
        hu_window: HU are cut to it.
        margin: what comes so many voxels near to a face of the grid counts as cut, too.
        looked_at: the box outside of which nothing was looked for, if it is not all: its faces cut.
    """
    from scipy.ndimage import find_objects  # slow to load

    boxes, found = find_objects(labels_XYZ), {}
    for key in sorted(ids):
        sides = boxes[key - 1] if key <= len(boxes) else None
        if sides is not None:
            hu = None if hu_XYZ is None else hu_XYZ[sides]
            first = triple(side.start for side in sides)
            found[key] = shape_of(labels_XYZ[sides] == key, first, grid, hu, hu_window, margin, looked_at)
    return found


def shape_of(
    mask_XYZ: NDArray[np.bool_],
    first: Axis3,
    grid: Grid,
    hu_XYZ: NDArray[np.generic] | None,
    hu_window: tuple[float, float],
    margin: int = 0,
    looked_at: Box | None = None,
) -> Shape:
    """Measures of one structure, from the box around it.

    Args:
        mask_XYZ: with a voxel, and with one on each face of the box.
        first: the box's first voxel.
        grid: of the whole scan.
        hu_XYZ: HU of the box.
        hu_window, margin, looked_at: as for :func:`shapes`.
    """
    cut = Box.sized(first, triple(mask_XYZ.shape)).reaches_face(looked_at or Box.whole(grid.shape), margin)
    voxels, centre, spread = _moments(mask_XYZ)
    to_mm = grid.affine[:3, :3]
    # a voxel is a box, not a point: its own covariance is a twelfth of its sides squared
    values = np.linalg.eigvalsh(to_mm @ spread @ to_mm.T + to_mm @ to_mm.T / 12)
    height = grid.to_world((centre + first)[None])[0, 2]
    mean = None if hu_XYZ is None else float(np.clip(hu_XYZ[mask_XYZ], *hu_window).mean(dtype=np.float64))
    return Shape(voxels * grid.voxel_ml, mean, math.sqrt(values[1] / values[2]), float(height), cut)


def _moments(mask_XYZ: NDArray[np.bool_]) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Number of voxels, their centre [3] and covariance [3, 3], in voxels; from projections, which are quick."""
    planes = {axes: mask_XYZ.sum(axis=3 - sum(axes), dtype=np.float64) for axes in ((0, 1), (0, 2), (1, 2))}
    lines = [planes[0, 1].sum(axis=1), planes[0, 1].sum(axis=0), planes[0, 2].sum(axis=0)]
    places = [np.arange(side, dtype=np.float64) for side in mask_XYZ.shape]
    voxels = lines[0].sum()
    centre = np.array([line @ place for line, place in zip(lines, places, strict=True)]) / voxels
    spread = np.diag([line @ place**2 for line, place in zip(lines, places, strict=True)]) / voxels
    for (one, other), plane in planes.items():
        spread[one, other] = spread[other, one] = places[one] @ plane @ places[other] / voxels
    return int(voxels), centre, spread - np.outer(centre, centre)


@dataclass
class Gathered:
    """Shapes of the structures of training cases, on the way to ranges.

    Attributes:
        cases: by class id, of each case.
        open_ended: classes of which a part only was marked in some case.
    """

    cases: list[Mapping[int, Shape]] = field(default_factory=list)
    open_ended: set[int] = field(default_factory=set)

    def ranges(self) -> dict[int, ClassRanges]:
        """What was seen, by class id."""
        heights, found = _heights(self._aligned_cases()), {}
        for key in sorted(set().union(*self.cases)):
            all_shapes = [case[key] for case in self.cases if key in case]
            whole = [shape for shape in all_shapes if not shape.cut]
            found[key] = ClassRanges(
                volume_ml=SeenRange.of([shape.volume_ml for shape in whole], geometric=True),
                mean_hu=SeenRange.of([shape.mean_hu for shape in all_shapes if shape.mean_hu is not None]),
                elongation=SeenRange.of([shape.elongation for shape in whole]),
                height_mm=SeenRange.of(heights.get(key, ())),
                open_ended=key in self.open_ended,
            )
        return found

    def _aligned_cases(self) -> list[dict[int, float]]:
        """Heights of whole structures in cases that have enough of them; what goes on unmarked has no centre."""
        heights = [
            {key: one.height_mm for key, one in case.items() if not one.cut and key not in self.open_ended}
            for case in self.cases
        ]
        together = _seen_together(heights)
        heights = [{key: height for key, height in case.items() if key in together} for case in heights]
        return [case for case in heights if len(case) >= _FEWEST_TO_ALIGN]


def _seen_together(cases: Sequence[Mapping[int, float]]) -> set[int]:
    """Classes each two of which some case shows: how far apart others lie, nobody knows."""
    partners: dict[int, set[int]] = {}
    for case in cases:
        for key in case:
            partners.setdefault(key, set()).update(case)
    while partners and any(len(others) < len(partners) for others in partners.values()):
        lonely = min(partners, key=lambda key: (len(partners[key]), key))
        del partners[lonely]
        for others in partners.values():
            others.discard(lonely)
    return set(partners)


def _heights(cases: Sequence[Mapping[int, float]]) -> dict[int, list[float]]:
    """Heights of classes on one scale for all cases.

    Each case has an origin, each class a height above it; the two are fitted in turn by least squares, as a two-way
    layout with missing values is. The heights given back are from the origin that the median says, as
    :class:`Plausibility` finds it.
    """
    if not cases:
        return {}
    keys = sorted(set().union(*cases))
    values = np.array([[case.get(key, np.nan) for key in keys] for case in cases])
    levels = np.zeros(len(keys))
    for _ in range(_ROUNDS):
        origins = np.nanmean(values - levels, axis=1)
        levels = np.nanmean(values - origins[:, None], axis=0)
    levels -= levels.mean()
    heights = values - np.nanmedian(values - levels, axis=1)[:, None]
    return {key: column[~np.isnan(column)].tolist() for key, column in zip(keys, heights.T, strict=True)}
