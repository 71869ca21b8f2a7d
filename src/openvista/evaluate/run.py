"""A run: cases in, scores out. Deterministic for a seed, whatever the order and the number of processes."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import torch

from openvista._version import __version__
from openvista.anatomy.vocabulary import Vocabulary
from openvista.datalist import Case, DataList, LabelMapping, map_labels
from openvista.distributed import Ranks
from openvista.errors import DataListError, InputError
from openvista.evaluate.labelled_scan import LabelledScan, read_case
from openvista.evaluate.meter import Meter
from openvista.evaluate.protocol import JudgedModel, Protocol, ProtocolSettings, ScoredAnswer
from openvista.evaluate.protocols import check_model
from openvista.evaluate.report.pictures import WorstPictures
from openvista.evaluate.run_folder import PICTURES, EvaluationFolder, RunInfo
from openvista.evaluate.sam2 import Sam2Card
from openvista.evaluate.score import DEFAULT_SCORING, CaseRecord, Score, Scoring
from openvista.inference.profiles import find_profile
from openvista.metrics.masks import DEFAULT_TOLERANCE_MM, check_tolerance
from openvista.weights import ModelCard
from openvista.weights.registry import sha256_of

logger = logging.getLogger(__name__)

Look = Callable[[LabelledScan, ScoredAnswer, Score], None]
"""Told about every scored answer, for pictures."""
Done = Callable[[str], None]
"""Told the name of every finished case."""


@dataclass(frozen=True)
class Run:
    """What is done with every case.

    Attributes:
        protocol: how the model is asked.
        settings: the protocol's choices.
        classes: label value of the data list to class id of the model.
        range_limited: label values scored only between a case's ``label_slices``.
        scoring: how masks are judged.
        names: class id to name, for every class of the run.
    """

    protocol: Protocol
    settings: ProtocolSettings
    classes: Mapping[int, int]
    range_limited: Collection[int] = ()
    scoring: Scoring = DEFAULT_SCORING
    names: Mapping[int, str] = field(default_factory=dict)


def plan_run(
    protocol: Protocol,
    classes: Mapping[int, int],
    range_limited: Collection[int] = (),
    scoring: Scoring = DEFAULT_SCORING,
    **choices: object,
) -> Run:
    """A run with the usual settings; ``choices`` are fields of :class:`openvista.evaluate.protocol.ProtocolSettings`.

    Raises:
        InputError: clicks or variants that do not exist, or that the protocol does not have.
    """
    choices = {"clicks": protocol.clicks} | choices
    settings = ProtocolSettings(class_ids=tuple(sorted(set(classes.values()))), **choices)  # type: ignore[arg-type]
    for what, given, possible in (
        ("clicks", settings.clicks, protocol.clicks),
        ("habits", settings.variants, protocol.variants),
    ):
        if given and not possible:
            raise InputError(f"protocol {protocol.name} has no {what}: leave them out")
    if unknown := sorted(settings.variants - set(protocol.variants)):
        raise InputError(f"no habit {unknown[0]!r}: there is {', '.join(protocol.variants)}")
    return Run(protocol, settings, classes, range_limited, scoring)


def plan_for_model(
    card: ModelCard | Sam2Card,
    listed: DataList,
    protocol: Protocol,
    mapping: Sequence[str] = (),
    only_in_slices: str = "",
    tolerances: Sequence[str] = (),
    surface: str = "elements",
    **choices: object,
) -> Run:
    """A run on a data list, from what a user writes; everything is checked before weights are read.

    Args:
        card: of the model.
        listed: the data list.
        protocol: how the model is asked.
        mapping: "LABEL=CLASS", for labels that are not found by name.
        only_in_slices: names of classes scored only between a case's ``label_slices``.
        tolerances: of NSD, "MM" or "CLASS=MM".
        surface: definition of surface.
        choices: as for :func:`plan_run`.

    Raises:
        InputError: something that does not exist, or that the protocol does not have.
        ModelError: the model cannot be asked in this way.
    """
    find_profile(str(choices.get("profile", "best")))
    vocabulary = Vocabulary(card.class_ids, card.extra_classes, card.extra_aliases, model_name=card.name)
    labels = map_labels(listed, mapping, vocabulary)
    check_model(protocol, card, labels.new_names)
    extra = {**card.extra_classes, **labels.new_names}  # options may name what the mapping has just named
    asked = Vocabulary({*card.class_ids, *labels.new_names}, extra, card.extra_aliases, model_name=card.name)
    limited_ids = asked.expand(only_in_slices) if only_in_slices else []
    limited = [value for value, class_id in labels.classes.items() if class_id in limited_ids]
    run = plan_run(protocol, labels.classes, limited, _scoring(labels, asked, tolerances, surface), **choices)
    return replace(run, names={class_id: asked.name(class_id) for class_id in run.settings.class_ids})


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


def choose_cases(listed: DataList, split: str, run: Run) -> tuple[Case, ...]:
    """The cases of a split; labels that the list does not name are called as the run calls them.

    Args:
        listed: the data list.
        split: "testing", "training", or "fold N".
        run: what is to be scored.

    Raises:
        DataListError: there is no such split, it holds no labelled case, or nobody marked a structure of the run in it.
    """
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


def describe_run(
    card: ModelCard | Sam2Card,
    precision: str,
    listed: DataList,
    split: str,
    cases: Sequence[Case],
    run: Run,
    command: str,
) -> RunInfo:
    """What is told with the results.

    Args:
        card: of the model.
        precision: how it computes.
        listed: the data list, and ``split``, as it was asked for, of it.
        cases: those of the split.
        run: what is done with them.
        command: that asked for it.
    """
    return RunInfo(
        command=command,
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
        version=__version__,
        model=card.name,
        weights_sha256=card.weights_sha256,
        precision=precision,
        datalist=listed.path.name,
        datalist_sha256=sha256_of(listed.path),
        split=split,
        cases=tuple(case_names(cases)),
        protocol=run.protocol.name,
        oracle=run.protocol.oracle,
        profile=run.settings.profile,
        seed=run.settings.seed,
        clicks=run.settings.clicks,
        habits=tuple(sorted(run.settings.variants)),
        tolerance_mm=run.scoring.tolerance_mm,
        tolerances=dict(run.scoring.tolerances),
        surface=run.scoring.surface,
        only_in_slices=tuple(sorted({run.classes[value] for value in run.range_limited})),
        names=dict(run.names),
        classes=dict(run.classes),
    )


def case_names(cases: Sequence[Case]) -> dict[str, Case]:
    """Cases by name; where files of several folders share one, the folder's name goes before it.

    Further alike ones get a number, so that every case has a name of its own.
    """
    alike = Counter(case.name for case in cases)
    named: dict[str, Case] = {}
    for case in cases:
        name = case.name if alike[case.name] == 1 else f"{case.image.parent.name}/{case.name}"
        number = 2
        unique = name
        while unique in named:
            unique, number = f"{name} ({number})", number + 1
        named[unique] = case
    return named


def own_device(device: str, ranks: Ranks) -> str:
    """With several processes on a machine, each takes a GPU of its own, unless the user named a device."""
    if device != "auto" or ranks.local_rank is None or not torch.cuda.is_available():
        return device
    return f"cuda:{ranks.local_rank % torch.cuda.device_count()}"


def evaluate_case(model: JudgedModel, case: Case, run: Run, name: str = "", look: Look | None = None) -> CaseRecord:
    """Ask about one case and score the answers.

    Args:
        model: the model to judge.
        case: from a data list.
        run: what to do.
        name: of the case, instead of the file's.
        look: told about every scored answer.

    Raises:
        ScanError: a file that cannot be read.
        DataListError: labels do not lie on the grid of their scan.
    """
    labelled = read_case(case, run.classes, run.range_limited, name, run.protocol.overlapping)
    meter = Meter(model.device)
    scores = []
    for answer in run.protocol.run_case(model, labelled, run.settings, meter):
        score = run.scoring.score(labelled, answer.structure, answer.mask_XYZ, answer.clicks, answer.seconds)
        scores.append(score)
        if look is not None:
            look(labelled, answer, score)
    logger.info("%s: %d answers in %.1f s", labelled.name, len(scores), meter.seconds)
    return CaseRecord(labelled.name, meter.seconds, meter.peak_mb, meter.gpu_peak_mb, tuple(scores))


def evaluate_cases(
    model: JudgedModel, cases: Mapping[str, Case], run: Run, folder: EvaluationFolder | None, done: Done
) -> tuple[CaseRecord, ...] | None:
    """All cases of a run, shared by its processes where there is a folder to meet in.

    Args:
        model: the model to judge.
        cases: all of the run, by name.
        run: what to do.
        folder: of the run; ``None``: nothing is kept, and this process does all.
        done: told about each case of this process.

    Returns:
        The records of all cases, in the order of the data list; ``None`` in all processes but the first.
    """
    if folder is None:
        records = []
        for name, case in cases.items():
            records.append(evaluate_case(model, case, run, name))
            done(name)
        return tuple(records)
    work_in_folder(folder, model, cases, run, done)
    if not folder.ranks.is_first:
        return None
    folder.wait_for_others()
    return tuple(folder.records())


def work_in_folder(
    folder: EvaluationFolder, model: JudgedModel, cases: Mapping[str, Case], run: Run, done: Done = lambda _: None
) -> None:
    """Do what this process has to do and nobody has done yet, each case kept as soon as it is finished.

    Args:
        folder: of the run; it knows which process this is.
        model: the model to judge.
        cases: all of the run, by name.
        run: what to do.
        done: told about each case of this process, the earlier finished ones as well.
    """
    mine, finished = folder.ranks.share(tuple(cases)), folder.finished()
    earlier = [record for record in folder.records() if record.case in mine]
    pictures = WorstPictures(folder.path / PICTURES, folder.info.last_clicks, earlier)
    for name in mine:
        if name not in finished:
            folder.append(evaluate_case(model, cases[name], run, name, pictures.look))
        done(name)
