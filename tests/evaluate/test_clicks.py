"""The loop of user and answer, the paper's variants, and both protocols with a tiny random network."""

import numpy as np
import pytest
import torch

from openvista.datalist import read_datalist
from openvista.evaluate.clicks import PaperVariant, _ClickedWindows, click_structure, next_click, run_clicks
from openvista.evaluate.labelled_scan import LabelledScan, Structure, read_case
from openvista.evaluate.meter import Meter
from openvista.evaluate.protocol import ProtocolSettings
from openvista.evaluate.protocols import PROTOCOLS, find_protocol
from openvista.evaluate.run import evaluate_case, plan_run
from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.metrics.masks import dice
from openvista.scan import Scan
from openvista.session.merge import VoxelClick
from openvista.simulate.user import first_user_click, next_user_click
from small_evaluation import CLASSES, tiny_model, write_cases

SHAPE = (20, 18, 16)
WHOLE = Box.whole(SHAPE)
GRID = Grid(SHAPE, np.diag([1.0, 1.0, 2.0, 1.0]))


def labelled(region=WHOLE):
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:9, 4:12, 5:12] = 4
    labels[12:17, 6:10, 5:9] = 4
    scan = Scan(np.zeros(SHAPE, np.int16), GRID)
    return LabelledScan("made-up", scan, labels, (Structure((4,), 1, region),))


def run(case, respond, clicks=(1, 2, 4), variants=()):
    settings = ProtocolSettings(class_ids=(1,), clicks=clicks, variants=frozenset(v.value for v in variants))
    meter = Meter(torch.device("cpu"))
    return list(click_structure(case, case.structures[0], settings, meter, respond))


def painter(radius=3):
    """Whoever answers with balls around the clicks: right in places, wrong in others, and it notes the clicks."""
    mask, clicks = np.zeros(SHAPE, bool), []

    def respond(click):
        nonlocal mask
        clicks.append(click)
        distance = np.linalg.norm(np.indices(SHAPE).T - np.array(click.voxel), axis=-1).T
        ball = distance <= radius
        mask = mask | ball if click.positive else mask & ~ball
        return mask

    return respond, clicks


def test_the_first_click_is_in_the_middle_and_the_next_where_most_is_wrong():
    respond, clicks = painter()
    answers = run(labelled(), respond)
    assert [answer.clicks for answer in answers] == [1, 2, 4]
    assert len(clicks) == 4
    first, second, *_ = clicks
    assert first.positive
    assert labelled().labels_XYZ[first.voxel] == 4
    assert 3 < first.voxel[0] < 8  # the larger of its two parts
    truth = labelled().labels_XYZ == 4
    assert truth[second.voxel] == second.positive
    assert answers[0].mask_XYZ[second.voxel] != second.positive


def test_the_value_at_n_is_not_the_best_so_far_unless_asked():
    truth = labelled().labels_XYZ == 4
    masks = [truth & (np.indices(SHAPE)[0] < 8), truth & (np.indices(SHAPE)[0] < 5), truth]

    def respond_with(queue):
        return lambda _: queue.pop(0)

    plain = run(labelled(), respond_with(list(masks)), clicks=(1, 2, 3))
    values = [dice(answer.mask_XYZ, truth) for answer in plain]
    assert values[1] < values[0] < values[2] == 1
    best = run(labelled(), respond_with(list(masks)), clicks=(1, 2, 3), variants=[PaperVariant.BEST])
    assert [dice(answer.mask_XYZ, truth) for answer in best] == [values[0], values[0], 1]


def test_a_satisfied_user_stops_and_the_answer_stays():
    truth, asked = labelled().labels_XYZ == 4, []

    def respond(click):
        asked.append(click)
        return truth

    answers = run(labelled(), respond, clicks=(1, 3, 10))
    assert len(asked) == 1
    assert [answer.clicks for answer in answers] == [1, 3, 10]
    assert all(answer.mask_XYZ is truth for answer in answers)


def test_corrections_begin_with_the_largest_error_of_the_start():
    truth, asked = labelled().labels_XYZ == 4, []

    def respond(click):
        asked.append(click)
        return truth

    settings, meter = ProtocolSettings(class_ids=(1,), clicks=(1, 2)), Meter(torch.device("cpu"))
    case = labelled()
    (first, _) = click_structure(case, case.structures[0], settings, meter, respond, np.ones(SHAPE, bool))
    assert [click.positive for click in asked] == [False]
    assert first.mask_XYZ is truth
    (first, _) = click_structure(case, case.structures[0], settings, meter, respond, truth)
    assert len(asked) == 1, "nothing is wrong: nobody clicks"
    assert first.mask_XYZ is truth


def test_corrections_start_from_the_automatic_result(cases, model):
    first = evaluate_case(model, cases[0], plan_run(find_protocol("corrections"), CLASSES, clicks=(1, 2)))
    assert [(score.class_id, score.clicks) for score in first.scores] == [(i, n) for i in (1, 3) for n in (1, 2)]
    case = read_case(cases[0], CLASSES)
    session = model.open(case.scan)
    session.segment([1, 3])
    for structure, score in zip(case.structures, first.scores[::2], strict=True):
        truth, before = case.truth(structure), session.mask(structure.class_id)
        assert before.any()
        voxel, positive = next_user_click(truth, before, case.scan.grid.spacing)
        session.click(voxel, structure.class_id, positive)
        assert score.dice == dice(session.mask(structure.class_id), truth) != dice(before, truth)


def test_the_same_place_is_not_clicked_twice():
    asked = []

    def deaf(click):
        asked.append(click)
        return np.zeros(SHAPE, bool)

    run(labelled(), deaf, clicks=(10,))
    assert len(asked) == len(set(asked)) == 2  # once into each part; then there is nothing left to try
    truth = labelled().labels_XYZ == 4
    assert next_click(truth, np.zeros(SHAPE, bool), GRID.spacing, asked) is None


def test_only_the_region_is_seen_and_scored():
    region = Box((0, 0, 6), (20, 18, 9))
    asked = []

    def respond(click):
        asked.append(click)
        mask = np.ones(SHAPE, bool)
        mask[:, :, 6:9] = labelled().labels_XYZ[:, :, 6:9] == 4
        return mask

    answers = run(labelled(region), respond, clicks=(1, 2))
    assert len(asked) == 1
    assert 6 <= asked[0].voxel[2] < 9
    assert answers[-1].mask_XYZ[0, 0, 0]


def test_blanked_slices_are_empty_before_the_next_click():
    asked = []

    def respond(click):
        asked.append(click)
        mask = labelled().labels_XYZ == 4
        mask[3:8, 4:12, 13:16] = True  # wrong, in slices without truth
        return mask

    assert not run(labelled(), respond, clicks=(1, 2), variants=[PaperVariant.BLANK])[-1].mask_XYZ[:, :, 12:].any()
    assert len(asked) == 1
    run(labelled(), respond, clicks=(1, 2))
    assert asked[-1].positive is False


def test_a_structure_that_is_not_there_is_not_clicked():
    case = labelled()
    absent = LabelledScan("x", case.scan, case.labels_XYZ, (Structure((9,), 1, case.structures[0].region),))
    assert run(absent, None) == []


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
    assert [name for name, one in PROTOCOLS.items() if not one.overlapping] == [
        "auto",
        "corrections",
        "cvpr25",
        "auto+point-oracle",
    ]


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
