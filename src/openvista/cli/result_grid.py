"""Where results lie, as the user wants it: on another grid, cropped to structures, looked for in a part of the scan."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from openvista.anatomy.vocabulary import Vocabulary
from openvista.cli.options import PLACE, joined, three_numbers
from openvista.errors import InputError, OutputError
from openvista.geometry.box import Box
from openvista.geometry.grid import Float3, Grid, triple
from openvista.io import read_grid, read_labels
from openvista.io.paths import DICOM_FORMATS, find_image
from openvista.scan import Scan, Segmentation

Spacing = Annotated[
    str | None,
    typer.Option(
        metavar="MM[,MM,MM]",
        help="Voxel size of the result, along the scan's own axes; structures are decided on it.",
        rich_help_panel=PLACE,
    ),
]
Like = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The result lies on the voxels of this image.", rich_help_panel=PLACE),
]
CropTo = Annotated[
    list[str] | None,
    typer.Option(metavar="CLASS", help="Crop results to the box of these classes; repeatable.", rich_help_panel=PLACE),
]
Margin = Annotated[
    float | None,
    typer.Option(metavar="MM", min=0, help="Around the box of --crop-to. Default: 10.", rich_help_panel=PLACE),
]
Roi = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|BOX",
        help="Look only here, which takes fewer windows: the box around the labels of a file, or voxels of the scan, "
        "as in 40:200,:,10:60.",
        rich_help_panel=PLACE,
    ),
]

_SIDE = r"(\d*):(\d*)"
_BOX = re.compile(rf"{_SIDE},{_SIDE},{_SIDE}")
_MARGIN_MM = 10.0


@dataclass(frozen=True)
class ResultGrid:
    """What ``--spacing``, ``--like``, ``--crop-to``, ``--margin`` and ``--roi`` say.

    Attributes:
        spacing: mm along the scan's own axes.
        like: the grid of another image.
        crop_to: names or ids of classes.
        margin: mm around their box.
        roi: a file with labels, or a box as text.
    """

    spacing: Float3 | None = None
    like: Grid | None = None
    crop_to: tuple[str, ...] = ()
    margin: float = _MARGIN_MM
    roi: str | None = None

    @classmethod
    def of_options(
        cls,
        spacing: str | None,
        like: Path | None = None,
        crop_to: Sequence[str] | None = None,
        margin: float | None = None,
        roi: str | None = None,
    ) -> "ResultGrid":
        """Read the options; what is wrong with them should not cost reading a scan.

        Raises:
            InputError: options that contradict each other, or are no numbers.
            ScanError: a file that is not there, or cannot be read.
        """
        if spacing is not None and like is not None:
            raise InputError("--spacing and --like both say where the result lies: give one of them")
        if margin is not None and not crop_to:
            raise InputError("--margin is for --crop-to: give that, too")
        if roi is not None and not _BOX.fullmatch(roi.replace(" ", "")):
            find_image(roi)
        return cls(
            spacing=None if spacing is None else parse_spacing(spacing),
            like=None if like is None else read_grid(like),
            crop_to=tuple(joined(list(crop_to or ())).split(",")) if crop_to else (),
            margin=_MARGIN_MM if margin is None else margin,
            roi=roi,
        )

    def check_formats(self, formats: Iterable[str]) -> None:
        """Refuse DICOM on other voxels than those of the scan.

        Raises:
            OutputError: it is asked for.
        """
        dicom = next((format for format in formats if format in DICOM_FORMATS), None)
        given = {"--spacing": self.spacing, "--like": self.like, "--crop-to": self.crop_to or None}
        option = next((name for name, value in given.items() if value is not None), None)
        if dicom and option:
            raise OutputError(f"{dicom} lies on the scan's own slices: leave out {option}, or choose another format")

    def classes(self, vocabulary: Vocabulary, ids: Sequence[int]) -> list[int]:
        """Ids that results are cropped to.

        Raises:
            AnatomyError: a class that nobody, or this model, knows.
            InputError: a class that is not asked for.
        """
        wanted = vocabulary.expand(self.crop_to) if self.crop_to else []
        missing = [vocabulary.name(key) for key in wanted if key not in ids]
        if missing:
            raise InputError(f"--crop-to {missing[0]}: it is not looked for; add --class {missing[0]!r}")
        return wanted

    def grid(self, scan: Scan) -> Grid | None:
        """The grid that the result of this scan lies on; ``None`` for the scan's own."""
        return self.like if self.spacing is None else scan.grid.with_spacing(self.spacing)

    def region(self, scan: Scan) -> Box | None:
        """The voxels of this scan that are looked at; ``None`` for all.

        Raises:
            InputError: there are none in the scan.
            ScanError: the file cannot be read.
        """
        if self.roi is None:
            return None
        whole, found = Box.whole(scan.grid.shape), _BOX.fullmatch(self.roi.replace(" ", ""))
        if found is None:
            box = _box_of_labels(Path(self.roi), scan)
        else:
            sides = zip(found.groups()[::2], found.groups()[1::2], whole.stop, strict=True)
            ends = [(int(first or 0), int(stop) if stop else length) for first, stop, length in sides]
            box = Box(triple(first for first, _ in ends), triple(stop for _, stop in ends))
        inside = None if box.empty else whole.intersect(box)
        if inside is None:
            shape = " x ".join(map(str, whole.stop))
            raise InputError(f"--roi {self.roi}: holds no voxel of {scan.name}, which has {shape}")
        return inside

    def cropped(self, result: Segmentation, ids: Sequence[int]) -> Segmentation:
        """The result within the box of these classes and the margin; all of it without classes.

        Raises:
            InputError: none of them was found.
        """
        if not ids:
            return result
        margins = [round(self.margin / length) for length in result.grid.spacing]
        box = Box.around(np.isin(result.labels, ids), margins)
        if box is None:
            name = result.scan.name if result.scan else "scan"
            raise InputError(f"{name}: no {' or '.join(self.crop_to)} was found to crop to; nothing is written")
        provenance = result.provenance | {"cropped_to": list(ids), "margin_mm": self.margin}
        return replace(result.cropped(box), provenance=provenance)


def parse_spacing(text: str) -> Float3:
    """One number for all axes, or three.

    Raises:
        InputError: something else.
    """
    try:
        return three_numbers(text if "," in text else ",".join([text] * 3), "--spacing", float)
    except InputError:
        raise InputError(f"--spacing {text}: give one number of mm above 0, or three: 1.5 or 1,1,3") from None


def _box_of_labels(path: Path, scan: Scan) -> Box:
    """The voxels of a scan in the box around all that is labelled in a file, which may lie on another grid."""
    labels, grid = read_labels(path, scan_grid=scan.grid, apart=True)
    box = Box.around(labels > 0)
    if box is None:
        raise InputError(f"--roi {path}: no voxel of it is labelled")
    ends = np.array([box.start, box.stop]) - 0.5  # faces of voxels
    corners = np.array([[ends[i, 0], ends[j, 1], ends[k, 2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    places = scan.grid.to_voxel(grid.to_world(corners))
    start, stop = np.floor(places.min(0) + 0.5 + 1e-6), np.ceil(places.max(0) + 0.5 - 1e-6)
    return Box(triple(int(value) for value in start), triple(int(value) for value in stop))
