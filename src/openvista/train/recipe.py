"""A training recipe: everything that decides a run, in one frozen object."""

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from openvista.anatomy.catalogue import CATALOGUE, LAST_OFFICIAL_ID
from openvista.anatomy.sides import mirrored_pairs, sided
from openvista.anatomy.vocabulary import Vocabulary
from openvista.errors import AnatomyError, ModelError, RecipeError
from openvista.geometry.grid import Axis3, Float3
from openvista.network import PRESETS, Preset
from openvista.simulate.supervoxel_mix import SupervoxelMixing
from openvista.synthesis.patch_source import LabelMapFile, Synthesis
from openvista.train.augment import Augmentation
from openvista.train.stages import STAGES, Stage
from openvista.weights.card import check_name

LIST_ROOTS = ("root", "pseudo_label_root", "supervoxel_root")
"""Keys of a data list's folders."""

LIST_KEYS = ("datalist", *LIST_ROOTS, "classes", "only_in_label_slices", "absent")
"""All keys of a data list."""


@dataclass(frozen=True)
class LossTerms:
    """Dice loss plus cross-entropy of a prompt's sigmoid, as the paper has them (paper facts §6), unless changed.

    Attributes:
        dice: weight of the Dice loss.
        cross_entropy: weight of the cross-entropy.
        focal_gamma: exponent by which voxels that are right already count less in the cross-entropy (Lin et al. 2017,
            arXiv:1708.02002); 0: all voxels alike.
        squared: probabilities in Dice's denominator are squared.
        smooth: is added to that denominator.
        balance: voxels inside a structure count this power of (voxels outside / inside) in the cross-entropy; 0: all
            alike. Above 0 a network says "nowhere" of small structures for fewer steps, and may make them too thick.
        exclusive: weight of one more term: cross-entropy of a softmax over the classes asked for and "none", as labels
            are decided at the end, and Dice loss of those that are there. For classes that share no voxel; 0: without.

    Raises:
        RecipeError: a number is negative, or nothing is left of the loss.
    """

    dice: float = 1.0
    cross_entropy: float = 1.0
    focal_gamma: float = 0.0
    squared: bool = True
    smooth: float = 1e-5
    balance: float = 0.0
    exclusive: float = 0.0

    def __post_init__(self) -> None:
        for one in fields(self):
            if getattr(self, one.name) < 0:
                raise RecipeError(f"loss: {one.name} is {getattr(self, one.name):g}: give 0 or more")
        if self.dice == self.cross_entropy == self.exclusive == 0:
            raise RecipeError("loss: dice, cross_entropy and exclusive are all 0: nothing would be learnt")
        if self.smooth == 0:
            raise RecipeError("loss: smooth is 0: an absent class would be divided by nothing")


