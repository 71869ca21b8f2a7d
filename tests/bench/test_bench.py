"""The benchmark itself: it says something of every part, and both sides do the same work."""

import statistics
from dataclasses import replace

import pytest
import torch

pytest.importorskip("monai")

from openvista.bench.chart import draw_chart
from openvista.bench.contest import Contest, Sizes, body_scan, smooth_scan
from openvista.bench.figures import BenchResult, describe_machine
from openvista.bench.parts import PARTS, OurSteps, agreement, training_batch, training_recipe
from openvista.bench.peer import PeersLearner
from openvista.bench.rounds import ratios, slope, take_turns
from openvista.bench.run_parts import ALL_PARTS, run_parts
from openvista.bench.scaling import scaling

SMALL = Sizes(filters=8, blocks=(1, 1), window=16, shape=(20, 18, 17), classes=4)


@pytest.fixture(scope="module")
def contest() -> Contest:
    return Contest(SMALL, None, "cpu")


@pytest.mark.parametrize(
    ("part", "kinds"), [("window", 1), ("everything", 1), ("click", 2), ("training", 1)], ids=lambda one: str(one)
)
def test_every_part_has_rows_with_ratios(contest, part, kinds):
    rows = PARTS[part](contest, 1)
    assert len(rows) == kinds
    for row in rows:
        assert row.part == part
        assert all(len(seconds) == 1 for seconds in row.seconds.values())
        assert {ratio.peer for ratio in row.ratios} >= {"peer float32"}
        assert all(0 < ratio.least <= ratio.median <= ratio.most for ratio in row.ratios)


def test_the_peer_gives_our_labels_on_equal_weights(contest):
    same = agreement(contest)
    assert same.equal_choices >= 0.999
    assert same.as_it_runs > 0.9
    assert same.foreground > 0.2


def test_first_losses_are_equal(contest):
    recipe, batch = training_recipe(contest), training_batch(contest)
    ours = OurSteps(contest, recipe, torch.float32).step(*batch)
    peer = PeersLearner(contest.peers_network(), 1e-4, 1e-5, 1.0).step(*batch, torch.float32)
    assert ours == pytest.approx(peer, rel=1e-4)


def test_a_result_is_read_back_and_drawn(contest, tmp_path):
    begun = []
    result = run_parts(contest, ["agreement", "window"], 2, begun.append)
    assert begun == ["window", "agreement"]
    assert BenchResult.model_validate_json(result.model_dump_json()) == result
    assert result.agreement is not None
    assert not result.slopes
    draw_chart(result, tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").read_bytes().startswith(b"\x89PNG")


def test_slopes_over_classes_voxels_and_windows():
    found = scaling(Contest(replace(SMALL, classes=2), None, "cpu"), 1)
    ways = {one.way for one in found}
    assert ways >= {"ours best", "peer float32"}
    assert [one.against for one in found if one.way == "ours best"] == ["classes", "million voxels", "windows"]
    for one in found:
        assert len(one.sizes) == len(one.seconds) >= 2
        if one.against == "windows":
            assert one.sizes == sorted(set(one.sizes))


def test_ways_take_turns_and_ratios_are_of_a_round():
    order = []

    def way(name):
        def run(watch):
            with watch.timing("work"):
                order.append(name)

        return run

    (row,) = take_turns("part", {"peer": way("peer"), "ours": way("ours")}, 2, torch.device("cpu"))
    assert order == ["peer", "ours"] * 3
    assert [len(seconds) for seconds in row.seconds.values()] == [2, 2]
    (ratio,) = ratios({"ours": [1.0, 2.0, 4.0], "peer": [3.0, 4.0, 4.0]})
    assert (ratio.least, ratio.median, ratio.most) == (1.0, 2.0, 3.0)
    line = slope("ours", "classes", [1, 2, 3], [5.0, 7.0, 9.0])
    assert (line.per_unit, line.fixed) == pytest.approx((2, 3))


def test_made_up_scans_and_machine():
    body, smooth = body_scan((40, 30, 6), (1.0, 1.0, 2.0)), smooth_scan((12, 12, 12), (1.0, 1.0, 1.0))
    assert body.voxels[0, 0].max() < -900 < 0 < body.voxels[20, 15].mean()
    assert smooth.voxels.min() > 0
    machine = describe_machine(torch.device("cpu"))
    assert machine.cores >= 1
    assert machine.versions["monai"]
    assert statistics.median([machine.threads]) >= 1


def test_all_parts_can_be_named():
    assert set(ALL_PARTS) == {*PARTS, "agreement", "scaling"}
