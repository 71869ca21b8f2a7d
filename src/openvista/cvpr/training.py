"""Training on cases of the challenge: what its baseline does (challenge facts §6), with the challenge's own clicks.

Every label of a case is an object without a name. A case is prepared as a run of the challenge prepares it, so a model
sees in training what it sees in :mod:`openvista.cvpr.predict`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from openvista.cvpr.case_file import class_ids, read_training_file
from openvista.cvpr.image import Reading
from openvista.errors import DataListError
from openvista.network import Preset, Vista3D, build
from openvista.prepare import prepare
from openvista.train.cache import file_key
from openvista.train.cases import TrainingCase, resample_labels, some_voxels
from openvista.train.checkpoint import save_checkpoint
from openvista.train.data import ListedCases
from openvista.train.export import export_model
from openvista.train.finetune.recipe import preset_of_size
from openvista.train.recipe import Recipe
from openvista.weights import ModelFolder, find_model
from openvista.weights.official import adapt, to_naming

RECIPE: Mapping[str, Any] = {
    "name": "cvpr25",
    "preset": "vista3d",
    "stage": "cvpr25",
    "start_from": "vista3d",
    "datalist": "allset.json",
    "challenge": {"percentiles": [1, 99], "resample": "never"},
    "fold": None,
    "patches_per_step": 2,
    "weight_decay": 1e-5,
    "precision": "auto",
    "augmentation": {
        "chance": 0.2,
        "spatial_share": 0.0,
        "mirror": False,
        "flip": 0.2,
        "quarter_turn": 0.2,
        "around_structure": 1.0,
    },
}
"""The keys of ``recipes/cvpr25.yaml``, for those who have no copy of it."""
_BRANCHES = ("automatic", "point")


@dataclass(frozen=True)
class ChallengeCase:
    """A file of the list.

    Attributes:
        path: of the file.
        reading: how images are read.
        weight: how often it is drawn.
    """

    path: Path
    reading: Reading
    weight: float = 1.0

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.path.stem

    def load(self, preset: Preset) -> TrainingCase:
        """The case in voxels of the model; its labels keep their values.

        Raises:
            ScanError: it cannot be read, or has no truth.
        """
        case = read_training_file(self.path)
        assert case.truth_ZYX is not None
        ids = class_ids(case.truth_ZYX)
        scan = self.reading.scan(case.image_ZYX, case.spacing, preset, self.name)
        prepared = prepare(scan, preset.spacing, preset.hu_window)
        values_XYZ = torch.from_numpy(case.truth_ZYX.astype("int16").transpose(2, 1, 0).copy())
        labels_XYZ = resample_labels(values_XYZ, scan.grid, prepared.grid, {value: value for value in ids})
        return TrainingCase(
            name=self.name,
            image_XYZ=prepared.image_XYZ.half(),
            labels_XYZ=labels_XYZ,
            annotated=ids,
            known={},
            spacing=prepared.grid.spacing,
            places={value: some_voxels(labels_XYZ == value) for value in ids},
        )

    def key(self, preset: Preset) -> str:
        """A digest of everything that the prepared case depends on; "" without a file, which :meth:`load` reports."""
        if not self.path.is_file():
            return ""
        reading = [self.reading.percentiles, self.reading.resample, self.reading.spacing_order]
        content = ["challenge", 1, file_key(self.path), reading, preset.spacing, preset.window, preset.hu_window]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def list_challenge_cases(recipe: Recipe, root: Path) -> ListedCases:
    """The files of a list.

    Args:
        recipe: names the list, and says how images are read.
        root: folder below which the files lie.

    Raises:
        DataListError: the list cannot be read, or none of its files is there.
    """
    assert recipe.challenge is not None
    reading = Reading(resample=recipe.challenge.resample, percentiles=recipe.challenge.percentiles)
    assert recipe.datalist is not None  # a recipe with challenge cases has one
    cases = [ChallengeCase(root / name, reading) for name in read_file_list(recipe.datalist)]
    if not any(case.path.is_file() for case in cases):
        raise DataListError(f"{recipe.datalist}: none of its {len(cases)} files lies below {root}; give their --root")
    return ListedCases(cases, ())


def read_file_list(path: Path) -> list[str]:
    """Paths of case files, as the challenge's lists have them: a JSON list of strings.

    Raises:
        DataListError: it cannot be read, is empty, or is something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataListError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise DataListError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, list) or not content or not all(isinstance(name, str) for name in content):
        raise DataListError(f'{path} is no list of case files: write ["CT_one.npz", "MR_two.npz"]')
    return content


def size_of_model(name: str) -> dict[str, Any]:
    """The keys of a recipe that starts from a model: its size, spacing and window.

    Raises:
        ModelError: there is no such model.
        RecipeError: no preset has its size.
    """
    model = find_model(name)
    card = model.card
    return {"start_from": name, "preset": preset_of_size(model), "spacing": card.spacing, "window": card.window}


def export_challenge_model(network: Vista3D, recipe: Recipe, folder: Path) -> tuple[ModelFolder, Path]:
    """Write the model, with what ``cvpr predict`` has to know in its card, and a file as the baseline's training does.

    The file is ``model_epoch<k>.pth`` with ``model`` (tensors as MONAI's ``vista3d132`` names them), ``epoch`` and
    ``step``: its ``update_ckpt.py`` and ``infer_cvpr.py`` take it where the network has the published size.

    Raises:
        OutputError: the folder cannot be written.
    """
    model = export_model(network, recipe, folder)
    epoch = round(recipe.epochs or 0)
    step = json.loads((folder / "best.json").read_text())["step"]
    tensors = to_naming(adapt(_with_both_branches(network).state_dict()), "monai-1.4")
    path = folder / f"model_epoch{epoch}.pth"
    save_checkpoint({"model": tensors, "epoch": epoch, "step": step}, path)
    return model, path


def _with_both_branches(network: Vista3D) -> Vista3D:
    """The network; one without class prompts gets random ones, which the baseline loads and never asks."""
    if set(network.preset.branches) == set(_BRANCHES):
        return network
    whole = build(replace(network.preset, branches=_BRANCHES), seed=0)
    whole.load_state_dict(network.state_dict(), strict=False)
    return whole
