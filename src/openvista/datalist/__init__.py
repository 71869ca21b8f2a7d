"""Data lists: which scans there are, which structures somebody marked in each, and where."""

from openvista.datalist.case import AnyCase, Case, DataList, SliceRange, UnlabelledCase
from openvista.datalist.mapping import LabelMapping, map_labels, parse_mapping
from openvista.datalist.read import read_datalist, read_label_names
from openvista.datalist.write import write_datalist

__all__ = [
    "AnyCase",
    "Case",
    "DataList",
    "LabelMapping",
    "SliceRange",
    "UnlabelledCase",
    "map_labels",
    "parse_mapping",
    "read_datalist",
    "read_label_names",
    "write_datalist",
]
