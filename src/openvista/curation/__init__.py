"""Making data lists from files on disk, and checking them before a training run finds out."""

from openvista.curation.check import CaseReport, ListReport, Problem, check_datalist, usable_part
from openvista.curation.make import MadeList, make_datalist
from openvista.curation.pairs import FoundPairs, find_pairs
from openvista.curation.summary import StructureSummary, report_content, structure_rows

__all__ = [
    "CaseReport",
    "FoundPairs",
    "ListReport",
    "MadeList",
    "Problem",
    "StructureSummary",
    "check_datalist",
    "find_pairs",
    "make_datalist",
    "report_content",
    "structure_rows",
    "usable_part",
]
