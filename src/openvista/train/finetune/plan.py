"""A fine-tune from a model and a data list to a model folder: which cases, which classes, and what the card says.

The training itself is that of any recipe; its stage is ``finetune`` (paper facts §6) or, for a model with both
branches, ``joint``.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from openvista.anatomy.catalogue import SUPPORTED_IDS
from openvista.anatomy.vocabulary import Vocabulary
from openvista.datalist import Case, DataList, LabelMapping, map_labels, read_datalist, write_datalist
from openvista.distributed import Ranks
from openvista.errors import AnatomyError, DataListError, OutputError
from openvista.io.atomic import make_folder, write_text
from openvista.network import Vista3D, build
from openvista.train.data import warn_of_own_transforms
from openvista.train.export import export_model, portable
from openvista.train.finetune.cases import LABELS_FOLDER, Shots, SkippedCase, choose_shots, merge_labels
from openvista.train.finetune.classes import embedding_sources
from openvista.train.finetune.recipe import (
    HELD_OUT,
    LEARN,
    FinetuneRequest,
    plan_recipe,
    preset_of_size,
    trained_parts,
)
from openvista.train.recipe import Recipe
from openvista.train.recipe_file import make_recipe
from openvista.train.run_folder import LAUNCH, is_restart, note_launch
from openvista.weights import ModelCard, ModelFolder, find_model, write_card
from openvista.weights.card import CARD_FILE, as_name

logger = logging.getLogger(__name__)

LIST_FILE, RECIPE_FILE, PLAN_FILE = "datalist.json", "recipe.json", "plan.json"


@dataclass(frozen=True)
class FinetunePlan:
    """What will be done.

    Attributes:
        request: what was asked for.
        base: the model it starts from.
        recipe: for the training loop; its data list is that of the run folder.
        names: class id to name, of the classes that are learnt.
        shots: the cases as they were chosen.
    """

    request: FinetuneRequest
    base: ModelFolder
    recipe: Recipe
    names: Mapping[int, str]
    shots: Shots


def plan_finetune(
    request: FinetuneRequest,
    folder: Path,
    begin: Callable[[int], Callable[[], None]] = lambda _: lambda: None,
    ranks: Ranks | None = None,
    resume: bool = False,
) -> FinetunePlan:
    """Plan a fine-tune and write its data list and recipe into the run folder, which is made.

    A process that torchrun has started anew takes the plan that the folder holds, and so does whoever resumes.

    Args:
        request: what to do.
        folder: of the run; its name becomes the model's.
        begin: called with the number of cases that will be read; what it returns is called after each.
        ranks: where it will be trained, and by how many processes; by default this one, on the CPU.
        resume: the run was stopped: its plan holds, whatever is asked for now; without a plan it is planned anew.

    Raises:
        ModelError: there is no such model.
        DataListError, AnatomyError: the list or the mapping cannot be used.
        RecipeError: the model's size fits no preset, or a setting is wrong.
        DeviceError: the memory is too small for the smallest patch.
        OutputError: the folder cannot be written, or is not empty, or holds something else than a run to resume.
    """
    ranks = ranks or Ranks()
    restarted = is_restart(folder, ranks) or (resume and _holds_no_more_than_a_plan(folder))
    base = find_model(request.model)
    if restarted and (folder / PLAN_FILE).exists():
        return _read_plan(request, base, folder)
    preset_of_size(base)  # refuses what it can before any file is read
    trained_parts(request.branches, base)
    listed, mapping, names = _read_list(request, base)
    warn_of_own_transforms(listed)
    if not restarted:
        _check_folder(folder)
    shots = choose_shots(
        listed, mapping.classes, count=request.shots, fold=request.fold, seed=request.seed, begin=begin
    )
    _tell(shots)
    used = _run_list(listed, shots, folder)
    recipe = plan_recipe(request, base, used, mapping.classes, names, ranks)
    make_folder(folder)
    note_launch(folder, ranks)
    used = merge_labels(used, mapping.classes, folder)
    recipe = recipe.model_copy(update={"name": model_name(folder), **_embeddings(recipe, base, used)})
    write_datalist(used)
    write_text(folder / RECIPE_FILE, recipe.model_dump_json(indent=2))
    plan = FinetunePlan(request, base, recipe, names, shots)
    _write_plan(plan, folder)
    return plan


def planned_recipe(folder: Path) -> Recipe:
    """The recipe that :func:`plan_finetune` wrote, for the other processes of a run."""
    path = folder / RECIPE_FILE
    return make_recipe(json.loads(path.read_text(encoding="utf-8")), str(path))


def export_finetuned(network: Vista3D, plan: FinetunePlan, folder: Path, keep_classes: bool = False) -> ModelFolder:
    """Write ``<run>/model``, whose card says what it was made from.

    A branch that did not learn while the encoder did no longer fits it, so it is left out.

    Args:
        network: what training returned.
        plan: what was done.
        folder: of the run.
        keep_classes: the model goes on answering for all classes of the one it started from. They were not trained
            and may have become worse.

    Raises:
        OutputError: the folder cannot be written.
    """
    written = export_model(_fitting_branches(network, plan.recipe), plan.recipe, folder)
    card = replace(written.card, provenance=_provenance(plan))
    if keep_classes:
        card = _with_base_classes(card, plan.base.card)
    write_card(card, written.path / CARD_FILE)
    return ModelFolder(written.path, card)


def model_name(folder: Path) -> str:
    """The run folder's name without the characters that a model's name cannot have."""
    return as_name(folder.resolve().name, "finetuned")


def _write_plan(plan: FinetunePlan, folder: Path) -> None:
    """What neither recipe nor data list of the run says. Written last: with this file the plan is complete."""
    skipped = [asdict(case) for case in plan.shots.skipped]
    content = {"names": dict(plan.names), "available": plan.shots.available, "skipped": skipped}
    write_text(folder / PLAN_FILE, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _read_plan(request: FinetuneRequest, base: ModelFolder, folder: Path) -> FinetunePlan:
    """The plan that a run folder holds."""
    content = json.loads((folder / PLAN_FILE).read_text(encoding="utf-8"))
    cases = read_datalist(folder / LIST_FILE).training
    shots = Shots(
        tuple(case for case in cases if case.fold == LEARN),
        tuple(case for case in cases if case.fold == HELD_OUT),
        tuple(SkippedCase(**one) for one in content["skipped"]),
        content["available"],
    )
    names = {int(class_id): name for class_id, name in content["names"].items()}
    return FinetunePlan(request, base, planned_recipe(folder), names, shots)


def _read_list(request: FinetuneRequest, base: ModelFolder) -> tuple[DataList, LabelMapping, dict[int, str]]:
    """The data list with names for what is mapped, the mapping, and the names of the classes."""
    listed = read_datalist(request.datalist, must_exist=False, **request.roots)
    vocabulary = _vocabulary(base.card)
    mapping = map_labels(listed, request.mapping, vocabulary)
    _check_mapping(mapping, base.card)
    ids = sorted(set(mapping.classes.values()))
    names = {class_id: mapping.new_names.get(class_id) or vocabulary.name(class_id) for class_id in ids}
    return listed.naming({value: names[i] for value, i in mapping.classes.items()}), mapping, names


def _vocabulary(card: ModelCard) -> Vocabulary:
    """What labels can be mapped to: the model's classes, and the official ones, whose ids it keeps free for them."""
    try:
        return Vocabulary(
            {*card.class_ids, *SUPPORTED_IDS}, card.extra_classes, card.extra_aliases, model_name=card.name
        )
    except AnatomyError:  # one of its own is called like an official class that it does not know
        return card.vocabulary()