class Source(BaseModel):
    """A data list and what its labels mean; or label maps to draw from.

    Attributes:
        datalist: JSON data list.
        root, pseudo_label_root, supervoxel_root: folders that its paths of images and labels, of pseudo-labels and of
            supervoxels start from, instead of what the list says.
        classes: label value of the list to class id of the model; none for a list without label maps.
        only_in_label_slices: classes that are unknown outside their ``label_slices``, but for what is marked
            as another structure: they are not there.
        absent: classes that no case of the list shows, whoever marked what: the liver in scans of the head.
        label_maps: maps without CT, instead of a data list: synthetic CT is drawn from them
            (:mod:`openvista.synthesis`).
        structures: class id of the model to the names of the maps' structures that it is made of.
        synthesis: how to draw, and how often.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    datalist: Path | None = None
    root: Path | None = None
    pseudo_label_root: Path | None = None
    supervoxel_root: Path | None = None
    classes: dict[int, int] = Field(default={})
    only_in_label_slices: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    label_maps: tuple[LabelMapFile, ...] = ()
    structures: dict[int, tuple[str, ...]] = Field(default={})
    synthesis: Synthesis = Synthesis()

    @model_validator(mode="after")
    def _one_of_both(self) -> "Source":
        if self.datalist is None and not self.label_maps:
            raise ValueError("neither a datalist nor label_maps: say where the data are")
        if self.label_maps and (self.datalist is not None or self.classes):
            raise ValueError("label_maps have structures, not a datalist or classes: make two sources of them")
        both = set(self.absent) & set(self.classes.values())
        if both:
            raise ValueError(f"class {min(both)} is in classes and in absent: leave it out of one")
        if self.label_maps and not self.structures:
            raise ValueError("structures is empty: say which structures of the label maps are which class")
        return self


@dataclass(frozen=True)
class ChallengeCases:
    """How cases of the CVPR 2025 challenge are read: images of any modality, objects without names.

    Attributes:
        percentiles: of an image's grey values, that become the ends of the preset's HU window.
        resample: to the preset's spacing: "never" (a voxel of the file is a voxel of the model), "auto" or "always",
            see :class:`openvista.cvpr.image.Reading`.
    """

    percentiles: tuple[float, float] = (1.0, 99.0)
    resample: Literal["never", "auto", "always"] = "never"

    def __post_init__(self) -> None:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(f"percentiles {low:g}, {high:g} must be a lower and a higher one of 0 to 100")


class Recipe(Stage):
    """What to train, on what, and how.

    The keys of :class:`openvista.train.stages.Stage` are keys here too; what a recipe leaves out the stage decides.
    Classes are ids here; recipe files may name them, see :mod:`openvista.train.recipe_file`.

    Attributes:
        datalist: JSON data list; a relative path is looked up from the recipe's folder, then from the working
            directory. ``None`` where every patch is drawn from label maps, in ``more_data``.
        root, pseudo_label_root, supervoxel_root: folders that the list's paths of images and labels, of pseudo-labels
            and of supervoxels start from, instead of what the list says.
        name: name of the model that comes out; the stage's, if the recipe gives none.
        preset: network size, spacing and window ("starter", "vista3d").
        spacing: mm per voxel along X, Y, Z instead of the preset's.
        hu_window: HU that become 0 and 1 instead of the preset's; for runs from random weights.
        window: voxels of a patch along X, Y, Z instead of the preset's.
        start_from: name or folder of the model whose weights the run starts from; ``None`` starts from random ones.
        start_share: how much of that model's weights is in what is trained; the rest is random weights ("shrink and
            perturb", Ash and Adams 2020, arXiv:1910.08475). Below 1 a model unlearns what is special to its own data,
            which helps where the new data are few and unlike them.
        embeddings_from: class id to the ids whose embeddings it starts from (their mean): for classes new to the model.
        extra_names: ids above 132, the model's own, and their names.
        extra_aliases: other names users may type for them.
        one_piece: those of ``extra_names`` that are one connected thing; inference drops stray pieces of them.
        classes: label value of the data list to class id of the model. Several values may be one class. Where a file
            leaves it out, the list's own mapping counts, or its names; it may be empty for a list without label maps.
        more_data: further data lists, or label maps, each with its own keys as in :class:`Source`.
        pseudo_classes: further classes to take from pseudo-labels, for ``labels: manual+pseudo``.
        mirrored: pairs of classes that swap when left and right are mirrored; ``None`` pairs them by their names.
        only_in_label_slices: classes that are unknown outside their ``label_slices``, but for what is marked
            as another structure: they are not there.
        absent: classes that no case of the recipe's own list shows, as in :class:`Source`.
        challenge: for ``openvista cvpr train``: the cases are files of the challenge, and each of their labels is an
            object that is no class; then there are no ``classes``.
        fold: held out for validation; ``None`` trains on every training case.
        minutes: stop earlier when this much time has passed (the learning rate follows whichever is nearer).
        optimiser: "adamw", or "muon" for the kernels and AdamW for the rest, see :mod:`openvista.train.muon`.
        weight_decay: the optimiser's, decoupled.
        gradient_clip: largest norm of the gradient.
        patches_per_case: patches of a case in one epoch, on average (paper facts §6).
        most_cases: learn from the first so many cases of each list only; ``None`` for all.
        patches_per_step: patches that go through the network together, in each process.
        accumulate: so many such groups make one step, one after the other: a larger step in the same memory.
        average_decay: decay of the exponential moving average of the weights, which is what gets saved; 0 for none.
        validate_every: steps between validations.
        save_every: steps between checkpoints to resume from; ``None`` saves after each validation.
        patience: stop after so many validations in a row without a better one; ``None`` never does.
        precision: "float32"; or "bfloat16" or, on CUDA, "float16" for most of the arithmetic (autocast; a float16 loss
            is scaled so that small gradients count). "auto": the fastest that the device has instructions for.
        device: "auto" (CUDA if there is one), "cpu", "cuda".
        cache: "memory" to keep prepared scans there, or a folder to keep them in; the next run finds them again.
        loaders: threads that read scans and cut patches in the background.
        seed: of weights and patches.
        loss: what it is made of, see ``LossTerms``.
        augmentation: strengths, see ``Augmentation``.
        mixing: how often objects are made of supervoxels, and which, see ``SupervoxelMixing``.
        licence: of the resulting weights, for the card.
        data: origin and licence of the data, for the card.
    """

    datalist: Path | None = None
    root: Path | None = None
    pseudo_label_root: Path | None = None
    supervoxel_root: Path | None = None
    name: str
    preset: str = "starter"
    spacing: Float3 | None = None
    hu_window: tuple[float, float] | None = None
    window: Axis3 | None = None
    start_from: str | None = None
    start_share: float = Field(default=1.0, ge=0, le=1)
    embeddings_from: dict[int, tuple[int, ...]] = Field(default={})
    extra_names: dict[int, str] = Field(default={})
    extra_aliases: dict[int, tuple[str, ...]] = Field(default={})
    one_piece: tuple[int, ...] = ()
    classes: dict[int, int] = Field(default={})
    more_data: tuple[Source, ...] = ()
    pseudo_classes: tuple[int, ...] = ()
    mirrored: tuple[tuple[int, int], ...] | None = None
    only_in_label_slices: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    challenge: ChallengeCases | None = None
    fold: int | None = 0

    minutes: float | None = Field(default=None, gt=0)
    optimiser: Literal["adamw", "muon"] = "adamw"
    weight_decay: float = Field(default=1e-5, ge=0)
    gradient_clip: float = Field(default=1.0, gt=0)
    patches_per_case: int = Field(default=2, ge=1)
    most_cases: int | None = Field(default=None, ge=1)
    patches_per_step: int = Field(default=1, ge=1)
    accumulate: int = Field(default=1, ge=1)
    average_decay: float = Field(default=0.999, ge=0, lt=1)
    validate_every: int = Field(default=1000, ge=1)
    save_every: int | None = Field(default=None, ge=1)
    patience: int | None = Field(default=None, ge=1)
    precision: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    cache: str = Field(default="memory", min_length=1)
    loaders: int = Field(default=2, ge=1)
    seed: int = Field(default=0, ge=0)
    loss: LossTerms = LossTerms()
    augmentation: Augmentation = Augmentation()
    mixing: SupervoxelMixing = SupervoxelMixing()
    licence: str = "unknown"
    data: str = ""

    @model_validator(mode="before")
    @classmethod
    def _stage_defaults(cls, content: dict[str, Any]) -> dict[str, Any]:
        name = content.get("stage", "automatic")
        if not isinstance(name, str) or name not in STAGES:
            raise ValueError(f"unknown stage {name!r}; there are {', '.join(STAGES)}")
        if content.get("steps") is not None and content.get("epochs") is not None:
            raise ValueError("steps and epochs exclude each other: give one of them")
        defaults = {"name": name} | STAGES[name]().model_dump()
        if content.get("steps") is not None or content.get("epochs") is not None:
            defaults |= {"steps": None, "epochs": None}
        return defaults | content

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        self._check_shares()
        if self.challenge is not None:
            self._check_challenge()
        elif not self.class_ids and (self.class_probability > 0 or not self.supervoxels):
            raise ValueError("classes is empty: name at least one label value and its class, or pseudo_classes")
        limited = {class_id for source in self.sources for class_id in source.only_in_label_slices}
        absent = {class_id for source in self.sources for class_id in source.absent}
        for class_id in {*limited, *absent, *self.mirrored_ids}:
            if class_id not in self.class_ids:
                raise ValueError(f"class {class_id} is not among the recipe's classes")
        for class_id in self.one_piece:
            if class_id not in self.extra_names:
                raise ValueError(f"class {class_id} of one_piece is not among extra_names")
        if self.augmentation.mirror and "automatic" in self.trained:
            alone = sided(self.class_names) - self.mirrored_ids.keys()
            if alone:
                raise ValueError(
                    f"augmentation.mirror is on, and {self.class_names[min(alone)]!r} has no pair in mirrored: patches "
                    "would show it on the wrong side; train its other side too, or switch augmentation.mirror off"
                )
        return self

    def _check_shares(self) -> None:
        """Of patches that are drawn from label maps."""
        drawn = sum(source.synthesis.share for source in self.sources if source.label_maps)
        if drawn > 1 + 1e-9:
            raise ValueError(f"the shares of all label maps are {drawn:g} together: lower synthesis.share")
        if all(source.datalist is None for source in self.sources):
            if not self.more_data:
                raise ValueError("neither a datalist nor label_maps in more_data: say where the data are")
            if drawn < 1 - 1e-9:
                raise ValueError(f"without a datalist every patch is drawn, not {drawn:g}: set synthesis.share to 1")
            if self.steps is None:
                raise ValueError("epochs count the cases of data lists, and there are none: give steps")

    def _check_challenge(self) -> None:
        if self.class_ids or "automatic" in self.trained:
            raise ValueError(
                "objects of challenge cases are no classes: leave out classes, train encoder and point only"
            )
        if self.fold is not None:
            raise ValueError("a list of challenge cases has no folds: set fold to null")
        if self.supervoxels or self.more_data:
            raise ValueError("challenge cases come from one list, without supervoxels: leave out the rest")

    @model_validator(mode="after")
    def _makes_a_model(self) -> "Recipe":
        """Refuse before the training what the card would refuse after it."""
        rows = self.network_preset.class_rows
        beyond = [one for one in self.extra_names if not LAST_OFFICIAL_ID < one < rows]
        if beyond:
            raise ValueError(
                f"extra_names: id {beyond[0]} is not one of a model's own, {LAST_OFFICIAL_ID + 1}..{rows - 1}"
            )
        try:
            check_name(self.name)
            own = {one: self.extra_names[one] for one in self.class_ids if one in self.extra_names}
            aliases = {one: self.extra_aliases[one] for one in self.class_ids if one in self.extra_aliases}
            Vocabulary(self.class_ids, own, aliases)
        except (AnatomyError, ModelError) as error:
            raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _asks_what_it_trains(self) -> "Recipe":
        for part, share in (("automatic", self.class_probability), ("point", self.click_probability)):
            key = "class_probability" if part == "automatic" else "click_probability"
            if share > 0 and part not in self.trained:
                raise ValueError(f"{key} is {share}, but '{part}' is not in trained: add it, or set {key} to 0")
            if share == 0 and part in self.trained:
                raise ValueError(f"'{part}' is in trained, but {key} is 0: nothing would train it")
        if self.class_probability + self.click_probability == 0:
            raise ValueError("nothing is asked: class_probability and click_probability are both 0")
        if self.click_probability > 0 and self.loss.dice == self.loss.cross_entropy == 0:
            raise ValueError("loss: dice and cross_entropy are both 0: nothing would be learnt from clicks")
        if self.class_probability > 0 and self.most_present + self.most_absent == 0:
            raise ValueError("most_present and most_absent are both 0: no class would be asked")
        if self.start_share < 1 and self.start_from is None:
            raise ValueError(f"start_share is {self.start_share}, but start_from names no model: leave it out")
        if "encoder" not in self.trained and self.start_from is None:
            raise ValueError("the encoder is frozen, but start_from names no model to take it from")
        if self.steps is None and self.epochs is None:
            raise ValueError("neither steps nor epochs say when to stop: give one of them")
        multiple = self.network_preset.window_multiple
        if self.hu_window is not None and not self.hu_window[0] < self.hu_window[1]:
            raise ValueError(f"hu_window {self.hu_window}: the first must be below the second")
        if self.window is not None and any(side % multiple or side < multiple for side in self.window):
            raise ValueError(f"window {self.window} must be multiples of {multiple}")
        if self.window == (multiple, multiple, multiple):  # one voxel is left inside, which cannot be normalised
            raise ValueError(f"window {self.window} must be more than {multiple} along one axis")
        if self.spacing is not None and min(self.spacing) <= 0:
            raise ValueError(f"spacing {self.spacing} must be three positive mm")
        return self

    @field_validator("preset")
    @classmethod
    def _known_preset(cls, preset: str) -> str:
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {preset!r}; there are {', '.join(sorted(PRESETS))}")
        return preset

    @property
    def network_preset(self) -> Preset:
        """The preset with this recipe's spacing, HU window and window, and all branches."""
        preset = PRESETS[self.preset]
        own = {key: getattr(self, key) for key in ("spacing", "hu_window", "window")}
        return replace(preset, **{key: value for key, value in own.items() if value is not None})

    def steps_for(self, cases: int, processes: int) -> int:
        """Steps of the whole run: as given, or so many that each case gives its patches per epoch on average."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        together = self.patches_per_step * self.accumulate * processes
        return math.ceil(self.epochs * self.patches_per_case * cases / together)

    @property
    def sources(self) -> tuple[Source, ...]:
        """All data lists and label maps, the recipe's own list first."""
        if self.datalist is None:
            return self.more_data
        own = Source(**{key: getattr(self, key) for key in LIST_KEYS})
        return (own, *self.more_data)

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Every class id that is trained, in ascending order."""
        named = {one for source in self.sources for one in (*source.classes.values(), *source.structures)}
        return tuple(sorted(named | {*self.pseudo_classes}))

    @property
    def class_names(self) -> dict[int, str]:
        """The name of every class id that is trained."""
        return {one: self.extra_names.get(one) or CATALOGUE[one].name for one in self.class_ids}

    @property
    def mirrored_ids(self) -> dict[int, int]:
        """Class id to class id after a mirror."""
        pairs = mirrored_pairs(self.class_names) if self.mirrored is None else self.mirrored
        return dict(pairs) | {b: a for a, b in pairs}
