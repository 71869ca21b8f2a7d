"""Voxels in the order that OHIF has them: those of the series' own images, sorted along their normal.

A scan's grid is the same, but for slices that were filled in and for a tilted gantry, whose slices lie shifted in their
planes on it. OHIF (cornerstone3D's ``sortImageIdsAndGetSpacing``) knows neither.
"""

from dataclasses import replace

import numpy as np

from openvista.dicom_slices import DicomSlices
from openvista.errors import ServiceError
from openvista.io.dicom.frames import labels_on_slices
from openvista.prompts import Click
from openvista.scan import Segmentation
from openvista.serve.oneshot import Question


def question_on_scan(question: Question, slices: DicomSlices) -> Question:
    """A question whose clicks are voxels of the series, as one about the scan's grid.

    Raises:
        ServiceError: 422, a click outside.
    """
    places = [(index, one) for index, one in enumerate(slices.slices) if one is not None]

    def moved(click: Click) -> Click:
        i, j, k = click.voxel
        if not 0 <= round(k) < len(places):
            raise ServiceError(f"a click on slice {k:g} is outside of the {len(places)} slices", code="prompt")
        index, one = places[round(k)]
        return replace(click, voxel=(i - one.shift[0], j - one.shift[1], float(index)))

    return replace(question, clicks={name: [moved(one) for one in each] for name, each in question.clicks.items()})


def labels_in_series(segmentation: Segmentation, slices: DicomSlices) -> np.ndarray:
    """[column, row, slice] ids on the series' own images."""
    return labels_on_slices(segmentation.labels, slices).T
