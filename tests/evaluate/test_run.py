"""What a run is planned to do, and the names of its cases."""

from dataclasses import replace

import pytest

from openvista.datalist import read_datalist
from openvista.errors import InputError
from openvista.evaluate.protocol import ProtocolSettings
from openvista.evaluate.protocols import find_protocol
from openvista.evaluate.run import case_names, plan_run
from small_evaluation import CLASSES, write_cases


def test_protocols_without_clicks_take_none():
    with pytest.raises(InputError, match="no clicks"):
        plan_run(find_protocol("auto"), CLASSES, clicks=(1,))
    with pytest.raises(InputError, match="no habits"):
        plan_run(find_protocol("clicks"), CLASSES, variants=frozenset({"best-so-far"}))


def test_unknown_variants_and_impossible_numbers():
    protocol = find_protocol("zero-shot-iterative")
    assert plan_run(protocol, {1: 1}, variants=frozenset(protocol.variants)).settings.variants == set(protocol.variants)
    with pytest.raises(InputError, match="magic"):
        plan_run(protocol, {1: 1}, variants=frozenset({"magic"}))
    for clicks in ((0, 1), (3, 1), (2, 2)):
        with pytest.raises(InputError, match="rise"):
            ProtocolSettings(class_ids=(1,), clicks=clicks)


def test_cases_of_one_name_are_told_apart(tmp_path):
    case = read_datalist(write_cases(tmp_path)).testing[0]
    other = replace(case, image=case.image.parent.parent / "b" / case.image.name)
    names = list(case_names([case, other, other]))
    assert len(set(names)) == 3
    assert names[1].startswith("b/")
