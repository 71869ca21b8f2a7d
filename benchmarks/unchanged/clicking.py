"""A long session in Python: clicks of every kind, undo, redo, saved and opened again. Prints one line of JSON.

Run by ``items.session`` in a process of its own: ``python clicking.py FOLDER``.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tools import EXAMPLES, array_sha, exact, without

import openvista as ov

SCAN = EXAMPLES / "head_neck_ct.nii.gz"
Stage = tuple[str, Callable[[ov.Session], Any]]


def stages(scan: ov.Scan) -> list[Stage]:
    """What is done, one after the other."""
    voxels_XYZ = np.zeros(scan.grid.shape, np.uint8)
    voxels_XYZ[50:58, 30:36, 60:66] = 1
    voxels_XYZ[70:74, 30:36, 60:66] = 2
    imported = ov.Segmentation(labels=voxels_XYZ, grid=scan.grid, names={1: "from elsewhere", 2: "larynx"})
    return [
        ("classes", lambda s: [item.name for item in s.segment(["spinal cord", "mandible"])]),
        ("click on a class", lambda s: s.click((61, 40, 55), object="spinal cord")),
        ("negative click on a class", lambda s: s.click((61, 44, 55), object="spinal cord", positive=False)),
        ("a class that was not asked before", lambda s: s.click((62, 28, 100), object="brainstem")),
        ("the unnamed object", lambda s: s.click((60, 38, 80))),
        ("a new object", lambda s: s.new_object("lesion", (10, 20, 30)).name),
        ("click on the new object", lambda s: s.click((75, 40, 75), object="lesion")),
        ("negative click on the new object", lambda s: s.click((80, 40, 75), object="lesion", positive=False)),
        ("box", lambda s: s.box(((40, 52), (30, 44), (70, 80)), object="lesion")),
        ("scribble", lambda s: s.scribble([(60, 50, 70), (62, 51, 72), (64, 52, 74)], object="mandible")),
        ("lasso", lambda s: s.lasso(([(50, 40), (60, 40), (55, 50)], 2, 78), object="lesion")),
        ("start from", lambda s: [item.name for item in s.start_from(imported)]),
        ("click on what came from elsewhere", lambda s: s.click((54, 33, 63), object="from elsewhere")),
        ("in mm", lambda s: s.click(_in_mm(s.scan, (61, 40, 60)), object="spinal cord", world=True, grow=False)),
        ("outside", lambda s: s.click((500, 40, 60), object="spinal cord")),
        ("undo", lambda s: s.undo()),
        ("undo again", lambda s: s.undo()),
        ("redo", lambda s: s.redo()),
        ("lock and rename", lambda s: s.change("lesion", name="tumour", locked=True)),
        ("order", lambda s: s.move("mandible", -1)),
        ("remove", lambda s: s.remove("from elsewhere")),
        ("undo the removal", lambda s: s.undo()),
        ("last click", lambda s: s.click((66, 50, 72), object="mandible", positive=False)),
    ]


def _in_mm(scan: ov.Scan, voxel: tuple[int, int, int]) -> tuple[float, ...]:
    return tuple((scan.grid.affine @ [*voxel, 1.0])[:3].tolist())


def picture(session: ov.Session, overlap: str = "order") -> dict[str, Any]:
    """All that users can see."""
    made = session.segmentation(overlap)
    return {
        "objects": [[item.id, item.name, array_sha(item.mask), int(item.mask.sum())] for item in session.objects],
        "clicks": {item.name: len(item.clicks) for item in session.objects},
        "labels": array_sha(made.labels),
        "names": made.names,
        "colours": made.colours,
        "layers": [[array_sha(layer.labels), layer.names] for layer in session.layers()],
        "revision": session.revision,
        "can": [session.can_undo, session.can_redo],
    }


def told(answer: Any) -> Any:
    """An answer without its time."""
    if is_dataclass(answer) and hasattr(answer, "notes"):
        return without(asdict(answer), "seconds") | {"notes": list(answer.notes)}
    return answer


def refusals(session: ov.Session) -> dict[str, str]:
    """Errors, by what was asked."""
    asked: dict[str, Callable[[], Any]] = {
        "no such object": lambda: session.object("nothing"),
        "no such class": lambda: session.click((60, 40, 60), object="livr"),
        "a class of another model": lambda: session.segment(["liver"]),
        "locked": lambda: session.click((60, 40, 60), object="tumour"),
        "policy": lambda: session.segmentation("somehow"),
    }
    found = {}
    for name, ask in asked.items():
        try:
            ask()
        except (ov.errors.OpenVistaError, TypeError, ValueError) as error:
            found[name] = f"{type(error).__name__}: {error}"
        else:
            found[name] = "no error"
    return found


def growing(model: ov.Model, scan: ov.Scan) -> dict[str, Any]:
    """A click whose mask goes on into other windows, and the same kept in its own window."""
    found = {}
    for grow in (True, False):
        session = model.open(scan)
        answer = session.click((61, 36, 85), object="spinal cord", automatic=False, grow=grow)
        found[f"grow={grow}"] = {"answer": told(answer), "seen": picture(session)}
    return found


def main(folder: Path) -> dict[str, Any]:
    """Everything, as plain values."""
    folder.mkdir(parents=True)
    model, scan = ov.load_model("starter"), ov.read_scan(SCAN)
    session = model.open(scan)
    found: dict[str, Any] = {}
    for name, act in stages(scan):
        found[name] = {"answer": told(act(session)), "seen": picture(session)}
    found["by logit"] = picture(session, "logit")
    found["table"] = [asdict(row) for row in session.segmentation().table()]
    found["provenance"] = without(json.loads(json.dumps(session.segmentation().provenance, default=str)), "time")
    found["refused"] = refusals(session)
    path = session.save(folder / "kept.ovsession")
    back = model.open(scan, path)
    found["opened again"] = picture(back)
    found["undo after opening"] = {"answer": back.undo(), "seen": picture(back)}
    found["redo after opening"] = {"answer": back.redo(), "seen": picture(back)}
    found["click after opening"] = {
        "answer": told(back.click((62, 40, 50), object="spinal cord")),
        "seen": picture(back),
    }
    found["into other windows"] = growing(model, scan)
    found["events"] = [[event.action, without(event.details, "time")] for event in back.events]
    return exact(json.loads(json.dumps(found, default=str)))


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
