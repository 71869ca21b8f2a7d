"""Writer: a labels layer as label map with names and colours, or as DICOM segmentation of its scan."""

from typing import Any

from napari.layers import Labels, Layer

from napari_openvista.layers import segmentation_of, with_dicom
from openvista.io import write_segmentation


def write_labels(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a labels layer on the grid of its file, whole or not at all.

    Args:
        path: ends with ``.nii.gz``, ``.nii``, ``.seg.nrrd``, ``.nrrd``, ``.mha``; or with ``.dcm``, for a layer whose
            scan was read from DICOM.
        data: ids.
        meta: the layer's choices.

    Returns:
        The file's path.

    Raises:
        OutputError: it cannot be written there.
        ScanError, GridError: the layer holds no label map; or it has no DICOM scan.
    """
    layer = Layer.create(data, meta, "labels")
    assert isinstance(layer, Labels)
    segmentation = segmentation_of(layer)
    if path.lower().endswith(".dcm"):
        segmentation = with_dicom(segmentation, layer)
    return [str(write_segmentation(segmentation, path))]
