"""Protocol ``auto`` with the starter: only annotated structures count, only where they are known."""

from dataclasses import replace

import pytest

from openvista.datalist import read_datalist
from openvista.evaluate.labelled_scan import read_case
from openvista.evaluate.protocols import find_protocol
from openvista.evaluate.run import evaluate_case, plan_run
from openvista.model import load_model

SPINAL_CORD = 121
CLASSES = {1: 133, 2: SPINAL_CORD, 3: 134, 4: 135, 5: 11, 6: 136, 7: 137}


@pytest.fixture(scope="module")
def case(example_datalist):
    return read_datalist(example_datalist).training[0]


@pytest.fixture(scope="module")
def record(case):
    run = plan_run(find_protocol("auto"), CLASSES, range_limited=[2, 5])
    return evaluate_case(load_model("starter", device="cpu"), case, run)


def test_the_starter_finds_every_structure_of_a_case_it_was_not_trained_on(record):
    assert {score.class_id for score in record.scores} == set(CLASSES.values())
    for score in record.scores:
        assert score.dice > 0.3
        assert score.nsd > 0.25
        if score.class_id != SPINAL_CORD:  # sometimes found in the shoulders too, far away
            assert score.hd95_mm < 25
        assert abs(score.volume_error_percent) < 70
    assert sum(score.dice for score in record.scores) / len(CLASSES) > 0.6


def test_time_and_memory_are_those_of_the_model(record):
    assert record.seconds == max(score.seconds for score in record.scores) > 0
    assert record.peak_mb > 100
    assert record.gpu_peak_mb is None


def test_structures_nobody_annotated_are_not_scored(case):
    partial = replace(case, annotated=frozenset({1, 7}))
    assert [structure.class_id for structure in read_case(partial, CLASSES).structures] == [133, 137]


def test_the_range_limits_only_structures_that_go_on_unmarked(case):
    limited = {s.class_id: s for s in read_case(case, CLASSES, range_limited=[2, 5]).structures}
    for class_id, structure in limited.items():
        assert (structure.open_axis == 2) == (class_id in (121, 11))
    first, last = case.label_slices[2]
    assert limited[121].region.slices()[2] == slice(first, last + 1)


def test_several_labels_can_be_one_class_if_all_are_annotated(case):
    both = CLASSES | {4: 134}
    labelled = read_case(case, both)
    parotids = next(structure for structure in labelled.structures if structure.class_id == 134)
    one = next(s for s in read_case(case, CLASSES).structures if s.class_id == 134)
    assert labelled.truth(parotids).sum() > labelled.truth(one).sum()
    partial = replace(case, annotated=case.annotated - {4})
    assert 134 not in {structure.class_id for structure in read_case(partial, both).structures}
