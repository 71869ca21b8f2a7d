"""The cases of a run: read, prepared, kept in memory or on disk; what cannot be used is skipped and named."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from openvista.datalist import AnyCase, Case, DataList, UnlabelledCase, read_datalist, refuse_missing
from openvista.distributed import Ranks
from openvista.errors import DataListError, GridError, RecipeError, ScanError
from openvista.network import Preset
from openvista.train.cache import cached_case, case_key
from openvista.train.cases import LabelUse, TrainingCase, load_case
from openvista.train.recipe import LIST_ROOTS, Recipe, Source
from openvista.train.synthetic import SyntheticCases

logger = logging.getLogger(__name__)

MOST_REPEATS = 4.0
"""How many times as often as others a case with a rare structure is drawn at most, and a patch centred on it, where
draws are balanced: one tumour among fifty cases must not be half of what is learned."""


@dataclass(frozen=True)
class TrainingData:
    """The cases of a run.

    Attributes:
        training: cases to learn from.
        weights: how often each is drawn, relative to the others, float64.
        repeats: class id to how many times as often as others a patch is centred on it, where a case shows several;
            empty without ``balance``.
        validation: this process's share of the held-out cases.
        skipped: name of each case that could not be used, and why; of held-out cases this process's share.
        synthetic: label maps that patches are drawn from, too.
    """

    training: list[TrainingCase]
    weights: Tensor
    repeats: dict[int, float]
    validation: list[TrainingCase]
    skipped: tuple[str, ...]
    synthetic: tuple[SyntheticCases, ...] = ()


class ListedCase(Protocol):
    """A case of a list before it is read."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def weight(self) -> float:
        """How often it is drawn, relative to the others."""

    def load(self, preset: Preset) -> TrainingCase:
        """Read and prepare it.

        Raises:
            DataListError, GridError, ScanError: it cannot be used.
        """

    def key(self, preset: Preset) -> str:
        """What the prepared case is called in a cache, see :mod:`openvista.train.cache`."""


@dataclass(frozen=True)
class _Entry:
    """A case of a data list."""

    case: AnyCase
    use: LabelUse
    weight: float

    @property
    def name(self) -> str:
        return self.case.name

    def load(self, preset: Preset) -> TrainingCase:
        return load_case(self.case, preset, self.use)

    def key(self, preset: Preset) -> str:
        return case_key(self.case, preset, self.use)


@dataclass(frozen=True)
class ListedCases:
    """The cases of a run before any of them is read: those to learn from, and the held-out ones."""

    training: Sequence[ListedCase]
    validation: Sequence[ListedCase]


Listing = Callable[[Recipe], ListedCases]
"""Reads what a recipe lists, but none of the scans."""


def list_cases(recipe: Recipe) -> ListedCases:
    """Read all data lists of a recipe, but none of their scans.

    Raises:
        DataListError: a list cannot be read, or has no such fold.
        RecipeError: the recipe is for files of the challenge.
    """
    if recipe.challenge is not None:
        raise RecipeError(f"recipe {recipe.name} is for cases of the challenge: use openvista cvpr train")
    training: list[_Entry] = []
    validation: list[_Entry] = []
    for number, source in enumerate(source for source in recipe.sources if source.datalist is not None):
        source_list = _read_source(source, recipe)
        warn_of_own_transforms(source_list)
        learned, held_out = _split(source_list, recipe, first=number == 0)
        use = LabelUse(
            source.classes,
            frozenset(source.only_in_label_slices),
            frozenset(recipe.class_ids) if recipe.labels == "manual+pseudo" else frozenset(),
            recipe.supervoxels,
            frozenset(source.absent),
        )
        often = 1.0 if recipe.oversample is None else max(1.0, recipe.oversample / max(len(learned), 1))
        training += [_Entry(case, use, often if isinstance(case, Case) else 1.0) for case in learned]
        validation += [_Entry(case, use, 1.0) for case in held_out]
    return ListedCases(tuple(training), tuple(validation))


