"""Small good files of every kind that strangers send, to be damaged. Made once per run, in one folder."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import save_file

from openvista.geometry.grid import Grid
from openvista.io import write_scan
from openvista.io.nifti import write_nifti
from openvista.io.session_file import write_log
from openvista.prompts import Click
from openvista.scan import Scan, Segmentation
from openvista.session.replay import log_of
from openvista.weights import find_model
from small_challenge import two_balls, write_case
from small_dicom import write_series
from small_inference import make_scan
from small_sessions import AFFINE, SHAPE, two_branches_model

EXAMPLES = Path(__file__).parents[2] / "examples" / "data"
RECIPES = Path(__file__).parents[2] / "recipes"
TURNED = np.array([[0.8, -0.6, 0, 11], [0.6, 0.8, 0, -22], [0, 0, 1, 33], [0, 0, 0, 1.0]]) * (-1.5, -1.25, 3, 1)
HU = np.random.default_rng(0).integers(-1000, 1500, (7, 6, 5)).astype(np.int16)


def scan_on_disk() -> Scan:
    """The scan of the images, on a grid that is turned and has three voxel sizes."""
    return Scan(HU, Grid(HU.shape, TURNED))


def session_scan() -> Scan:
    """The scan of sessions and logs."""
    return make_scan(SHAPE, AFFINE)


def _nifti(path: Path) -> None:
    write_scan(scan_on_disk(), path)


def _labels(path: Path) -> None:
    write_nifti(path, Segmentation((np.abs(HU) % 4).astype(np.uint8), Grid(HU.shape, TURNED), {1: "liver", 2: "x"}))


def _itk(path: Path, compressed: bool) -> None:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(HU.T)
    image.SetSpacing((1.5, 1.25, 3.0))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    image.SetOrigin((11, -22, 33))
    image.SetMetaData("Segment0_Name", "liver")
    sitk.WriteImage(image, str(path), compressed)


def _session(path: Path) -> None:
    session = two_branches_model().open(session_scan())
    session.segment([1, 3])
    session.clicks([Click((8, 7, 6), True)], 1)
    session.new_object("lesion")
    session.clicks([Click((12, 9, 6), True), Click((4, 4, 4), False)], "lesion")
    session.undo()
    if path.suffix == ".json":
        write_log(log_of(session), path)
    else:
        session.save(path)


def _case(path: Path) -> None:
    clicks = np.array([{"fg": [[9, 8, 8]], "bg": []}, {"fg": [[10, 15, 20]], "bg": [[1, 1, 1]]}], dtype=object)
    order = np.array([["fg"], ["fg", "bg"]], dtype=object)
    write_case(path, two_balls(), gts=two_balls(), clicks=clicks, clicks_order=order)


def _checkpoint(path: Path) -> None:
    tensors = {"encoder.weight": torch.arange(24.0).reshape(2, 3, 4), "head.bias": torch.ones(3)}
    save_file(tensors, path) if path.suffix == ".safetensors" else torch.save({"state_dict": tensors}, path)


def _list(path: Path) -> None:
    content = json.loads((EXAMPLES / "dataset.json").read_text())
    content["validation"] = [{**content["training"][0], "fold": 1}]
    path.write_text(json.dumps(content, indent=1))


def _recipe(path: Path) -> None:
    content = yaml.safe_load((RECIPES / "starter.yaml").read_text())
    included = yaml.safe_load((RECIPES / content.pop("include")).read_text())
    path.write_text(yaml.safe_dump(content | included, sort_keys=False))


def _dicom(path: Path) -> None:
    syntax = {"rle": "RLE", "j2k": "JPEG 2000", "ls": "JPEG-LS"}.get(path.stem, "explicit")
    folder = path.with_name(f"{path.stem}-series")
    voxels = np.tile(HU, (6, 6, 1)) if path.suffix == ".zip" else HU  # JPEG 2000 takes no tiny pictures
    files = write_series(folder, voxels, TURNED, syntax=syntax, enhanced=path.suffix == ".dcm")
    if path.suffix == ".dcm":
        shutil.copy(files[0], path)
    else:
        shutil.make_archive(str(path.with_suffix("")), "zip", folder)
    shutil.rmtree(folder)


def _old_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"state_dict": {"a": [1.0, 2.0]}}, protocol=2))


SEEDS: dict[str, Callable[[Path], None]] = {
    "nifti/ct.nii": _nifti,
    "nifti/ct.nii.gz": _nifti,
    "nifti/labels.nii.gz": _labels,
    "nrrd/ct.nrrd": lambda path: _itk(path, False),
    "nrrd/packed.nrrd": lambda path: _itk(path, True),
    "mha/ct.mha": lambda path: _itk(path, False),
    "mha/packed.mha": lambda path: _itk(path, True),
    "dicom/enhanced.dcm": _dicom,
    "dicom/plain.zip": _dicom,
    "dicom/rle.zip": _dicom,
    "dicom/j2k.zip": _dicom,
    "dicom/ls.zip": _dicom,
    "npz/case.npz": _case,
    "list/list.json": _list,
    "recipe/recipe.yaml": _recipe,
    "card/card.json": lambda path: path.write_text(find_model("starter").card.to_json()) and None,
    "checkpoint/model.safetensors": _checkpoint,
    "checkpoint/model.pt": _checkpoint,
    "checkpoint/old.pt": _old_pickle,
    "session/a.ovsession": _session,
    "log/log.json": _session,
}
"""By kind and file name."""


def seed_path(folder: Path, name: str) -> Path:
    """Where :func:`make_seeds` leaves one, by its key in :data:`SEEDS`."""
    return folder / name.replace("/", "-seed/")


def make_seeds(folder: Path) -> dict[str, bytes]:
    """The content of each."""
    made = {}
    for name, make in SEEDS.items():
        path = seed_path(folder, name)
        path.parent.mkdir(exist_ok=True)
        make(path)
        made[name] = path.read_bytes()
    return made
