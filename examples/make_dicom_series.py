"""Write a CT as a DICOM series, one file per slice: the twin of the demo's CT that ``make demo-dicom`` segments.

    python examples/make_dicom_series.py examples/data/head_neck_ct.nii.gz demo-output/series

Needs ``pip install 'openvista[dicom]'``. The patient is made up, and the UIDs follow from the file's name, so the same
call writes the same series.
"""

import sys
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

import openvista as ov

INTERCEPT = -1024
LPS_OF_RAS = np.array([-1.0, -1.0, 1.0])


def write_series(scan: ov.Scan, folder: Path) -> None:
    """Slices lie along the scan's third axis, first to last."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(scan.grid.shape[2]):
        image = one_slice(scan, number)
        image.save_as(folder / f"slice_{number + 1:03d}.dcm", enforce_file_format=True)


def one_slice(scan: ov.Scan, number: int) -> Dataset:
    """A slice with the header that a CT needs (PS3.3, A.3). DICOM's axes run to the patient's left, back and head."""
    row, column = (scan.grid.affine[:3, axis] / scan.grid.spacing[axis] * LPS_OF_RAS for axis in (0, 1))
    position = scan.grid.to_world(np.array([[0, 0, number]]))[0] * LPS_OF_RAS
    image = Dataset()
    image.SOPClassUID, image.Modality, image.ImageType = CTImageStorage, "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.SOPInstanceUID = generate_uid(entropy_srcs=[scan.name, "slice", str(number)])
    image.SeriesInstanceUID = generate_uid(entropy_srcs=[scan.name, "series"])
    image.StudyInstanceUID = generate_uid(entropy_srcs=[scan.name, "study"])
    image.FrameOfReferenceUID = generate_uid(entropy_srcs=[scan.name, "frame of reference"])
    image.PatientName, image.PatientID, image.StudyID, image.SeriesDescription = "Made^Up", "demo", "1", "Demo CT"
    image.SeriesNumber, image.InstanceNumber = 1, number + 1
    image.ImageOrientationPatient = [round(value, 6) for value in (*row, *column)]
    image.ImagePositionPatient = [round(value, 3) for value in position]
    image.PixelSpacing, image.SliceThickness = [scan.grid.spacing[1], scan.grid.spacing[0]], scan.grid.spacing[2]
    image.Columns, image.Rows = scan.grid.shape[:2]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, INTERCEPT, "HU"
    stored = np.rint(scan.voxels[:, :, number].T) - INTERCEPT
    image.PixelData = np.ascontiguousarray(stored, dtype="<i2").tobytes()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} CT FOLDER")
    write_series(ov.read_scan(sys.argv[1]), Path(sys.argv[2]))