def _read_source(source: Source, recipe: Recipe) -> DataList:
    """The cases of a list with those of their maps that the run reads; only these files must be there."""

    def used(case: AnyCase) -> AnyCase | None:
        pseudo_label = case.pseudo_label if recipe.labels == "manual+pseudo" else None
        supervoxels = case.supervoxels if recipe.supervoxels else None
        if isinstance(case, UnlabelledCase) and pseudo_label is None and supervoxels is None:
            return None
        return replace(case, pseudo_label=pseudo_label, supervoxels=supervoxels)

    roots = {key: getattr(source, key) for key in LIST_ROOTS}
    assert source.datalist is not None
    listed = read_datalist(source.datalist, must_exist=False, **roots).changed(used)
    refuse_missing(listed)
    return listed.naming({value: f"class {class_id}" for value, class_id in source.classes.items()})


def warn_of_own_transforms(listed: DataList) -> None:
    """Warn that the transforms a research list brings along are not applied."""
    given = listed.extra.get("training_transform") or []
    steps = given if isinstance(given, list) else [given]
    names = [str(step.get("_target_", step)) if isinstance(step, dict) else str(step) for step in steps]
    if names:
        logger.warning(
            "%s: its training_transform (%.90s) is not applied: patches are cut and changed as the recipe's "
            "augmentation says",
            listed.path,
            ", ".join(names),
        )


def load_data(listed: ListedCases, recipe: Recipe, preset: Preset, ranks: Ranks) -> TrainingData:
    """Read and prepare cases; those that cannot be used are skipped.

    Raises:
        DataListError: no case is left to train on.
    """
    loader = _Loader(recipe, preset, ranks)
    usable = loader.load(listed.training, lambda case: bool(case.annotated) or case.supervoxels_XYZ is not None)
    drawn_only = all(source.datalist is None for source in recipe.sources)
    if not usable and not drawn_only:
        raise DataListError(_nothing_to_learn(recipe, loader.skipped))
    training = [case for case, _ in usable]
    if not drawn_only and not any(_shown(case) or case.supervoxels_XYZ is not None for case in training):
        raise DataListError(
            f"{recipe.datalist}: no voxel of any training case has a label of the recipe: check its classes "
            f"({', '.join(map(str, recipe.classes))}) against the label maps with openvista datalist check"
        )
    held_out = loader.load(ranks.share(listed.validation), lambda case: bool(case.annotated))
    synthetic = tuple(SyntheticCases(source, recipe, preset) for source in recipe.sources if source.label_maps)
    drawn = ranks.share([case for source in synthetic for case in source.held_out()])
    if ranks.is_first:
        for missing in _missing(recipe, training, synthetic):
            logger.warning("%s", missing)
    weights = torch.tensor([entry.weight for _, entry in usable], dtype=torch.float64)
    repeats = rarities(weights, training) if recipe.balance and training else {}
    return TrainingData(
        training,
        balanced(weights, training, repeats) if repeats else weights,
        repeats,
        [case for case, _ in held_out] + list(drawn),
        tuple(loader.skipped),
        synthetic,
    )


def rarities(weights_N: Tensor, cases: Sequence[TrainingCase]) -> dict[int, float]:
    """How many times as often as the others to draw each structure that not every case shows.

    Args:
        weights_N: how often each case is drawn as it is, float64.
        cases: the same N cases.

    Returns:
        Class id to 1/f, where a share f < 1 of the labelled cases shows it, but to ``MOST_REPEATS`` at most.
    """
    shown = [_shown(case) for case in cases]
    labelled = weights_N[torch.tensor([bool(some) for some in shown])].sum()
    repeats = {}
    for class_id in sorted(set().union(*shown)):
        share = float(weights_N[torch.tensor([class_id in some for some in shown])].sum() / labelled)
        if share < 1:
            repeats[class_id] = min(1 / share, MOST_REPEATS)
    return repeats


def balanced(weights_N: Tensor, cases: Sequence[TrainingCase], repeats: Mapping[int, float]) -> Tensor:
    """Weights that draw cases with a rarely marked structure more often.

    Each case counts as often as the rarest structure that it shows. A structure that is rare alone is so shown by half
    of the draws or more. Cases that show none keep their weights, and the others keep theirs together.

    Args:
        weights_N: how often each case would be drawn, float64.
        cases: the same N cases.
        repeats: from :func:`rarities`.
    """
    factors_N = torch.tensor([max((repeats.get(one, 1.0) for one in _shown(case)), default=1.0) for case in cases])
    shows_N = torch.tensor([bool(_shown(case)) for case in cases])
    more_N = weights_N * factors_N
    return torch.where(shows_N, more_N * weights_N[shows_N].sum() / more_N[shows_N].sum(), weights_N)


