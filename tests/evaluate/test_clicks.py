"""The loop of user and answer: what the user sees, when it stops, and the paper's variants."""

import numpy as np
import pytest
import torch

from openvista.errors import InputError
from openvista.evaluate.clicks import PaperVariant, click_structure, next_click
from openvista.evaluate.labelled_scan import LabelledScan, Structure
from openvista.evaluate.meter import Meter
from openvista.evaluate.protocol import ProtocolSettings
from openvista.evaluate.protocols import find_protocol
from openvista.evaluate.run import plan_run
from openvista.geometry.box import Box
from openvista.geometry.grid import Grid
from openvista.metrics.masks import dice
from openvista.scan import Scan

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


def test_unknown_variants_and_impossible_numbers():
    protocol = find_protocol("zero-shot-iterative")
    assert plan_run(protocol, {1: 1}, variants=frozenset(protocol.variants)).settings.variants == set(protocol.variants)
    with pytest.raises(InputError, match="magic"):
        plan_run(protocol, {1: 1}, variants=frozenset({"magic"}))
    for clicks in ((0, 1), (3, 1), (2, 2)):
        with pytest.raises(InputError, match="rise"):
            ProtocolSettings(class_ids=(1,), clicks=clicks)
