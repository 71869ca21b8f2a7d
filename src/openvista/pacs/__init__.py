"""Hospital archives: series fetched and results stored by DICOMweb, and a DICOM node that segments what it is sent."""
