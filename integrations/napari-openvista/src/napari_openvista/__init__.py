"""OpenVISTA in napari: read CT, segment by name and by clicks, correct with the brush, write label maps."""

__version__ = "0.1.0"