def _shown(case: TrainingCase) -> set[int]:
    return {class_id for class_id, places in case.places.items() if len(places)}


class _Loader:
    """Prepares cases, several at a time, and remembers those it could not."""

    def __init__(self, recipe: Recipe, preset: Preset, ranks: Ranks) -> None:
        self.folder = None if recipe.cache == "memory" else Path(recipe.cache).expanduser()
        self.preset = preset
        self.ranks = ranks
        self.threads = recipe.loaders
        self.skipped: list[str] = []

    def load(
        self, entries: Sequence[ListedCase], is_usable: Callable[[TrainingCase], bool]
    ) -> list[tuple[TrainingCase, ListedCase]]:
        """The cases that can be read and used, in order."""
        with ThreadPoolExecutor(self.threads) as pool:
            if self.folder is not None and self.ranks.count > 1:
                # every process prepares its share, then all of them map the files of all
                list(pool.map(self._case, self.ranks.share(entries)))
                self.ranks.barrier()
            loaded = list(pool.map(self._case, entries))
        found = []
        for entry, case in zip(entries, loaded, strict=True):
            if isinstance(case, TrainingCase) and is_usable(case):
                found.append((case, entry))
                continue
            reason = "nobody marked a structure of the recipe in it" if isinstance(case, TrainingCase) else case
            logger.warning("skipped %s: %s", entry.name, reason)
            self.skipped.append(f"{entry.name} ({reason})")
        return found

    def _case(self, entry: ListedCase) -> TrainingCase | str:
        make = partial(entry.load, self.preset)
        try:
            if self.folder is None:
                return make()
            return cached_case(self.folder, entry.key(self.preset), make)
        except (ScanError, GridError, DataListError) as error:
            return str(error)


def _split(listed: DataList, recipe: Recipe, first: bool) -> tuple[list[AnyCase], list[AnyCase]]:
    """Cases to learn from and held-out ones.

    A further list without the fold is trained on as a whole, and so is a list without label maps.
    """
    fold = recipe.fold
    if not listed.training or (not first and all(case.fold != fold for case in listed.training)):
        fold = None
    learned, held_out = listed.split(fold)
    every: list[AnyCase] = [*learned, *(case for case in listed.unlabelled if fold is None or case.fold != fold)]
    return every[: recipe.most_cases], list(held_out)


def _nothing_to_learn(recipe: Recipe, skipped: Sequence[str]) -> str:
    if skipped and recipe.challenge is not None:
        return f"{recipe.datalist}: every case was skipped, first {skipped[0]}"
    if skipped:
        return f"{recipe.datalist}: every case was skipped, first {skipped[0]}; run openvista datalist check"
    if recipe.fold is None:
        return f"{recipe.datalist}: no training case has a structure of the recipe; check its classes"
    return (
        f"{recipe.datalist}: no case outside fold {recipe.fold} has a structure of the recipe; "
        "set fold to null to train on every case"
    )


def _missing(recipe: Recipe, cases: Sequence[TrainingCase], synthetic: Sequence[SyntheticCases]) -> Iterator[str]:
    """What the recipe asks for but no training case has."""
    if recipe.supervoxels and not synthetic and all(case.supervoxels_XYZ is None for case in cases):
        yield "no training case has supervoxels (label_sv): the run goes without; make them with openvista supervoxels"
    if recipe.labels == "manual+pseudo" and not any(case.pseudo for case in cases):
        yield "no training case has a class from a pseudo-label: the run goes without"
    known = {class_id for case in cases for class_id in case.annotated}
    known |= {class_id for source in synthetic for class_id in source.annotated}
    unknown = [name for class_id, name in recipe.class_names.items() if class_id not in known]
    if unknown:
        yield f"no training case is annotated for {', '.join(unknown)}: nothing will be learned about it"
