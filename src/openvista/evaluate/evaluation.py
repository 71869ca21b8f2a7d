"""An evaluation as a user asks for it: everything is checked, then a model is loaded and asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openvista.anatomy.vocabulary import Vocabulary
from openvista.datalist import Case, DataList, LabelMapping, map_labels, read_datalist, refuse_missing
from openvista.distributed import Ranks
from openvista.errors import DataListError, InputError, OutputError
from openvista.evaluate.protocol import JudgedModel
from openvista.evaluate.protocols import check_model, find_protocol
from openvista.evaluate.report.results import Results
from openvista.evaluate.run import Done, Run, case_names, describe_run, evaluate_case, plan_run, work_in_folder
from openvista.evaluate.run_folder import EvaluationFolder, RunInfo
from openvista.evaluate.sam2 import Sam2Card, load_sam2
from openvista.evaluate.score import Scoring
from openvista.inference.device import find_device, plan_compute
from openvista.inference.profiles import find_profile
from openvista.metrics.masks import DEFAULT_TOLERANCE_MM, check_tolerance
from openvista.model import load_model
from openvista.weights import ModelCard, find_model


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a user asks for.

    Attributes:
        datalist: path of the data list.
        split: "testing", "training", or "fold N".
        model: name or folder.
        protocol: its name.
        choices: profile, seed, clicks and variants, where they are not the usual ones; see
            :class:`openvista.evaluate.protocol.ProtocolSettings`.
        mapping: "LABEL=CLASS", for labels that are not found by name.
        roots: folders that the list's paths start from, as arguments of :func:`openvista.datalist.read_datalist`.
        only_in_slices: names of classes scored only between a case's ``label_slices``.
        tolerances: of NSD, "MM" or "CLASS=MM".
        surface: definition of surface.
        device, precision: as for :func:`openvista.load_model`.
        output: folder of the results; ``None``: nothing is kept.
        resume: go on with the run in that folder.
    """

    datalist: Path
    split: str = "testing"
    model: str = "starter"
    protocol: str = "auto"
    choices: Mapping[str, Any] = field(default_factory=dict)
    mapping: Sequence[str] = ()
    roots: Mapping[str, Path] = field(default_factory=dict)
    only_in_slices: str = ""
    tolerances: Sequence[str] = ()
    surface: str = "elements"
    device: str = "auto"
    precision: str = "auto"
    output: Path | None = None
    resume: bool = False


@dataclass(frozen=True, eq=False)
class PreparedEvaluation:
    """An evaluation that is ready to start.

    Attributes:
        model: the model to judge.
        cases: all of the run, by name.
        run: what is done with them.
        info: what is reported with the results.
        ranks: which process this is.
        folder: of the run; ``None``: nothing is kept, and this process is the only one.
    """

    model: JudgedModel
    cases: Mapping[str, Case]
    run: Run
    info: RunInfo
    ranks: Ranks
    folder: EvaluationFolder | None

    @property
    def share(self) -> int:
        """How many cases this process answers."""
        return len(self.ranks.share(self.info.cases))

    def work(self, done: Done) -> Results | None:
        """Answer this process's cases; the first process gathers everybody's, the others return ``None``."""
        if self.folder is None:
            records = []
            for name, case in self.cases.items():
                records.append(evaluate_case(self.model, case, self.run, name))
                done(name)
            return Results(self.info, tuple(records))
        work_in_folder(self.folder, self.model, self.cases, self.run, done)
        if not self.ranks.is_first:
            return None
        self.folder.wait_for_others()
        return Results(self.info, tuple(self.folder.records()))


