"""How often the starter's results are called unlikely: inside the region it knows (false flags), and outside of it
(inventions caught). The figures are in accuracy.md.

Inside: the six cases of fold 0 that never trained it, and the testing list, of OpenKBP. Outside: the CTs of abdomen and
pelvis, and of arms and legs. There, whatever is found is an invention, unless the scan's label map names it.

    python benchmarks/plausibility.py DATA          # the folder of openkbp/, body/ and sarcoma/ with their lists
"""

import argparse
import csv
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openvista
from openvista.datalist import Case, read_datalist
from openvista.io import read_labels
from openvista.structures import StructureRow, present_ids

INSIDE = ("the six", "openkbp testing")
SIX = ("pt_017", "pt_024", "pt_034", "pt_083", "pt_100", "pt_172")


@dataclass(frozen=True)
class Found:
    """A structure that was found: where, in which scan, and whether it is known to be there."""

    group: str
    scan: str
    row: StructureRow
    is_there: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="CSV file with a line per structure found")
    arguments = parser.parse_args()
    model, found, warned, scans = openvista.load_model("starter"), [], Counter(), Counter()
    began = time.perf_counter()
    for group, case, known in sample(arguments.data):
        scan = openvista.read_scan(case.image)
        rows = model.segment(scan).table()
        scans[group] += 1
        warned[group] += model.region_warning([row.id for row in rows], rows) is not None
        known |= {row.name for row in rows} if group in INSIDE else set()
        found += [Found(group, scan.name, row, row.name in known) for row in rows if row.voxels]
    if arguments.output:
        write(found, arguments.output)
    print(f"{sum(scans.values())} scans, {time.perf_counter() - began:.0f} s")
    for group, count in scans.items():
        tell(group, count, warned[group], [one for one in found if one.group == group])


def sample(data: Path) -> Iterator[tuple[str, Case, set[str]]]:
    """The group of each scan, the scan, and names of what its label map shows."""
    listed = read_datalist(data / "openkbp" / "dataset.json")
    yield from (("the six", case, set()) for case in listed.training if case.name in SIX)
    yield from (("openkbp testing", case, set()) for case in listed.testing)
    body = read_datalist(data / "body" / "dataset.json")
    for case in body.testing:
        names = {body.label_names[value].replace("_", " ") for value in present_ids(read_labels(case.label)[0])}
        yield "body", case, names
    limbs = read_datalist(data / "sarcoma" / "dataset.json")
    yield from (("sarcoma training", case, set()) for case in limbs.training)
    yield from (("sarcoma testing", case, set()) for case in limbs.testing)


def tell(group: str, scans: int, warned: int, found: list[Found]) -> None:
    """Found and flagged: what is there, what is not, and of the latter what is whole in the scan."""
    print(f"\n{group}: {scans} scans, {warned} with the warning that nothing known is shown")
    print("| structure | there | flagged | invented | flagged | of these whole | flagged |")
    names = {one.row.id: one.row.name for one in found}
    for name in [*dict.fromkeys(names[key] for key in sorted(names)), "all"]:
        some = [one for one in found if name in ("all", one.row.name)]
        there, invented = ([one for one in some if one.is_there == is_there] for is_there in (True, False))
        whole = [one for one in invented if not one.row.touches_border]
        parts = (there, invented, whole)
        cells = [count for part in parts for count in (len(part), sum(bool(one.row.unlikely) for one in part))]
        print(f"| {name} | {' | '.join(map(str, cells))} |")
    for one in found:
        if one.is_there and one.row.unlikely:
            print(f"{one.scan}: {one.row.name} {one.row.volume_ml:.1f} ml: {', '.join(one.row.unlikely)}")


def write(found: list[Found], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["group", "scan", "structure", "volume_ml", "mean_hu", "touches_border", "is_there", "unlikely"]
        )
        for one in found:
            row = one.row
            values = [f"{row.volume_ml:.3f}", f"{row.mean_hu:.1f}", row.touches_border, one.is_there]
            writer.writerow([one.group, one.scan, row.name, *values, " ".join(row.unlikely)])


if __name__ == "__main__":
    main()
