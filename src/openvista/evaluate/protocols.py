"""The protocols by name; protocol ``auto``, which is short, as well."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from openvista.errors import InputError, ModelError
from openvista.evaluate.challenge import run_challenge
from openvista.evaluate.clicks import run_clicks, run_corrections, run_zero_shot
from openvista.evaluate.labelled_scan import LabelledScan
from openvista.evaluate.meter import Meter
from openvista.evaluate.oracle import run_corrected, run_point_oracle
from openvista.evaluate.protocol import Answers, Protocol, ProtocolSettings, ScoredAnswer
from openvista.evaluate.sam2 import Sam2Card, run_slices
from openvista.model import Model
from openvista.weights import ModelCard


def run_automatic(model: Model, labelled: LabelledScan, settings: ProtocolSettings, meter: Meter) -> Answers:
    """Every class of the data list is prompted in every case, whether or not it is there.

    A voxel belongs to one class, so where the data list has an organ and its tumour, the organ is scored without the
    tumour. A group, such as both kidneys, is all that was found of its parts.
    """
    with meter.on():
        labels_XYZ = model.segment(labelled.scan, settings.class_ids, profile=settings.profile).labels
    for structure in labelled.structures:
        parts = model.vocabulary.expand([structure.class_id])
        yield ScoredAnswer(structure, np.isin(labels_XYZ, parts), None, meter.seconds)


_ALL = (
    Protocol("auto", "class prompts only", run_automatic, ("automatic",)),
    Protocol(
        "clicks",
        "one object at a time, first click in its middle, each next one in the largest error; the value after n clicks",
        run_clicks,
        ("point",),
        clicks=(1, 3, 5, 10),
        overlapping=True,
    ),
    Protocol(
        "corrections",
        "class prompts, then one object at a time, each click in the largest error; the value after n clicks",
        run_corrections,
        ("automatic", "point"),
        clicks=(1, 3, 5),
    ),
    Protocol(
        "zero-shot-iterative",
        "the same clicks on objects whose class the model is not told",
        run_zero_shot,
        ("point",),
        clicks=(1, 5, 10, 20, 40, 80),
        variants=("best-so-far", "blank-slices", "sliding-windows"),
        overlapping=True,
    ),
    Protocol(
        "cvpr25",
        "the CVPR 2025 challenge's: a box per structure, then five times a click in the largest error of each; all "
        "structures at once, none named",
        run_challenge,
        ("point",),
        clicks=(1, 2, 3, 4, 5),
    ),
    Protocol(
        "sam2-iterative",
        "SAM 2 on slices as a video: up to four clicks on the structure's middle slice, then up to three on the worst "
        "slice, again and again; n is the number of slices clicked on",
        run_slices,
        ("video",),
        clicks=(1, 2, 4, 8),
        variants=("best-so-far", "no-background"),
        family="sam2",
        overlapping=True,
    ),
    Protocol(
        "point-oracle",
        "one click in the middle of each structure in each window, placed from the truth",
        run_point_oracle,
        ("point",),
        oracle=True,
        overlapping=True,
    ),
    Protocol(
        "auto+point-oracle",
        "class prompts, corrected by up to three rounds of clicks in each window, the best kept by the truth",
        run_corrected,
        ("automatic", "point"),
        oracle=True,
    ),
)

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({protocol.name: protocol for protocol in _ALL})


def find_protocol(name: str) -> Protocol:
    """A protocol by name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in PROTOCOLS:
        raise InputError(f"no protocol {name!r}: there is {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def check_model(protocol: Protocol, card: ModelCard | Sam2Card, new_names: Mapping[int, str]) -> None:
    """Make sure that a model can be asked in this way.

    Args:
        protocol: the way.
        card: of the model.
        new_names: structures that it does not know.

    Raises:
        ModelError: it lacks a branch, or does not know what it is to be asked by class.
    """
    if new_names and "automatic" in protocol.branches:
        names = ", ".join(new_names.values())
        raise ModelError(f"protocol {protocol.name} asks by class, but model {card.name!r} does not know {names}")
    if missing := [branch for branch in protocol.branches if branch not in card.branches]:
        raise ModelError(
            f"protocol {protocol.name} needs the {' and the '.join(missing)} branch, which model {card.name!r} "
            f"does not have; choose another model or protocol"
        )