def prepare_evaluation(asked: Evaluation, command: str) -> PreparedEvaluation:
    """Check everything, then read the weights.

    Args:
        asked: by the user.
        command: that asked for it; reported with the results.

    Raises:
        InputError: something that does not exist, or that does not fit.
        OutputError: the folder cannot be used.
        ModelError: there is no such model, or it cannot be asked in this way.
        DeviceError: this machine has no such device or precision.
    """
    ranks = Ranks.from_environment()
    if asked.output is None and (ranks.count > 1 or asked.resume):
        raise OutputError("several processes, and --resume, need a folder for what is done: add -o FOLDER")
    listed, protocol = _read_list(asked), find_protocol(asked.protocol)
    device = ranks.own_device(asked.device)
    sam2 = load_sam2(asked.model, find_device(device)) if protocol.family == "sam2" else None
    card = find_model(asked.model).card if sam2 is None else sam2.card
    run = _plan(asked, card, listed)
    cases = _cases(listed, asked.split, run)
    precision = str(plan_compute(device, asked.precision)) if sam2 is None else str(sam2)
    info = describe_run(card, precision, listed, asked.split, cases, run, command)
    folder = None if asked.output is None else EvaluationFolder(asked.output, info, ranks, asked.resume)
    model = load_model(asked.model, device, asked.precision) if sam2 is None else sam2
    return PreparedEvaluation(model, case_names(cases), run, info, ranks, folder)


def _read_list(asked: Evaluation) -> DataList:
    """The list without the maps that are not scored, which need not be there."""
    listed = read_datalist(asked.datalist, must_exist=False, **asked.roots)
    listed = listed.changed(lambda case: replace(case, pseudo_label=None, supervoxels=None))
    refuse_missing(listed)
    return listed


def _plan(asked: Evaluation, card: ModelCard | Sam2Card, listed: DataList) -> Run:
    find_profile(asked.choices.get("profile", "best"))
    vocabulary = Vocabulary(card.class_ids, card.extra_classes, card.extra_aliases, model_name=card.name)
    protocol = find_protocol(asked.protocol)
    # what is asked by class is answered by a group's parts; clicks are on one object
    labels = map_labels(listed, asked.mapping, vocabulary, groups=protocol.name == "auto")
    check_model(protocol, card, labels.new_names)
    extra = {**card.extra_classes, **labels.new_names}  # options may name what the mapping has just named
    vocabulary = Vocabulary({*card.class_ids, *labels.new_names}, extra, card.extra_aliases, model_name=card.name)
    limited_ids = vocabulary.expand(asked.only_in_slices) if asked.only_in_slices else []
    limited = [value for value, class_id in labels.classes.items() if class_id in limited_ids]
    scoring = _scoring(labels, vocabulary, asked.tolerances, asked.surface)
    run = plan_run(protocol, labels.classes, limited, scoring, **asked.choices)
    return replace(run, names={class_id: vocabulary.name(class_id) for class_id in run.settings.class_ids})


def _scoring(labels: LabelMapping, vocabulary: Vocabulary, tolerances: Sequence[str], surface: str) -> Scoring:
    if surface not in ("elements", "voxels"):
        raise InputError(f"no surface {surface!r}: there is elements and voxels")
    usual, special = DEFAULT_TOLERANCE_MM, {}
    for text in tolerances:
        name, equals, value = text.rpartition("=")
        try:
            millimetres = check_tolerance(float(value))
        except ValueError:
            raise InputError(f"--tolerance {text!r}: write mm, or CLASS=mm, for example 'mandible=1'") from None
        if not equals:
            usual = millimetres
        elif (class_id := vocabulary.resolve(name)) in labels.classes.values():
            special[class_id] = millimetres
        else:
            raise InputError(f"--tolerance {text!r}: the data list has no such structure, so leave it out")
    return Scoring(usual, special, surface)  # type: ignore[arg-type]


def _cases(listed: DataList, split: str, run: Run) -> tuple[Case, ...]:
    """The cases of a split; labels that the list does not name are called as the run calls them."""
    listed = listed.naming({value: run.names[class_id] for value, class_id in run.classes.items()})
    if split == "testing":
        cases = listed.testing
    elif split == "training":
        cases = listed.training
    elif split.startswith("fold ") and split[5:].strip().isdigit():
        cases = listed.split(int(split[5:]))[1]
    else:
        raise DataListError(f"no split {split!r}: there is testing, training, and 'fold N'")
    if not cases:
        raise DataListError(f"{listed.path}: split {split!r} has no labelled case")
    if not any(case.marked_classes(run.classes) for case in cases):
        values = ", ".join(map(str, sorted(run.classes)))
        raise DataListError(
            f"{listed.path}: nobody marked any of the labels {values} in these {len(cases)} cases, so there is nothing "
            "to score; look at 'annotated' in the list"
        )
    return cases
