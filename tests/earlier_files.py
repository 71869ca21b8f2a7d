"""The scans that belong to ``tests/data/earlier``, rebuilt, and how the files there were made.

``python tests/earlier_files.py make`` made them, with version 0.1.0. They are kept as that version wrote them: made
again they would say nothing about earlier versions. With other arguments this is ``openvista`` with the network of
the run that lies there.
"""

import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
EARLIER = Path(__file__).parent / "data" / "earlier"
SHAPE = (40, 40, 30)
AFFINE = np.diag([-3.0, -3.2, 2.6, 1.0])
RUN = {
    "name": "tiny",
    "preset": "tiny-earlier",
    "stage": "automatic",
    "extra_names": {133: "bright ball", 134: "dim ball"},
    "extra_aliases": {133: ["white ball"]},
    "one_piece": ["bright ball"],
    "classes": {1: "bright ball", 2: "dim ball"},
    "fold": None,
    "steps": 4,
    "save_every": 2,
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "warmup_steps": 1,
    "average_decay": 0.5,
    "device": "cpu",
    "loaders": 1,
    "data": "made up",
    "licence": "Apache-2.0",
}
LIST = {
    "name": "made-up scans",
    "label_dict": {"0": "background", "1": "myelon", "2": "right parotid", "3": "blob"},
    "training": [
        {
            "image": "ct0.nii.gz",
            "label": "labels0.nii.gz",
            "fold": 0,
            "annotated": [1, 2],
            "label_slices": {"1": [4, 25]},
        },
        {"image": "ct1.nii.gz", "label": "labels1.nii.gz", "fold": 1},
    ],
    "test": [{"image": "ct2.nii.gz", "label": "labels2.nii.gz"}, {"image": "ct3.nii.gz", "label": "labels3.nii.gz"}],
}
OPTIMISERS = ("adamw", "muon")
MAPS = ["1=spinal cord", "2=right parotid", "3=brainstem"]


def register() -> None:
    """Make the run's preset known to this process."""
    from openvista.network import PRESETS, Preset

    PRESETS["tiny-earlier"] = Preset(
        name="tiny-earlier",
        filters=2,
        blocks_per_level=(1, 1),
        window=(16, 16, 16),
        spacing=(3.0, 3.0, 3.0),
        hu_window=(-500.0, 900.0),
        class_rows=135,
    )


def write_scans(folder: Path) -> None:
    """Four scans with their label maps, and their data list beside them."""
    places = np.stack(np.indices(SHAPE), -1)
    for number in range(4):
        voxels = np.random.default_rng(number).integers(-40, 80, SHAPE).astype(np.int16)
        voxels[((places[..., :2] - 20) ** 2).sum(-1) > 19**2] = -1000
        labels = np.zeros(SHAPE, np.uint8)
        for value, (centre, radius, level) in enumerate(
            (((14, 15, 14), 5, 300), ((27, 25, 14 + number), 6, 150), ((14, 28, 20), 4, -120)), start=1
        ):
            inside = ((places - centre) ** 2).sum(-1) <= radius**2
            voxels[inside] += level
            labels[inside] = value
        nib.save(nib.Nifti1Image(voxels, AFFINE), folder / f"ct{number}.nii.gz")
        nib.save(nib.Nifti1Image(labels, AFFINE), folder / f"labels{number}.nii.gz")
    (folder / "list.json").write_text(json.dumps(LIST, indent=1) + "\n")


def session_view(session: Any) -> dict[str, Any]:
    """What a session shows: plain values, and masks by name."""
    objects = session.objects
    return {
        "objects": [
            [item.id, item.name, [[*click.voxel, click.positive] for click in item.clicks]] for item in objects
        ],
        "can": [session.can_undo, session.can_redo],
        "events": [event.action for event in session.events],
    }


def session_masks(session: Any) -> dict[str, np.ndarray]:
    """Masks by name, and the label map."""
    masks = {item.name: item.mask for item in session.objects}
    return masks | {"label map": session.segmentation().labels}


# --- how the files were made --------------------------------------------------------------------------------------


