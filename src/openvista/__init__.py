"""OpenVISTA: 3D CT segmentation by class name and by clicks."""

__version__ = "0.1.0"
