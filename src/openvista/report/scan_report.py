"""The report of one scan: picture, table and what to look at, as one HTML page that needs nothing beside it."""

from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from openvista.anatomy.colours import to_hex
from openvista.io.atomic import write_text
from openvista.report.html import NONE, definitions, figure, page, section, table, tiles
from openvista.report.preview import write_preview
from openvista.report.table import remark
from openvista.scan import Segmentation
from openvista.structures import StructureRow


def write_scan_report(segmentation: Segmentation, path: Path, picture: Path | None = None) -> None:
    """Write the report, whole or not at all.

    Args:
        segmentation: its ``scan``, if it has one, is drawn and measured, and its warnings are repeated.
        path: the HTML file.
        picture: what :func:`openvista.report.preview.write_preview` drew of it; drawn if ``None``.

    Raises:
        OutputError: it cannot be written there.
        MissingExtraError: matplotlib is not installed.
    """
    rows = segmentation.table()
    found = [row for row in rows if row.voxels]
    name = segmentation.scan.name if segmentation.scan else "segmentation"
    with TemporaryDirectory(prefix="openvista-") as folder:
        drawn = picture or write_preview(segmentation, Path(folder, "preview.png"))
        shown = figure(drawn, name, "radiological view")
    parts = [
        f"<h1>{escape(name)}</h1>",
        *(f'<div class="banner">{escape(flag)}</div>' for flag in flags(segmentation, rows)),
        tiles([(str(len(found)), "structures found"), (str(len(rows) - len(found)), "asked for and not found")]),
        f'<div class="picture">{shown}</div>',
        section("Structures", _structures(segmentation, found)),
        section("How this was made", definitions(_made(segmentation))),
    ]
    write_text(path, page(name, "".join(parts)))


def flags(segmentation: Segmentation, rows: list[StructureRow]) -> list[str]:
    """What to look at before the numbers are used, in plain text: what is odd about the scan, what its border cuts,
    what is unlike training, what was not found."""
    said = [] if segmentation.scan is None else [warning.message for warning in segmentation.scan.warnings]
    cut = [row.name for row in rows if row.touches_border]
    unlikely = [f"{row.name} ({', '.join(row.unlikely)})" for row in rows if row.voxels and row.unlikely]
    left_out = [f"{row.name} ({', '.join(row.unlikely)})" for row in rows if not row.voxels and row.unlikely]
    missing = [row.name for row in rows if not row.voxels and not row.unlikely]
    if cut:
        said.append(f"Touch the border, so that their volume may be larger: {', '.join(cut)}.")
    if unlikely:
        said.append(f"Unlike the cases of training: {', '.join(unlikely)}.")
    if left_out:
        said.append(f"Left out, being unlike the cases of training: {', '.join(left_out)}.")
    if missing:
        said.append(f"Not found: {', '.join(missing)}.")
    return said


def _structures(segmentation: Segmentation, rows: list[StructureRow]) -> str:
    if not rows:
        return "<p>No structure was found.</p>"
    cells = []
    for row in rows:
        swatch = f'<i class="swatch" style="background: {to_hex(segmentation.colours[row.id])}"></i>'
        hu = [NONE if value is None else f"{value:.1f}" for value in (row.mean_hu, row.sd_hu)]
        cells.append([f"{swatch}{escape(row.name)}", str(row.id), f"{row.volume_ml:,.3f}", *hu, escape(remark(row))])
    return table(["structure", "id", "ml", "mean HU", "SD of HU", ""], cells)


def _made(segmentation: Segmentation) -> list[tuple[str, str]]:
    grid, made = segmentation.grid, segmentation.provenance
    shape, spacing = (" x ".join(f"{value:.4g}" for value in values) for values in (grid.shape, grid.spacing))
    pairs = [("voxels", shape), ("spacing, mm", spacing), ("axes run to", grid.axis_codes)]
    told = ("model", "weights_sha256", "profile", "mode", "overlap", "precision", "region", "version")
    return pairs + [(key.replace("_", " "), str(made[key])) for key in told if key in made]