def make() -> None:
    """Write everything but ``http.json``, which the server's test wrote."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_scans(work)
        (EARLIER / "list.json").write_bytes((work / "list.json").read_bytes())
        _make_session(work)
        _make_recipes()
        for optimiser in OPTIMISERS:
            _make_run(work, optimiser)
        _make_evaluations(work)


def _make_session(work: Path) -> None:
    import openvista as ov

    model, scan = ov.load_model("starter"), ov.read_scan(work / "ct0.nii.gz")
    session = model.open(scan)
    labels = np.zeros(SHAPE, np.uint8)
    labels[24:30, 22:28, 12:20] = 1
    session.start_from(ov.Segmentation(labels=labels, grid=scan.grid, names={1: "from elsewhere"}))
    session.click((14, 15, 14), object="spinal cord")
    session.new_object("lesion", (10, 20, 30))
    session.click((27, 25, 16), object="lesion")
    session.click((20, 25, 16), object="lesion", positive=False)
    session.change("from elsewhere", locked=True)
    session.click((14, 15, 20), object="spinal cord", positive=False)
    session.click((16, 15, 12), object="spinal cord")
    session.undo()
    session.save(EARLIER / "case.ovsession")
    told, masks = {"now": session_view(session)}, {f"now/{key}": mask for key, mask in session_masks(session).items()}
    for name, act in (("redone", session.redo), ("undone", session.undo), ("undone twice", session.undo)):
        act()
        told[name] = session_view(session)
        masks |= {f"{name}/{key}": mask for key, mask in session_masks(session).items()}
    (EARLIER / "case.json").write_text(json.dumps(told, indent=1) + "\n")
    np.savez_compressed(EARLIER / "case.npz", **masks)


def _make_recipes() -> None:
    from openvista.train.recipe_file import read_recipe

    (EARLIER / "recipes").mkdir(exist_ok=True)
    resolved = {}
    for path in sorted((ROOT / "recipes").glob("*.yaml")):
        copy = EARLIER / "recipes" / path.name
        copy.write_bytes(path.read_bytes())
        resolved[path.name] = read_recipe(copy).model_dump(mode="json")
    (EARLIER / "recipes" / "resolved.json").write_text(json.dumps(resolved) + "\n")


def _make_run(work: Path, optimiser: str) -> None:
    """A run that was stopped after its third of four steps, its checkpoint of the second; and the model of all four."""
    from openvista.train.export import export_model
    from openvista.train.loop import Trainer
    from openvista.train.recipe_file import make_recipe

    register()
    recipe = make_recipe(RUN | {"datalist": str(work / "list.json"), "optimiser": optimiser}, "the run's recipe")
    run, kept = work / optimiser, EARLIER / f"run-{optimiser}"
    kept.mkdir(exist_ok=True)

    def keep(report: Any) -> None:
        if report.step == 3:
            shutil.copy(run / "train.csv", kept / "train.csv")
            (kept / "last.pt.gz").write_bytes(gzip.compress((run / "last.pt").read_bytes(), 9, mtime=0))

    network = Trainer(recipe, run, report=keep).run()
    text = (run / "recipe.json").read_text().replace(str(work / "list.json"), "list.json")
    (kept / "recipe.json").write_text(text)
    (kept / "finished.csv").write_bytes((run / "train.csv").read_bytes())
    if optimiser == "adamw":
        shutil.copytree(export_model(network, recipe, run).path, EARLIER / "model", dirs_exist_ok=True)


def _make_evaluations(work: Path) -> None:
    for protocol, more in (("auto", []), ("clicks", ["--clicks", "1,2"])):
        command = [sys.executable, "-m", "openvista", "evaluate", "list.json", "-P", protocol, "-o", protocol, *more]
        subprocess.run([*command, *(word for item in MAPS for word in ("--map", item))], cwd=work, check=True)
        kept = EARLIER / f"evaluate-{protocol}"
        kept.mkdir(exist_ok=True)
        for name in ("run.json", "cases-0.jsonl", "scores.json", "scores.csv"):
            shutil.copy(work / protocol / name, kept / name)


if __name__ == "__main__":
    if sys.argv[1:] == ["make"]:
        make()
    else:
        import torch

        from openvista.cli import main

        torch.set_num_threads(1)
        register()
        main()
