"""The curves of a run are the numbers of its tables."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from openvista.train.curves import draw_curves


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Writes tables and gives the drawn axes by the label of their vertical one; ``None`` writes no table."""
    figures = []

    def keep(self, target, **_):
        figures.append(self)
        target.write_bytes(b"drawn")

    monkeypatch.setattr(Figure, "savefig", keep)

    def drawn(train, validation):
        for name, text in (("train", train), ("validation", validation)):
            if text is not None:
                (tmp_path / f"{name}.csv").write_text(text)
        draw_curves(tmp_path)
        assert (tmp_path / "curves.png").read_bytes() == b"drawn"
        return {axes.get_ylabel(): axes for axes in figures[-1].axes}

    return drawn


def steps(losses):
    return "step,learning_rate,loss\n" + "".join(
        f"{step},{0.1 / step},{loss}\n" for step, loss in enumerate(losses, start=1)
    )


def test_loss_and_learning_rate_are_drawn_over_steps(draw):
    axes = draw(steps([3.0, 1.0, 2.0]), None)
    loss, _ = axes["loss"].lines
    (rate,) = axes["learning rate"].lines
    assert loss.get_xydata().tolist() == [[1, 3], [2, 1], [3, 2]]
    assert rate.get_xdata().tolist() == [1, 2, 3]
    assert rate.get_ydata() == pytest.approx([0.1, 0.05, 0.1 / 3])


def test_the_bold_line_is_a_mean_over_a_fiftieth_of_the_run(draw):
    losses = np.random.default_rng(0).random(250)
    _, bold = draw(steps(losses), None)["loss"].lines
    expected = [losses[max(0, end - 5) : end].mean() for end in range(1, 251)]
    assert bold.get_ydata() == pytest.approx(expected)
    assert bold.get_xdata().tolist() == list(range(1, 251))


def test_each_class_has_its_line_and_the_mean_the_boldest(draw):
    axes = draw(None, "step,seconds,mean,liver,spleen\n10,1.5,0.5,0.25,0.75\n20,3.0,0.6,0.5,0.7\n")["validation Dice"]
    lines = {line.get_label(): line for line in axes.lines}
    assert {name: line.get_ydata().tolist() for name, line in lines.items()} == {
        "mean": [0.5, 0.6],
        "liver": [0.25, 0.5],
        "spleen": [0.75, 0.7],
    }
    assert max(lines, key=lambda name: lines[name].get_linewidth()) == "mean"
    assert lines["liver"].get_xdata().tolist() == [10, 20]
    assert axes.get_legend() is not None


def test_many_classes_have_no_legend(draw):
    names = [f"class {number}" for number in range(19)]
    text = f"step,seconds,{','.join(names)}\n1,1{',0.5' * len(names)}\n"
    axes = draw(None, text)["validation Dice"]
    assert len(axes.lines) == len(names)
    assert axes.get_legend() is None


@pytest.mark.parametrize("train", [None, "", "step,learning_rate,loss\n", steps([2.0]) + "2,0.1"])
def test_a_run_that_has_just_begun_or_died_while_it_wrote_has_a_picture(draw, train):
    axes = draw(train, "step,seconds,mean\n")
    assert not axes["validation Dice"].lines
    assert [len(line.get_xdata()) for line in axes["loss"].lines] == ([1, 1] if train and "2.0" in train else [])
