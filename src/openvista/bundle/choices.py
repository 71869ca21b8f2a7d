"""The ids of ``train.json`` as one value: checked against each other, and translated for the training loop."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from openvista.bundle.prompts import LAST_ID
from openvista.errors import DataListError, RecipeError


@dataclass(frozen=True, kw_only=True)
class TrainingChoices:
    """What a configuration for training says, by the official ids.

    Attributes:
        bundle_root, ckpt_dir, output_dir: folders; the run's own folder is made in ``output_dir``.
        data_list_file_path, dataset_dir: the list, and the folder that its paths start from.
        fold: held out.
        n_train_samples, n_val_samples: the first so many cases; ``None`` for all.
        label_mappings: by name of a data set, pairs of label value and class id; only "default" is used. ``None``:
            the two label sets say it.
        label_set, val_label_set: class ids and label values, each with 0 first.
        output_classes: how many that are.
        finetune: start from ``train#handlers#0``; else from random weights.
        val_at_start: score the starting model first.
        early_stop: stop when validations get no better.
        use_tensorboard: always so where it is installed; false in processes that write nothing.
        num_patches_per_image: patches of a case in an epoch.
        max_point: clicks on an object at most.
        max_prompt: refused; ``max_foreprompt`` and ``max_backprompt`` say what is meant.
        max_foreprompt, max_backprompt: class prompts for what is there, and for what is not; ``None`` for all.
        drop_label_prob, drop_point_prob: share of patches without class prompts, without clicks.
        exclude_background: always true: background is no class.
        train_dataset_cache_rate, val_dataset_cache_rate: 1 keeps prepared scans in memory, less keeps them on disk.
        num_cache_workers: threads that read.
        show_cache_progress: has no effect: the log says how many scans are read.
        num_classes: a cap in the official sampler; larger than every class id.
        patch_size, resample_to_spacing: voxels, and mm, along R, A, S.
        use_mlflow, mlflow_dir: refused.

    Raises:
        RecipeError: a value that the loop cannot honour.
        DataListError: label lists that contradict each other.
    """

    bundle_root: str = "."
    ckpt_dir: str = "models"
    output_dir: str = "eval"
    data_list_file_path: str
    dataset_dir: str
    fold: int = 0
    n_train_samples: int | None = None
    n_val_samples: int | None = None
    label_mappings: Mapping[str, Sequence[Sequence[int]]] | None = None
    label_set: Sequence[int]
    val_label_set: Sequence[int]
    output_classes: int
    finetune: bool = False
    val_at_start: bool = False
    early_stop: bool = False
    use_tensorboard: bool = True
    num_patches_per_image: int = 1
    max_point: int = 5
    max_prompt: int | None = None
    max_foreprompt: int | None = None
    max_backprompt: int | None = None
    drop_label_prob: float = 0.25
    drop_point_prob: float = 0.25
    exclude_background: bool = True
    train_dataset_cache_rate: float = 1.0
    val_dataset_cache_rate: float = 1.0
    num_cache_workers: int = 4
    show_cache_progress: bool = False
    num_classes: int = 255
    patch_size: Sequence[int]
    resample_to_spacing: Sequence[float]
    use_mlflow: bool = False
    mlflow_dir: str | None = None

    def __post_init__(self) -> None:
        for refused, why in (
            (self.use_mlflow or self.mlflow_dir, "use_mlflow: runs are not tracked with MLflow; look at tensorboard/"),
            (self.max_prompt is not None, "max_prompt: say max_foreprompt and max_backprompt instead"),
            (not self.exclude_background, "exclude_background is false: background is no class here; leave it out"),
            (self.num_patches_per_image < 1, "num_patches_per_image must be 1 or more"),
            (self.max_point < 1, "max_point must be 1 or more"),
        ):
            if refused:
                raise RecipeError(str(why))
        for key in ("drop_label_prob", "drop_point_prob"):
            if not 0 <= getattr(self, key) <= 1:
                raise RecipeError(f"{key} is {getattr(self, key)}: give a share from 0 to 1")
        if self.drop_label_prob == 1 and self.drop_point_prob == 1:
            raise RecipeError("drop_label_prob and drop_point_prob are both 1: nothing would be asked; lower one")
        self._check_labels()

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "TrainingChoices":
        """The choices in ``train#trainer#hyper_kwargs``.

        Raises:
            RecipeError: a key that nobody reads.
        """
        known = [spec.name for spec in fields(cls)]
        for key in content:
            if key not in known:
                near = get_close_matches(key, known, n=1, cutoff=0)[0]
                raise RecipeError(f"train#trainer#hyper_kwargs#{key}: nobody reads it; the nearest is {near!r}")
        try:
            return cls(**content)
        except TypeError as error:
            raise RecipeError(f"train#trainer#hyper_kwargs: {error}") from None

    @property
    def mapping(self) -> tuple[tuple[int, int], ...]:
        """Pairs of label value and class id, without the background."""
        if self.label_mappings is not None:
            pairs = [(int(value), int(class_id)) for value, class_id in self.label_mappings["default"]]
        else:
            pairs = [(int(v), int(c)) for v, c in zip(self.val_label_set, self.label_set, strict=True)]
        return tuple((value, class_id) for value, class_id in pairs if (value, class_id) != (0, 0))

    def settings(self, cases: int, processes: int, epochs: float, interval: float) -> dict[str, Any]:
        """Keys of a recipe.

        Args:
            cases: to learn from.
            processes: that train together.
            epochs: of the run.
            interval: epochs between validations.
        """
        steps_of_epoch = max(1, math.ceil(cases / processes))  # every case gives its patches once
        in_memory = self.train_dataset_cache_rate >= 1 and self.val_dataset_cache_rate >= 1
        chosen: dict[str, Any] = {
            "epochs": epochs * self.num_patches_per_image / 2,  # a case of ours gives two patches
            "patches_per_step": self.num_patches_per_image,
            "validate_every": max(1, round(interval * steps_of_epoch)),
            "class_probability": 1 - self.drop_label_prob,
            "cache": "memory" if in_memory else str(Path(self.output_dir) / "cache"),
            "loaders": max(1, self.num_cache_workers),
        }
        if self.drop_point_prob < 1:
            chosen |= {"click_probability": 1 - self.drop_point_prob, "rounds": self.max_point - 1}
        if self.max_foreprompt is not None:
            chosen |= {"most_present": self.max_foreprompt, "most_objects": max(1, self.max_foreprompt)}
        if self.max_backprompt is not None:
            chosen["most_absent"] = self.max_backprompt
        return chosen

    @property
    def branches(self) -> str:
        """Which prompts are learnt: "automatic", "point" or "both"."""
        if self.drop_point_prob == 1:
            return "automatic"
        return "point" if self.drop_label_prob == 1 else "both"

    def _check_labels(self) -> None:
        label_set, values = [int(one) for one in self.label_set], [int(one) for one in self.val_label_set]
        if len(label_set) != len(values):
            raise DataListError(
                f"label_set {label_set} and val_label_set {values} contradict each other: give one label value for "
                "each class, 0 first in both"
            )
        if self.output_classes != len(label_set):
            raise DataListError(f"output_classes is {self.output_classes}, but label_set has {len(label_set)} entries")
        if label_set[:1] != [0] or values[:1] != [0]:
            raise DataListError(f"label_set {label_set} and val_label_set {values}: the first entry of both is 0")
        if self.label_mappings is not None and "default" not in self.label_mappings:
            raise DataListError(f"label_mappings has {sorted(self.label_mappings)}, but no 'default'")
        pairs = self.mapping
        if self.label_mappings is not None and set(pairs) != set(zip(values[1:], label_set[1:], strict=True)):
            raise DataListError(
                f"label_mappings#default {sorted(map(list, set(pairs)))} contradicts label_set {label_set} and "
                f"val_label_set {values}: change label_mappings, the other two follow from it"
            )
        if not pairs:
            raise DataListError("label_mappings names no label: give pairs of label value and class, as in [[1, 3]]")
        values = [value for value, _ in pairs]
        if len(set(values)) < len(values):
            raise DataListError(f"label_mappings {list(map(list, pairs))}: a label value is mapped twice")
        wrong = [one for pair in pairs for one in pair if one < 1] + [id_ for _, id_ in pairs if id_ > LAST_ID]
        if wrong:
            raise DataListError(f"label_mappings: {wrong[0]} is no label; values are 1 or more, classes 1..{LAST_ID}")
