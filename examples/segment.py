"""Segment a CT from Python: python examples/segment.py [CT] [OUTPUT]."""

import sys
from pathlib import Path

import openvista as ov

CT = Path(__file__).parent / "data" / "head_neck_ct.nii.gz"


def main(ct: str = str(CT), output: str = "head_neck_ct_seg.nii.gz") -> None:
    model = ov.load_model("starter")
    scan = ov.read_scan(ct)
    result = model.segment(scan, classes=["spinal cord", "mandible", "Parotid_L"])
    for row in result.table():
        print(f"{row.id:4d}  {row.name:15s} {row.volume_ml:8.1f} ml  {row.mean_hu or float('nan'):7.1f} HU")
    print("written:", result.save(output))


if __name__ == "__main__":
    main(*sys.argv[1:])