def _check_mapping(mapping: LabelMapping, card: ModelCard) -> None:
    beyond = [f"'{name}'" for class_id, name in mapping.new_names.items() if class_id >= card.class_rows]
    if beyond:
        raise DataListError(
            f"model {card.name!r} has {card.class_rows} embeddings, ids up to {card.class_rows - 1}: no room for "
            f"{', '.join(beyond)}; map to classes it knows, or to fewer new ones"
        )


def _tell(shots: Shots) -> None:
    if shots.skipped:
        logger.warning("%d cases cannot be used; they are named at the end", len(shots.skipped))
    names = ", ".join(case.name for case in shots.training)
    logger.info("learning from %d of %d cases: %s", len(shots.training), shots.available, names)
    held_out = ", ".join(case.name for case in shots.held_out) or "none; the last weights are kept"
    logger.info("held out to choose the checkpoint by: %s", held_out)


def _run_list(listed: DataList, shots: Shots, folder: Path) -> DataList:
    """The cases of this run alone, with paths that hold from anywhere."""

    def plain(case: Case, fold: int) -> Case:
        image, label = case.image.absolute(), case.label.absolute()
        return replace(case, image=image, label=label, fold=fold, pseudo_label=None, supervoxels=None, extra={})

    training = [plain(case, LEARN) for case in shots.training]
    held_out = [plain(case, HELD_OUT) for case in shots.held_out]
    return DataList(folder.absolute() / LIST_FILE, listed.label_names, (*training, *held_out), ())


