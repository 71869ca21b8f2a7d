"""Scans and segmentations as layers of napari, and back."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_openvista.placing import KEY, Placing, source_of
from openvista.anatomy.colours import Colour, colour_for
from openvista.errors import ScanError
from openvista.io import read_scan
from openvista.scan import Scan, Segmentation
from openvista.structures import present_ids

LayerData = tuple[Any, dict[str, Any], str]
"""Array, choices and kind, as napari's readers give them."""

SOFT_TISSUE_HU = (-160, 240)
"""The window that a CT opens with: level 40, width 400, as radiologists look at the abdomen."""


def scan_layer(scan: Scan, series: str | None = None) -> LayerData:
    """An image layer: HU, where the scan lies.

    Args:
        scan: HU.
        series: which of its folder's, if there are several.
    """
    placing = Placing.of(scan.grid)
    source = None if scan.source is None else str(scan.source.absolute())
    choices = placing.layer_choices(source=source, series=series, scan=scan.name)
    look = {"name": scan.name, "colormap": "gray", "contrast_limits": SOFT_TISSUE_HU}
    return placing.to_layer(scan.voxels), look | choices, "image"


def labels_layer(segmentation: Segmentation, name: str, **known: Any) -> LayerData:
    """A labels layer with names and colours.

    Args:
        segmentation: ids on its grid.
        name: of the layer.
        known: what to remember of its scan: ``source`` and ``series``.
    """
    placing = Placing.of(segmentation.grid)
    look = {"name": name, **names_and_colours(segmentation.names, segmentation.colours)}
    data = placing.to_layer(segmentation.labels).astype(np.uint16)  # any id may be painted
    return data, look | placing.layer_choices(**known), "labels"


def names_and_colours(names: Mapping[int, str], colours: Mapping[int, Colour]) -> dict[str, Any]:
    """How a labels layer shows ids: its colormap and its table of names."""
    shown: dict[int | None, Any] = {None: np.zeros(4), 0: np.zeros(4)}
    shown |= {key: np.array([*colours.get(key, colour_for(key)), 255]) / 255 for key in names}
    features = {"index": [0, *names], "name": ["background", *names.values()]}
    return {"colormap": DirectLabelColormap(color_dict=shown), "features": features}


def segmentation_of(layer: Labels) -> Segmentation:
    """The segmentation that a labels layer shows, on the grid of its file. An id without a name is "label <id>".

    Raises:
        GridError: the layer is not 3D.
        ScanError: a value is no id: below 0, or above 65535.
    """
    placing = Placing.of_layer(layer)
    data = np.asarray(layer.data)
    if data.size and (data.min() < 0 or data.max() > np.iinfo(np.uint16).max):
        raise ScanError(f"layer {layer.name!r} holds {data.min()} to {data.max()}: labels are 0 to 65535")
    labels_XYZ = placing.to_scan(data).astype(np.uint16)
    table = layer.features
    told = dict(zip(table["index"], table["name"], strict=True)) if {"index", "name"} <= set(table) else {}
    names = {key: f"label {key}" for key in present_ids(labels_XYZ)}
    names |= {int(key): str(name) for key, name in told.items() if int(key) > 0}
    colours = {key: _colour(layer, key) for key in names}
    return Segmentation(labels_XYZ, placing.grid, names, colours)


def scan_of(layer: Image) -> Scan:
    """The scan that an image layer shows. Its values count as HU.

    Raises:
        GridError: the layer is not 3D.
        ScanError: it holds colours, or several resolutions.
    """
    if layer.rgb or layer.multiscale:
        raise ScanError(f"layer {layer.name!r} is no CT: it holds colours, or several resolutions")
    placing = Placing.of_layer(layer)
    voxels = placing.to_scan(np.asarray(layer.data))
    if voxels.dtype != np.int16:
        voxels = voxels.astype(np.float32)
    return Scan(voxels, placing.grid, layer.metadata.get(KEY, {}).get("scan") or layer.name)


def with_dicom(segmentation: Segmentation, layer: Layer) -> Segmentation:
    """The segmentation with the DICOM scan that its layer comes from, read again: DICOM is written on its slices.

    Raises:
        ScanError: the layer does not come from a file, or that is there no more.
        GridError: the file lies elsewhere now.
    """
    source = source_of(layer.metadata)
    if source is None:
        raise ScanError(f"layer {layer.name!r} does not say which DICOM series it belongs to: save it as .nii.gz")
    scan = read_scan(source, series=layer.metadata[KEY].get("series"))
    return replace(segmentation, scan=scan)


def _colour(layer: Labels, key: int) -> Colour:
    """As the layer shows an id, even where only another is shown at the moment."""
    table: Mapping[Any, NDArray[Any]] = getattr(layer.colormap, "color_dict", {})
    shown = table[key] if key in table else layer.colormap.map(key)
    red, green, blue = (round(255 * float(part)) for part in shown[:3])
    return (red, green, blue) if red + green + blue else colour_for(key)
