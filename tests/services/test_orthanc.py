"""The PACS that other tests rely on: it keeps what it gets, and offers DICOMweb."""

import numpy as np
from orthanc import Orthanc

from small_series import ct_series


def test_the_pacs_keeps_what_it_gets(orthanc: Orthanc):
    hu_XYZ = np.random.default_rng(0).integers(-1000, 1000, (9, 8, 5))
    sent = ct_series(hu_XYZ)
    orthanc.store(*sent)
    uid = sent[0].SeriesInstanceUID
    kept = {one.SOPInstanceUID: one.pixel_array for one in orthanc.instances(SeriesInstanceUID=uid)}
    assert len(kept) == len(sent)
    assert all(np.array_equal(kept[one.SOPInstanceUID], one.pixel_array) for one in sent)
    listed = orthanc.http.get("/dicom-web/series", headers={"Accept": "application/dicom+json"}).json()
    assert [item["0020000E"]["Value"] for item in listed] == [[uid]]
