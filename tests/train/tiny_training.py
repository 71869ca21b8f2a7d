"""A network and scans small enough to train in a second; run as a program it is ``openvista`` with that network.

As a program it kills itself at the step of the environment's ``DIE_AT``, in the process ``DIE_RANK``.
The scans are balls: class 133 a bright one, class 134 a dim one, each with some noise around it.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from openvista.distributed import Ranks
from openvista.network import PRESETS, Preset, Vista3D
from openvista.train.data import TrainingData, list_cases, load_data
from openvista.train.learner import StepResult
from openvista.train.recipe import Recipe
from openvista.train.recipe_file import make_recipe

TINY = Preset(
    name="tiny",
    filters=8,
    blocks_per_level=(1, 1, 1),
    window=(16, 16, 16),
    spacing=(2.0, 2.0, 2.0),
    hu_window=(-500.0, 900.0),
    class_rows=140,
)
RECIPE = {
    "name": "tiny",
    "preset": "tiny",
    "extra_names": {133: "bright ball", 134: "dim ball"},
    "classes": {1: "bright ball", 2: "dim ball"},
    "fold": 0,
    "steps": 4,
    "learning_rate": 1e-3,
    "warmup_steps": 0,
    "validate_every": 100,
    "average_decay": 0.5,
}
POINT = {"stage": "stage2", "trained": ["encoder", "point"], "rounds": 1}
JOINT = {"stage": "joint", "rounds": 1, "most_objects": 2}


def tiny_recipe(datalist: Path, **more: object) -> Recipe:
    """A recipe of the tiny network; the preset must be registered."""
    return make_recipe(RECIPE | {"datalist": str(datalist)} | more, "the test's recipe")


def write_recipe(folder: Path, datalist: Path, **more: object) -> Path:
    """The same as a file."""
    path = folder / "tiny.yaml"
    path.write_text(json.dumps(RECIPE | {"datalist": str(datalist)} | more))  # JSON is YAML
    return path


def make_list(folder: Path, cases: int = 3, size: int = 24) -> Path:
    """A data list with made-up scans; case 0 is fold 0."""
    random = np.random.default_rng(0)
    entries = []
    for number in range(cases):
        hu = random.normal(0, 40, (size, size, size))
        labels = np.zeros(hu.shape, np.uint8)
        for value, (centre, level) in enumerate((((8, 8, 9), 600), ((15, 16, 14), 250)), start=1):
            distance = np.linalg.norm(np.indices(hu.shape).T - np.array(centre) - number % 2, axis=-1).T
            hu[distance < 5] += level
            labels[distance < 5] = value
        affine = np.diag([2.0, 2.0, 2.0, 1.0])
        for kind, voxels in (("ct", hu.astype(np.int16)), ("labels", labels)):
            nib.save(nib.Nifti1Image(voxels, affine), folder / f"{kind}{number}.nii.gz")
        entries.append({"image": f"ct{number}.nii.gz", "label": f"labels{number}.nii.gz", "fold": min(number, 1)})
    path = folder / "list.json"
    path.write_text(json.dumps({"labels": {"1": "bright ball", "2": "dim ball"}, "training": entries}))
    return path


def load(recipe: Recipe, ranks: Ranks | None = None) -> TrainingData:
    """The prepared cases of a recipe."""
    return load_data(list_cases(recipe), recipe, recipe.network_preset, ranks or Ranks())


def answer_the_same_everywhere(network: Vista3D) -> None:
    """Let clicks be answered by a whole patch or by nothing: errors large enough to click on."""
    with torch.no_grad():
        network.point_head.output.conv.weight.zero_()


def register() -> None:
    """Make the preset known to this process."""
    PRESETS["tiny"] = TINY


def die_at(step: int, rank: str) -> None:
    """Kill this process, with no chance to say goodbye, when it begins a step; once, not after a restart."""
    from openvista.train.learner import Learner

    learn = Learner.step

    def learn_or_die(self: Learner, groups: Any, learning_rate: float, number: int) -> StepResult:
        if number == step and os.environ.get("RANK", "0") == rank and self.ranks.restarts == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return learn(self, groups, learning_rate, number)

    Learner.step = learn_or_die  # type: ignore[method-assign]


if __name__ == "__main__":
    from openvista.cli import main

    torch.set_num_threads(1)
    register()
    if "DIE_AT" in os.environ:
        die_at(int(os.environ["DIE_AT"]), os.environ.get("DIE_RANK", "0"))
    main()
