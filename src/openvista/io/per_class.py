"""One file per structure, in a folder: masks as TotalSegmentator writes them, or surfaces."""

from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from openvista.io.atomic import make_folder, replacing, write_text
from openvista.io.paths import MESH_FORMATS, distinct_file_names
from openvista.io.write import as_stored, described, require_something, write_format
from openvista.scan import Segmentation
from openvista.structures import present_ids


def write_per_class(segmentation: Segmentation, folder: Path, format: str, compress: bool = False) -> list[Path]:
    """Write each structure into a file of its own, ``<folder>/<structure>.<format>``; each whole or not at all.

    A mask is 1 where its structure is, and 0 elsewhere; one that was asked for and not found is all 0. Surfaces are
    only of what was found. What made them is in ``<folder>.json``, as beside a label map.

    Args:
        segmentation: whose structures.
        folder: made if it is not there; what else is in it stays.
        format: of a label map or of surfaces.
        compress: see :func:`openvista.io.write.write_segmentation`.

    Returns:
        The files.

    Raises:
        FormatError: nothing was found to make a surface of.
        OutputError: the system refused.
        MissingExtraError: a package that the format needs is not installed.
    """
    stored = as_stored(segmentation)
    if format in MESH_FORMATS:
        require_something([stored], folder.name, format)
    ids = present_ids(stored.labels) if format in MESH_FORMATS else sorted(stored.names)
    make_folder(folder)
    paths = []
    for key, name in distinct_file_names({key: stored.names[key] for key in ids}).items():
        mask = (stored.labels == key).astype(np.uint8)
        names, colours = {1: stored.names[key]}, {1: stored.colours[key]}
        path = folder / f"{name}.{format}"
        with replacing(path) as temporary:
            one = Segmentation(mask, stored.grid, names, colours, stored.scan, stored.provenance)
            write_format(temporary, one, format, compress)
        paths.append(path)
    if format not in MESH_FORMATS:
        write_text(folder.with_name(f"{folder.name}.json"), described(stored))
    return paths


def write_zipped(segmentation: Segmentation, path: Path, format: str) -> None:
    """Write the files of :func:`write_per_class` into one zip, whole or not at all.

    Raises:
        OutputError: as :func:`write_per_class`.
        MissingExtraError: a package that the format needs is not installed.
    """
    with TemporaryDirectory(dir=path.parent) as folder, replacing(path) as temporary:
        files = write_per_class(segmentation, Path(folder, "files"), format)
        with ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.name)
