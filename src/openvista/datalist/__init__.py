"""Data lists: which scans there are, and which structures somebody marked in each; made from files, and checked."""

from openvista.datalist.case import AnyCase, Case, DataList, SliceRange, UnlabelledCase
from openvista.datalist.check import (
    CaseReport,
    ListReport,
    Problem,
    StructureSummary,
    check_datalist,
    report_content,
    structure_rows,
    usable_part,
)
from openvista.datalist.make import MadeList, Split, make_datalist
from openvista.datalist.mapping import LabelMapping, map_labels, pair_label_sets, parse_mapping
from openvista.datalist.pairs import FoundPairs, find_pairs
from openvista.datalist.read import read_datalist, read_label_names, read_own_mapping, refuse_missing
from openvista.datalist.write import write_datalist

__all__ = [
    "AnyCase",
    "Case",
    "CaseReport",
    "DataList",
    "FoundPairs",
    "LabelMapping",
    "ListReport",
    "MadeList",
    "Problem",
    "SliceRange",
    "Split",
    "StructureSummary",
    "UnlabelledCase",
    "check_datalist",
    "find_pairs",
    "make_datalist",
    "map_labels",
    "pair_label_sets",
    "parse_mapping",
    "read_datalist",
    "read_label_names",
    "read_own_mapping",
    "refuse_missing",
    "report_content",
    "structure_rows",
    "usable_part",
    "write_datalist",
]
