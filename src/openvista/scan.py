"""Scan and Segmentation: voxels that know where they lie."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from openvista.anatomy.colours import Colour, colour_for
from openvista.dicom_slices import DicomSlices
from openvista.errors import AnatomyError, GridError, InputError
from openvista.geometry.box import Box, minus
from openvista.geometry.grid import Grid
from openvista.structures import StructureRow, StructureStatistics, measure, statistics

if TYPE_CHECKING:
    from openvista.metrics.agreement import StructureAgreement

NiftiGeometry = Mapping[str, NDArray[np.generic]]
"""The fields of a NIfTI header that say where voxels lie, as stored."""


@dataclass(frozen=True)
class ScanWarning:
    """Something about a scan that makes a wrong result likely.

    Attributes:
        code: stable short name, for example ``"values-8-bit"``.
        message: one line: what is odd, with the value, and what to do.
    """

    code: str
    message: str


@dataclass(frozen=True, eq=False)
class Scan:
    """A CT on its own grid, in the voxel order of its file.

    Attributes:
        voxels: [X, Y, Z] Hounsfield units, int16 or float32.
        grid: where the voxels lie.
        name: what to call it and its results; the file name without extensions.
        source: the file or folder it was read from.
        geometry: how a NIfTI source itself says where the voxels lie; results repeat it bit for bit.
        dicom: the slices of a DICOM source; results in DICOM lie on them.
        warnings: what its file left unclear; :func:`openvista.io.check_scan` adds what looks odd about the scan.
    """

    voxels: NDArray[np.generic]
    grid: Grid
    name: str = "scan"
    source: Path | None = None
    geometry: NiftiGeometry | None = field(default=None, repr=False)
    dicom: DicomSlices | None = field(default=None, repr=False)
    warnings: tuple[ScanWarning, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.voxels.shape != self.grid.shape:
            raise GridError(f"voxels of shape {self.voxels.shape} do not fit a grid of shape {self.grid.shape}")

    def cropped(self, box: Box) -> "Scan":
        """The part of a scan in a box of its own voxels; without what only the whole has: its file's geometry, and the
        slices of a DICOM source."""
        if box == Box.whole(self.grid.shape):
            return self
        part = self.grid.part(box.start, box.shape)
        return replace(self, voxels=self.voxels[box.slices()], grid=part, geometry=None, dicom=None)


UNSEEN_LOGIT = -100.0
"""The logit where no window lay, in the air around the body; its probability is 0."""


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """What a model says of every class at every voxel, on the grid of its scan.

    Attributes:
        kind: "probabilities": uint8, 255 times the sigmoid of the logit; "logits": float16.
        values_KXYZ: [class, X, Y, Z] in the voxel order of the scan; mapped from disk, so slices cost what they hold.
        grid: where the voxels lie; the scan's own grid.
        names: {id: name} of the classes, in the order of the first axis.
        scan: the CT.

    Raises:
        InputError: there is no such kind.
    """

    kind: str
    values_KXYZ: NDArray[np.generic]
    grid: Grid
    names: dict[int, str]
    scan: Scan | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("probabilities", "logits"):
            raise InputError(f"no class maps {self.kind!r}: there is probabilities and logits")

    def of(self, structure: int | str) -> NDArray[np.float32]:
        """[X, Y, Z] float32 of one class, by id or name: probabilities 0..1, or logits.

        Raises:
            AnatomyError: it was not asked for.
        """
        for place, (class_id, name) in enumerate(self.names.items()):
            if structure == class_id or str(structure).casefold() == name.casefold():
                values_XYZ = self.values_KXYZ[place].astype(np.float32)
                return values_XYZ / np.float32(255) if self.kind == "probabilities" else values_XYZ
        raise AnatomyError(f"there is no map of {structure!r}, only of {', '.join(self.names.values())}")

    def cropped(self, box: Box) -> "ClassMaps":
        """The maps in a box of voxels, see :meth:`Scan.cropped`."""
        values_KXYZ = self.values_KXYZ[(slice(None), *box.slices())]
        scan = None if self.scan is None else self.scan.cropped(box)
        return replace(self, values_KXYZ=values_KXYZ, grid=self.grid.part(box.start, box.shape), scan=scan)

    def save(self, folder: str | Path) -> list[Path]:
        """Write a file per class, ``<name>.nii.gz``; readers that heed the header's slope get 0..1, or logits.

        Args:
            folder: is made where it is missing.

        Raises:
            OutputError: it cannot be written there. No file is half-written.
        """
        from openvista.io import write_class_maps  # as for Segmentation.save

        return write_class_maps(self, Path(folder))


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A label map on the grid of its scan, with names.

    Attributes:
        labels: [X, Y, Z] uint8 or uint16 ids, 0 = none of them; the voxel order of the scan.
        grid: where the voxels lie; the scan's own grid.
        names: {id: name} of the ids that are present or were asked for.
        colours: {id: (red, green, blue)}, 0..255; an id without one gets the anatomy's.
        scan: the CT, for HU statistics and pictures.
        provenance: what it takes to make it again: model, weights_sha256, profile, version, prompts.
        class_maps: probabilities or logits of every class, where they were asked for.
        looked_at: the voxels that were looked at, where it is not all of them; what its faces cut touches the border.
        unlikely: {id: measures} of structures that are unlike those the model was trained on, see
            :mod:`openvista.plausibility`; ``None`` where nobody judged, as of a model whose card has no ranges.

    Raises:
        GridError: labels and grid, or scan and grid, do not fit.
        ValueError: labels are not uint8 or uint16.
    """

    labels: NDArray[np.unsignedinteger]
    grid: Grid
    names: dict[int, str]
    colours: dict[int, Colour] = field(default_factory=dict)
    scan: Scan | None = None
    provenance: dict[str, object] = field(default_factory=dict)
    class_maps: ClassMaps | None = field(default=None, repr=False)
    looked_at: Box | None = None
    unlikely: Mapping[int, tuple[str, ...]] | None = None

    def __post_init__(self) -> None:
        if self.labels.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"labels must be uint8 or uint16, not {self.labels.dtype}")
        if self.labels.shape != self.grid.shape:
            raise GridError(f"labels of shape {self.labels.shape} do not fit a grid of shape {self.grid.shape}")
        if self.scan is not None and not self.scan.grid.matches(self.grid):
            raise GridError(f"labels and scan {self.scan.name} lie on different grids")
        filled = {key: tuple(self.colours.get(key) or colour_for(key)) for key in self.names}
        object.__setattr__(self, "colours", {**self.colours, **filled})

    def mask(self, structure: int | str) -> NDArray[np.bool_]:
        """[X, Y, Z] where a structure is, by id or name.

        Raises:
            AnatomyError: this segmentation has no such structure.
        """
        return np.asarray(self.labels == self.id_of(structure))

    def id_of(self, structure: int | str) -> int:
        """The label id of a structure given by id or name (any case).

        Raises:
            AnatomyError: this segmentation has no such structure.
        """
        if structure in self.names:
            return int(structure)
        by_name = {name.casefold(): key for key, name in self.names.items()}
        if str(structure).casefold() in by_name:
            return by_name[str(structure).casefold()]
        near = difflib.get_close_matches(str(structure).casefold(), by_name, n=3, cutoff=0.0)
        raise AnatomyError(f"{structure!r} is not in this segmentation; nearest: {', '.join(near) or 'it is empty'}")

    def table(self) -> list[StructureRow]:
        """Voxels, volume, HU, whether it touches the border, what is unlikely; by named structure in order of id."""
        hu = None if self.scan is None else self.scan.voxels
        rows = measure(self.labels, self.grid, self.names, hu, self.looked_at)
        return [replace(row, unlikely=(self.unlikely or {}).get(row.id, ())) for row in rows]

    def without_unlikely(self) -> "Segmentation":
        """The segmentation without the voxels of what is unlikely; ``unlikely`` and ``table`` still say what it was."""
        gone = np.isin(self.labels, list(self.unlikely or ()))
        labels = np.where(gone, 0, self.labels).astype(self.labels.dtype) if gone.any() else self.labels
        return replace(self, labels=labels, provenance={**self.provenance, "dropped_unlikely": True})

    def combined(self, parts: Iterable[int], id: int, name: str) -> "Segmentation":
        """The segmentation with some structures as one.

        Args:
            parts: their label ids.
            id: label id of the whole: that of a part, or one that is free.
            name: of the whole.
        """
        gone = set(parts)
        highest = max(int(np.iinfo(self.labels.dtype).max), id)
        becomes = np.arange(highest + 1).astype(np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16)
        becomes[list(gone)] = id
        names = {key: known for key, known in self.names.items() if key not in gone} | {id: name}
        colours = {key: colour for key, colour in self.colours.items() if key not in gone}
        judged = self.unlikely
        if judged is not None:  # nothing is known of the whole
            judged = {key: measures for key, measures in judged.items() if key not in gone | {id}}
        return replace(self, labels=becomes[self.labels], names=names, colours=colours, unlikely=judged)

    def cropped(self, box: Box) -> "Segmentation":
        """The part in a box of voxels, with its scan and its class maps. Each keeps its place in the patient."""
        seen = self.looked_at and self.looked_at.intersect(box)
        return replace(
            self,
            looked_at=seen and seen.shifted(minus((0, 0, 0), box.start)),
            labels=self.labels[box.slices()],
            grid=self.grid.part(box.start, box.shape),
            scan=None if self.scan is None else self.scan.cropped(box),
            class_maps=None if self.class_maps is None else self.class_maps.cropped(box),
        )

    def statistics(self) -> list[StructureStatistics]:
        """Volume, HU with percentiles, centroid, box and border for each named structure in order of id."""
        hu = None if self.scan is None else self.scan.voxels
        return statistics(self.labels, self.grid, self.names, hu, self.looked_at)

    def compare(self, other: "Segmentation") -> "list[StructureAgreement]":
        """How well another segmentation of the same scan agrees with this one (the first), structure by structure.

        Raises:
            GridError: it lies on another grid.
            AnatomyError: no structure is named in both.
        """
        if not other.grid.matches(self.grid):
            raise GridError(
                f"the other segmentation has shape {other.grid.shape} and does not lie on the grid of this one, of "
                f"shape {self.grid.shape}; resample it to the scan first"
            )
        from openvista.metrics.agreement import compare_label_maps  # loads scipy

        return compare_label_maps(self.labels, self.names, other.labels, other.names, self.grid)

    def save(
        self,
        path: str | Path,
        format: str | None = None,
        *,
        labelmap: bool = False,
        keyhole: bool = False,
        keep_identifiers: bool = False,
    ) -> Path:
        """Write the segmentation: as label map, with a ``.json`` of names and provenance beside it, as DICOM, as mesh.

        Args:
            path: ``.nii.gz``, ``.nii``, ``.seg.nrrd``, ``.nrrd``, ``.mha``, ``.dcm``, ``.stl``, ``.obj`` or ``.glb``;
                or a folder, for ``<scan>_seg.nii.gz`` in it.
            format: ``nii.gz``, ``nii``, ``seg.nrrd``, ``nrrd``, ``mha``, ``dicom-seg``, ``dicom-rtstruct``,
                ``dicom-sr``, ``stl``, ``obj``, ``glb``; by default what the ending says (``.dcm``: ``dicom-seg``).
            labelmap: the DICOM segmentation is a Label Map Segmentation.
            keyhole: contours of an RTSTRUCT go round holes through a channel.
            keep_identifiers: DICOM keeps the patient's name, id and dates.

        Returns:
            The file's path.

        Raises:
            OutputError: it cannot be written there, would replace the scan itself, or is DICOM of a scan that was not
                read from DICOM. Nothing is left behind.
            MissingExtraError: a package that the format needs is not installed.
        """
        from openvista.io import DicomOptions, write_segmentation  # io stands above scan: loaded only when needed

        return write_segmentation(self, path, format, DicomOptions(labelmap, keyhole, keep_identifiers))
