"""A training recipe: everything that decides a run, in one frozen object, read from YAML."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from openvista.anatomy.catalogue import SUPPORTED_IDS
from openvista.anatomy.lookup import Vocabulary
from openvista.errors import AnatomyError, MissingExtraError, RecipeError
from openvista.model import PRESETS
from openvista.train.augment import Augmentation


class Recipe(BaseModel):
    """What to train, on what, and how.

    Attributes:
        datalist: JSON data list; a relative path is looked up from the recipe's folder, then from here.
        name: name of the model that comes out.
        preset: network size, spacing and window ("starter", "vista3d").
        start_from: name or folder of the model whose weights the run starts from; ``None`` starts from random ones.
        extra_names: ids above 132, the model's own, and their names.
        extra_aliases: other names users may type for them.
        classes: label value of the data list to class id of the model; in the file also by name.
        mirrored: pairs of classes that swap when left and right are mirrored.
        only_in_label_slices: classes that are unknown outside their ``label_slices``.
        fold: held out for validation; ``None`` trains on every training case.
        steps: optimiser steps; the learning rate falls to zero along them.
        minutes: stop earlier when this much time has passed (the learning rate follows whichever is nearer).
        learning_rate: peak; rises over ``warmup_steps``, then cosine.
        weight_decay: AdamW's.
        gradient_clip: largest norm of the gradient.
        patches_per_step: patches of one step; they go through the network together.
        most_present, most_absent: prompts per patch (paper facts §6).
        average_decay: decay of the exponential moving average of the weights, which is what gets saved.
        validate_every: steps between validations.
        precision: "bfloat16" (autocast) or "float32".
        seed: of weights and patches.
        augmentation: strengths, see ``Augmentation``.
        licence: of the resulting weights, for the card.
        data: origin and licence of the data, for the card.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    datalist: Path
    name: str
    preset: str = "starter"
    start_from: str | None = None
    extra_names: dict[int, str] = {}
    extra_aliases: dict[int, tuple[str, ...]] = {}
    classes: dict[int, int]
    mirrored: tuple[tuple[int, int], ...] = ()
    only_in_label_slices: tuple[int, ...] = ()
    fold: int | None = 0
    steps: int = Field(default=10_000, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup_steps: int = Field(default=200, ge=0)
    weight_decay: float = Field(default=1e-5, ge=0)
    gradient_clip: float = Field(default=1.0, gt=0)
    patches_per_step: int = Field(default=1, ge=1)
    most_present: int = Field(default=32, ge=1)
    most_absent: int = Field(default=4, ge=0)
    average_decay: float = Field(default=0.999, ge=0, lt=1)
    validate_every: int = Field(default=1000, ge=1)
    precision: str = Field(default="float32", pattern="^(bfloat16|float32)$")
    seed: int = 0
    augmentation: Augmentation = Augmentation()
    licence: str = "unknown"
    data: str = ""

    @model_validator(mode="before")
    @classmethod
    def _names_to_ids(cls, content: dict[str, Any]) -> dict[str, Any]:
        extra = {int(class_id): str(name) for class_id, name in content.get("extra_names", {}).items()}
        try:
            resolve = Vocabulary(SUPPORTED_IDS, extra).resolve
            named = {
                "classes": {value: resolve(item) for value, item in content.get("classes", {}).items()},
                "mirrored": [[resolve(item) for item in pair] for pair in content.get("mirrored", [])],
                "only_in_label_slices": [resolve(item) for item in content.get("only_in_label_slices", [])],
            }
        except AnatomyError as error:
            raise ValueError(str(error)) from None
        return content | named

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        known = set(self.classes.values())
        if not known:
            raise ValueError("classes is empty: name at least one label value and its class")
        for class_id in {*self.only_in_label_slices, *(one for pair in self.mirrored for one in pair)}:
            if class_id not in known:
                raise ValueError(f"class {class_id} is not among the recipe's classes")
        return self

    @field_validator("preset")
    @classmethod
    def _known_preset(cls, preset: str) -> str:
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {preset!r}; there are {', '.join(sorted(PRESETS))}")
        return preset

    @property
    def mirrored_labels(self) -> dict[int, int]:
        """Label value to label value after a mirror."""
        value_of = {class_id: value for value, class_id in self.classes.items()}
        pairs = [(value_of[a], value_of[b]) for a, b in self.mirrored]
        return dict(pairs) | {b: a for a, b in pairs}

    @property
    def range_limited_labels(self) -> frozenset[int]:
        """Label values that count only between their ``label_slices``."""
        return frozenset(value for value, class_id in self.classes.items() if class_id in self.only_in_label_slices)


def read_recipe(path: Path, **overrides: Any) -> Recipe:
    """Read a YAML recipe and replace some of its keys.

    Raises:
        RecipeError: missing file, not YAML, unknown key, or a value out of range.
    """
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("yaml", "train", "read a recipe") from None
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise RecipeError(f"recipe {path} does not exist") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"recipe {path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"recipe {path} must be a list of 'key: value' lines")
    content |= overrides
    try:
        recipe = Recipe(**content)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise RecipeError(f"recipe {path}: {problems}") from None
    beside = path.parent / recipe.datalist
    return recipe.model_copy(update={"datalist": beside}) if beside.is_file() else recipe