def _embeddings(recipe: Recipe, base: ModelFolder, used: DataList) -> dict[str, Any]:
    """Where the embeddings of classes start that are new to the model."""
    untrained = {value: class_id for value, class_id in recipe.classes.items() if class_id not in base.card.class_ids}
    inherits = recipe.start_from is not None and "automatic" in base.card.branches
    if not untrained or not inherits or "automatic" not in recipe.trained or recipe.embeddings_from:
        return {}
    learning = [case for case in used.training if case.fold == LEARN]
    return {"embeddings_from": embedding_sources(base, recipe, learning, untrained)}


def _fitting_branches(network: Vista3D, recipe: Recipe) -> Vista3D:
    """The network without the branches that no longer fit its encoder."""
    trained = tuple(branch for branch in network.preset.branches if branch in recipe.trained)
    if trained == network.preset.branches or "encoder" not in recipe.trained:
        return network
    logger.warning("the result answers %s prompts only: its encoder changed without the other branch", trained[0])
    smaller = build(replace(network.preset, branches=trained))
    names = smaller.state_dict().keys()
    smaller.load_state_dict({name: tensor for name, tensor in network.state_dict().items() if name in names})
    return smaller.eval()


def _provenance(plan: FinetunePlan) -> dict[str, Any]:
    """Everything needed to make the model again, without folders of this machine."""
    base, request = plan.base.card, plan.request
    recipe = portable(plan.recipe)
    return {
        "data": plan.recipe.data,
        "datalist": request.datalist.name,
        "shots": len(plan.shots.training),
        "shots_of": plan.shots.available,
        "held_out": len(plan.shots.held_out),
        "base_model": None if request.from_scratch else base.name,
        "base_sha256": None if request.from_scratch else base.weights_sha256,
        "base_data": None if request.from_scratch else base.provenance.get("data"),
        "recipe": recipe | {"datalist": request.datalist.name, "start_from": recipe["start_from"] and base.name},
    }


def _with_base_classes(card: ModelCard, base: ModelCard) -> ModelCard:
    return replace(
        card,
        classes=tuple(sorted({*card.classes, *base.classes})),
        extra_classes={**base.extra_classes, **card.extra_classes},
        extra_aliases={**base.extra_aliases, **card.extra_aliases},
        one_piece=tuple(sorted({*card.one_piece, *base.one_piece})),
        ranges={**base.ranges, **card.ranges},
    )


def _check_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: holds something already; choose another folder with -o, or --resume its run")


def _holds_no_more_than_a_plan(folder: Path) -> bool:
    """Whether a folder has a run's plan, or was left while one was made: what is there may then be written again."""
    if not folder.is_dir():
        return not folder.exists()
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}  # temporary ones of a run killed
    return PLAN_FILE in names or names <= {LIST_FILE, RECIPE_FILE, LABELS_FOLDER, LAUNCH}
