"""Image files in and out: the only place that opens them. Formats are loaded when first needed."""

from openvista.io.atomic import replacing
from openvista.io.checks import check_dicom_source, check_scan
from openvista.io.paths import result_path, scan_name
from openvista.io.per_class import write_per_class
from openvista.io.read import bytes_to_read, read_grid, read_labels, read_scan, read_segmentation
from openvista.io.write import (
    DicomOptions,
    check_output,
    write_class_maps,
    write_scan,
    write_segmentation,
)
from openvista.scan import ScanWarning

__all__ = [
    "DicomOptions",
    "ScanWarning",
    "bytes_to_read",
    "check_dicom_source",
    "check_output",
    "check_scan",
    "read_grid",
    "read_labels",
    "read_scan",
    "read_segmentation",
    "replacing",
    "result_path",
    "scan_name",
    "write_class_maps",
    "write_per_class",
    "write_scan",
    "write_segmentation",
]
