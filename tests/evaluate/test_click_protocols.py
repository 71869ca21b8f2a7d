"""Protocols with clicks at the session engine, with a tiny random network."""

import numpy as np
import pytest

from openvista.datalist import read_datalist
from openvista.errors import InputError
from openvista.evaluate.clicks import PaperVariant, _ClickedWindows, run_clicks
from openvista.evaluate.labelled_scan import read_case
from openvista.evaluate.meter import Meter
from openvista.evaluate.protocol import ProtocolSettings
from openvista.evaluate.protocols import PROTOCOLS, find_protocol
from openvista.evaluate.run import evaluate_case, plan_run
from openvista.session.merge import VoxelClick
from openvista.simulate.user import first_user_click
from small_evaluation import CLASSES, tiny_model, write_cases


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return read_datalist(write_cases(tmp_path_factory.mktemp("cases"))).testing


@pytest.fixture(scope="module")
def model():
    return tiny_model(seed=8)  # one of the random networks that find something at every click


def numbers(record):
    return [(score.class_id, score.clicks, score.dice, score.predicted_ml) for score in record.scores]


@pytest.mark.parametrize("name", ["clicks", "zero-shot-iterative"])
def test_every_structure_has_a_value_at_each_number_of_clicks_always_the_same(cases, model, name):
    run = plan_run(find_protocol(name), CLASSES, clicks=(1, 2, 3), profile="bundle")
    first, again = (evaluate_case(model, cases[0], run) for _ in range(2))
    assert [(score.class_id, score.clicks) for score in first.scores] == [(i, n) for i in (1, 3) for n in (1, 2, 3)]
    assert numbers(first) == numbers(again)
    for i in (1, 3):
        seconds = [score.seconds for score in first.scores if score.class_id == i]
        assert 0 < seconds[0] < seconds[1] < seconds[2]
    assert evaluate_case(model, cases[2], run).scores[-1].class_id == 1


def test_one_object_at_a_time_has_what_it_includes(cases):
    classes = {1: 1, 2: 26}  # liver and hepatic tumour
    alone, with_tumour = (read_case(cases[0], classes, overlapping=one) for one in (False, True))
    organ, tumour = (alone.truth(structure) for structure in alone.structures)
    assert organ.any()
    assert tumour.any()
    assert np.array_equal(with_tumour.truth(with_tumour.structures[0]), organ | tumour)
    assert np.array_equal(with_tumour.truth(with_tumour.structures[1]), tumour)
    unmarked = read_case(cases[2], classes, overlapping=True)
    assert [structure.values for structure in unmarked.structures] == [(1,)]
    assert [name for name, one in PROTOCOLS.items() if not one.overlapping] == ["auto", "cvpr25", "auto+point-oracle"]


def test_objects_do_not_influence_each_other(cases, model):
    both = evaluate_case(model, cases[0], plan_run(find_protocol("clicks"), CLASSES, clicks=(1, 2)))
    alone = evaluate_case(model, cases[0], plan_run(find_protocol("clicks"), {2: 3}, clicks=(1, 2)))
    assert numbers(both)[2:] == numbers(alone)


def test_special_classes_and_new_ones_are_asked_as_such(cases, model):
    supported, special, new = (
        numbers(
            evaluate_case(
                model, cases[0], plan_run(find_protocol("clicks"), {1: class_id}, clicks=(1,), profile="bundle")
            )
        )[0][3]
        for class_id in (1, 23, 200)
    )
    assert len({supported, special, new}) == 3


def test_the_mask_is_the_sessions_own_answer_to_the_same_clicks(cases, model):
    labelled = read_case(cases[0], CLASSES)
    settings = ProtocolSettings(class_ids=(1, 3), clicks=(1, 2))
    answer = next(run_clicks(model, labelled, settings, Meter(model.network.compute.device)))
    structure = labelled.structures[0]
    session = model.open(labelled.scan)
    session.click(first_user_click(labelled.truth(structure), labelled.scan.grid.spacing), "liver", automatic=False)
    assert np.array_equal(session.object("liver").mask, answer.mask_XYZ)


def test_variants_change_what_they_say(cases, model):
    def values(*variants):
        choices = {
            "clicks": (1, 2, 3),
            "variants": frozenset(variant.value for variant in variants),
            "profile": "bundle",
        }
        run = plan_run(find_protocol("zero-shot-iterative"), {1: 1}, **choices)
        return [score.dice for score in evaluate_case(model, cases[0], run).scores]

    plain, best, windows = values(), values(PaperVariant.BEST), values(PaperVariant.WINDOWS)
    assert best == np.maximum.accumulate(plain).tolist()
    assert windows != plain
    assert values(PaperVariant.WINDOWS) == windows


def test_in_sliding_windows_a_click_reaches_no_further_than_its_windows(cases, model):
    labelled = read_case(cases[0], CLASSES)
    windows = _ClickedWindows(model, labelled, "bundle")
    respond = windows.responder(labelled.structures[0])
    mask = respond(VoxelClick((2, 2, 2), True))
    reach = [windows.windows.plan.window[axis] * 2.0 / labelled.scan.grid.spacing[axis] for axis in range(3)]
    assert mask.any()
    assert all(np.argwhere(mask).max(axis=0) <= 2 + np.array(reach))


def test_protocols_without_clicks_take_none():
    with pytest.raises(InputError, match="no clicks"):
        plan_run(find_protocol("auto"), CLASSES, clicks=(1,))
    with pytest.raises(InputError, match="no habits"):
        plan_run(find_protocol("clicks"), CLASSES, variants=frozenset({"best-so-far"}))
