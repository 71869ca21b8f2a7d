"""The ``train#trainer`` of a bundle: its configuration becomes a fine-tune of ours, and the result goes back."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from openvista.bundle.cases import CaseSet, FoldCases
from openvista.bundle.choices import TrainingChoices
from openvista.bundle.command import check_command, reporting
from openvista.bundle.network import BundleNetwork, plain_network, with_own_classes
from openvista.bundle.preparation import Augmenting, Preparation, augmenting_of
from openvista.bundle.processes import numbered_folder, ranks_of
from openvista.bundle.settings import (
    BestWeights,
    DiceCrossEntropy,
    EarlyStop,
    LearningRates,
    Setting,
    StartWeights,
    Validation,
)
from openvista.datalist import DataList, read_datalist, write_datalist
from openvista.distributed import Ranks
from openvista.errors import RecipeError
from openvista.io.atomic import make_folder
from openvista.network import Vista3D
from openvista.train.finetune.plan import FinetunePlan, export_finetuned, plan_finetune, planned_recipe
from openvista.train.finetune.recipe import HELD_OUT, LEARN, FinetuneRequest
from openvista.train.loop import StepReport, Trainer
from openvista.weights import ModelFolder, write_card
from openvista.weights.files import write_file
from openvista.weights.official import Checkpoint, read_checkpoint, to_naming
from openvista.weights.store import load_network, save_tensors

logger = logging.getLogger(__name__)
Kind = TypeVar("Kind")


@dataclass
class BundleTrainer:
    """Trains as :mod:`openvista.train` does; the arguments are those that MONAI's trainers have.

    Attributes:
        device: where.
        max_epochs: of the run.
        train_data_loader: of ``train#dataset``; the loop reads its list, not its items.
        network: of the bundle; it stays as it is, the result is a file.
        optimizer: AdamW, whose learning rate (peak) and weight decay are used; Adam and Novograd are taken for it.
        loss_function: a :class:`openvista.bundle.settings.DiceCrossEntropy`.
        inferer: not used: a patch goes through the network whole.
        train_handlers, val_handlers: settings of :mod:`openvista.bundle.settings`.
        transforms: ``train#deterministic_transforms`` (one entry), then ``train#random_transforms``: see
            :mod:`openvista.bundle.preparation`.
        amp: bfloat16 where the device has it; else float32.
        hyper_kwargs: all other ids, see :class:`openvista.bundle.choices.TrainingChoices`.
        key_train_metric, postprocessing: not used.
    """

    device: torch.device | str
    max_epochs: float
    train_data_loader: Any
    network: Any
    optimizer: Any
    loss_function: Any
    inferer: Any = None
    train_handlers: Sequence[Any] = ()
    val_handlers: Sequence[Any] = ()
    transforms: Sequence[Any] = ()
    amp: bool = True
    hyper_kwargs: Mapping[str, Any] = field(default_factory=dict)
    key_train_metric: Any = None
    postprocessing: Any = None

    def run(self) -> None:
        """Train, and write the best weights and their card.

        Raises:
            OpenVistaError: what is wrong; in a command of MONAI it ends with one line and its exit code.
        """
        with reporting():
            check_command()
            choices = TrainingChoices.of(self.hyper_kwargs)
            self._check_parts(choices)
            ranks = ranks_of(self.device)
            if choices.val_at_start:
                self._score_start()
            if not choices.use_tensorboard and ranks.is_first:
                logger.warning("use_tensorboard is false: events are written all the same where it is installed")
            make_folder(Path(choices.output_dir))
            folder = numbered_folder(Path(choices.output_dir), "run", ranks)
            work = folder.with_name(f"{folder.name}-start")
            try:
                self._train(choices, ranks, folder, work)
                ranks.barrier()
            finally:
                if ranks.is_first:
                    shutil.rmtree(work, ignore_errors=True)

    def _train(self, choices: TrainingChoices, ranks: Ranks, folder: Path, work: Path) -> None:
        plan = self._plan(choices, ranks, folder, work) if ranks.is_first else None
        ranks.barrier()
        recipe = plan.recipe if plan else planned_recipe(folder)

        def tell(report: StepReport) -> None:
            if report.step % recipe.validate_every == 0:
                logger.info("step %d, %d %%, loss %.3f", report.step, round(100 * report.fraction), report.loss)

        network = Trainer(recipe, folder, ranks, tell).run()
        if plan is not None:
            self._keep(network, plan, folder)

    def _plan(self, choices: TrainingChoices, ranks: Ranks, folder: Path, work: Path) -> FinetunePlan:
        """The starting model and the chosen cases as files, and the recipe that follows."""
        base = self._start_model(choices, work)
        listed = _chosen_list(choices, work)
        learnt = sum(case.fold == LEARN for case in listed.training)
        interval = self._setting(Validation)
        settings = choices.settings(learnt, ranks.count, self.max_epochs, interval.interval if interval else 1)
        schedule = self._setting(LearningRates)
        preparation, augmenting = self._steps(choices)
        self._tell_what_is_ours(augmenting)
        strengths = {key: value for key, value in vars(augmenting).items() if key != "mirror"}
        group = self.optimizer.param_groups[0]
        settings |= {
            "schedule": "cosine" if schedule is None or schedule.activate else "constant",
            "weight_decay": group["weight_decay"],
            "device": ranks.device.type,
            "augmentation": strengths,
        }
        if not self.amp:
            settings["precision"] = "float32"
        stop = self._setting(EarlyStop)
        if choices.early_stop and stop is not None:
            settings["patience"] = stop.patience
        x, y, z = (int(side) for side in choices.patch_size)
        a, b, c = (float(side) for side in preparation.spacing)
        request = FinetuneRequest(
            datalist=listed.path,
            mapping=tuple(f"{value}={class_id}" for value, class_id in choices.mapping),
            model=str(base.path),
            fold=str(HELD_OUT) if learnt < len(listed.training) else "none",
            spacing=(a, b, c),
            patch=(x, y, z),
            branches=choices.branches,
            mirror=augmenting.mirror,
            from_scratch=not choices.finetune,
            learning_rate=group["lr"],
            settings=settings,
        )
        return plan_finetune(request, folder, ranks=ranks)

    def _start_model(self, choices: TrainingChoices, work: Path) -> ModelFolder:
        """The checkpoint to start from as a model folder; classes that its card lacks get a name."""
        network = plain_network(self.network)
        if not isinstance(network, BundleNetwork):
            raise RecipeError(f"network is a {type(network).__name__}: leave network_def as it is")
        start = self._setting(StartWeights)
        path = Path(start.load_path if start else Path(choices.bundle_root) / "models" / "model.pt")
        card = with_own_classes(network.card, [class_id for _, class_id in choices.mapping])
        return save_tensors(read_checkpoint(path).tensors, card, work / card.name)

    def _keep(self, network: Vista3D, plan: FinetunePlan, folder: Path) -> None:
        """The model folder of the run, and the whole network as one file beside ``model.pt``."""
        written = export_finetuned(network, plan, folder)
        saver = self._setting(BestWeights)
        target = Path(saver.save_dir) / saver.key_metric_filename if saver else folder / "model_finetune.pt"
        make_folder(target.parent)
        tensors = load_network(plan.base).state_dict() | load_network(written).state_dict()
        checkpoint = Checkpoint(tensors, replace(network.preset, branches=plan.base.card.branches), "openvista")
        write_file(to_naming(checkpoint, "monai-1.4"), target)
        write_card(replace(written.card, branches=plan.base.card.branches), target.with_suffix(".json"))
        logger.info("best weights: %s; the run: %s", target, folder)

    def _score_start(self) -> None:
        validation = self._setting(Validation)
        if validation is None or validation.validator is None:
            raise RecipeError(
                "val_at_start is true, but train#handlers#2 has no validator: leave it at @validate#evaluator"
            )
        validation.validator.run()
        logger.info("before training: mean Dice %s", validation.validator.state.metrics.get("val_mean_dice"))

    def _setting(self, kind: type[Kind]) -> Kind | None:
        """The entry of this kind among the handlers."""
        return next((one for one in (*self.train_handlers, *self.val_handlers) if isinstance(one, kind)), None)

    def _steps(self, choices: TrainingChoices) -> tuple[Preparation, Augmenting]:
        """How scans are prepared and patches changed."""
        first, *others = self.transforms or (None,)
        if not isinstance(first, Preparation):
            raise RecipeError(
                "train#deterministic_transforms: the loop here prepares scans by itself; change what its entry says, "
                "add none"
            )
        return first, augmenting_of(others, choices.patch_size)

    def _tell_what_is_ours(self, augmenting: Augmenting) -> None:
        """A line for each part of MONAI that the loop takes the place of."""
        optimizer = type(self.optimizer).__name__
        if optimizer != "AdamW":
            logger.warning("optimizer is %s: the loop here has AdamW; learning rate and weight decay count", optimizer)
        if augmenting not in self.transforms:
            logger.warning(
                "train#random_transforms: the loop here cuts patches around labels and changes them by itself, each "
                "intensity with chance %g, and zooms a share of %g by up to %g, as your transforms say",
                augmenting.chance,
                augmenting.spatial_share,
                augmenting.zoom,
            )

    def _check_parts(self, choices: TrainingChoices) -> None:
        """Refuse components that the loop would not use."""
        self._steps(choices)
        optimizer = type(self.optimizer).__name__
        if optimizer not in ("AdamW", "Adam", "Novograd"):
            raise RecipeError(f"optimizer is {optimizer}: the loop here has AdamW")
        if not isinstance(self.loss_function, DiceCrossEntropy):
            raise RecipeError(f"loss is {type(self.loss_function).__name__}: the loop here has Dice and cross-entropy")
        if type(self.inferer).__name__ not in ("SimpleInferer", "NoneType"):
            raise RecipeError(f"train#inferer is {type(self.inferer).__name__}: patches go through the network whole")
        data = getattr(getattr(self.train_data_loader, "dataset", None), "data", None)
        if not isinstance(data, FoldCases):
            raise RecipeError(
                f"train#dataset must read train_datalist, as a {CaseSet.__name__} does: change data_list_file_path and "
                "dataset_dir"
            )
        if data.first != choices.n_train_samples:
            raise RecipeError(
                f"train#dataset has the first {data.first} cases, n_train_samples is {choices.n_train_samples}: change "
                "n_train_samples alone"
            )
        for handler in self.train_handlers:
            if not isinstance(handler, Setting):
                raise RecipeError(f"train#handlers has a {type(handler).__name__}, which the loop here would not call")


def _chosen_list(choices: TrainingChoices, work: Path) -> DataList:
    """The first cases of both sides of the fold as a list of their own."""
    listed = read_datalist(Path(choices.data_list_file_path), root=Path(choices.dataset_dir), must_exist=False)
    training, held_out = listed.split(choices.fold)
    chosen = [replace(case, fold=LEARN) for case in training[: choices.n_train_samples]]
    chosen += [replace(case, fold=HELD_OUT) for case in held_out[: choices.n_val_samples]]
    if not chosen or chosen[0].fold == HELD_OUT:
        raise RecipeError(f"{listed.path}: no case is left to learn from outside fold {choices.fold}")
    absolute = [replace(case, image=case.image.absolute(), label=case.label.absolute()) for case in chosen]
    result = replace(
        listed, path=work / listed.path.name, root=None, training=tuple(absolute), unlabelled=(), label_mapping={}
    )
    make_folder(work)
    write_datalist(result)
    return result
