"""A run: cases in, scores out. Deterministic for a seed, whatever the order and the number of processes."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from openvista._version import __version__
from openvista.datalist import Case, DataList
from openvista.errors import InputError
from openvista.evaluate.labelled_scan import LabelledScan, read_case
from openvista.evaluate.meter import Meter
from openvista.evaluate.protocol import JudgedModel, Protocol, ProtocolSettings, ScoredAnswer
from openvista.evaluate.report.pictures import WorstPictures
from openvista.evaluate.run_folder import PICTURES, EvaluationFolder, RunInfo
from openvista.evaluate.sam2 import Sam2Card
from openvista.evaluate.score import DEFAULT_SCORING, CaseRecord, Score, Scoring
from openvista.weights import ModelCard
from openvista.weights.card import sha256_of

logger = logging.getLogger(__name__)

Look = Callable[[LabelledScan, ScoredAnswer, Score], None]
"""Called with every scored answer, for pictures."""
Done = Callable[[str], None]
"""Called with the name of every finished case."""


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


def describe_run(
    card: ModelCard | Sam2Card,
    precision: str,
    listed: DataList,
    split: str,
    cases: Sequence[Case],
    run: Run,
    command: str,
) -> RunInfo:
    """What is reported with the results.

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


def evaluate_case(model: JudgedModel, case: Case, run: Run, name: str = "", look: Look | None = None) -> CaseRecord:
    """Ask about one case and score the answers.

    Args:
        model: the model to judge.
        case: from a data list.
        run: what to do.
        name: of the case, instead of the file's.
        look: called with every scored answer.

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


def work_in_folder(
    folder: EvaluationFolder, model: JudgedModel, cases: Mapping[str, Case], run: Run, done: Done = lambda _: None
) -> None:
    """Do what this process has to do and nobody has done yet, each case kept as soon as it is finished.

    Args:
        folder: of the run; it knows which process this is.
        model: the model to judge.
        cases: all of the run, by name.
        run: what to do.
        done: called with the name of each case of this process, also of those that were finished earlier.
    """
    mine, finished = folder.ranks.share(tuple(cases)), folder.finished()
    earlier = [record for record in folder.records() if record.case in mine]
    pictures = WorstPictures(folder.path / PICTURES, folder.info.last_clicks, earlier)
    for name in mine:
        if name not in finished:
            folder.append(evaluate_case(model, cases[name], run, name, pictures.look))
        done(name)
