"""Supervoxels: a scan cut into pieces that look alike, to practise clicking on things that nobody labelled.

How (paper facts §6): a feature vector per voxel, SLIC on them, air is 0. Features come from a model's automatic branch,
from plain intensities, or from SAM's image encoder; all three are :class:`FeatureSource`. Light to import: torch,
scikit-image and transformers are loaded when they are needed.
"""

from openvista.supervoxels.source import Clustering

__all__ = ["Clustering"]
