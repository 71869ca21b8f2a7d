"""Drawings of the report: places are those of the numbers, and what is not known is not drawn."""

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from openvista.evaluate.report.charts import curves, whisker
from openvista.evaluate.statistics import NO_VALUES, Statistic

SOME = Statistic(count=4, mean=0.5, median=0.5, low=0.25, high=0.75, worst=0.0)


def points(text):
    return [tuple(map(float, point.split(","))) for point in text.split()]


def at(mean, **others):
    return replace(SOME, mean=mean, **others)


def drawing(lines, mean):
    """The drawing and its legend; names of classes to elements."""
    figure = ElementTree.fromstring(f"<all>{curves(lines, mean, 'Dice')}</all>")
    return {element.get("class"): element for element in figure.iter() if element.get("class")}, figure


def test_a_whisker_is_a_scale_from_0_to_1():
    marks = {mark.get("class"): mark for mark in ElementTree.fromstring(whisker(SOME))}
    left, right = float(marks["scale"].get("x1")), float(marks["scale"].get("x2"))
    assert float(marks["worst"].get("x1")) == left
    assert float(marks["mean"].get("cx")) == (left + right) / 2
    assert float(marks["interval"].get("x")) == left + (right - left) / 4
    assert float(marks["interval"].get("width")) == (right - left) / 2
    best = {mark.get("class"): mark for mark in ElementTree.fromstring(whisker(replace(SOME, worst=1.0)))}
    assert float(best["worst"].get("x1")) == right


def test_a_whisker_leaves_out_what_is_not_known():
    one = replace(SOME, count=1, low=math.nan, high=math.nan)
    assert [mark.get("class") for mark in ElementTree.fromstring(whisker(one))] == ["scale", "mean"]
    assert whisker(NO_VALUES) == ""


def test_curves_are_straight_in_clicks_and_value_and_the_band_goes_there_and_back():
    mean = [(clicks, at(0.2 * clicks, low=0.2 * clicks - 0.1, high=0.2 * clicks + 0.1)) for clicks in (1, 2, 4)]
    parts, _ = drawing({}, mean)
    line, band = points(parts["mean-line"].get("points")), points(parts["band"].get("points"))
    (x1, y1), (x2, y2), (x4, y4) = line
    assert x4 - x2 == pytest.approx(2 * (x2 - x1), abs=0.2)
    assert y4 - y2 == pytest.approx(2 * (y2 - y1), abs=0.2)
    assert [x for x, _ in band] == [x1, x2, x4, x4, x2, x1]
    for (_, y), (_, low), (_, high) in zip(line, band[:3], band[:2:-1], strict=True):
        assert high < y < low  # in a picture, up is less
        assert y == pytest.approx((low + high) / 2, abs=0.1)


def test_numbers_of_clicks_without_a_value_are_left_out_of_their_line():
    lines = {"liver": [(1, at(0.4)), (3, NO_VALUES), (5, at(0.6))]}
    mean = [(clicks, at(0.5)) for clicks in (1, 3, 5)]
    _, figure = drawing(lines, mean)
    (group,) = figure.iter("g")
    assert len(points(group.find("polyline").get("points"))) == len(group.findall("circle")) == 2
    assert "nan" not in ElementTree.tostring(figure, "unicode")


def test_names_are_text_and_colours_the_legends():
    lines = {name: [(1, at(0.4))] for name in ("b <i>", "a & c")}
    _, figure = drawing(lines, [(1, at(0.5))])
    groups = {group.find("title").text: group.find("polyline").get("stroke") for group in figure.iter("g")}
    assert list(groups) == ["a & c", "b <i>"]
    spans = {span[0].tail: span[0].get("style") for span in figure.iter("span") if len(span) and span[0].get("style")}
    assert spans == {name: f"background:{colour}" for name, colour in groups.items()}
    assert len(set(groups.values())) == 2


@pytest.mark.parametrize(("count", "different"), [(10, 10), (11, 1)])
def test_more_structures_than_colours_look_alike(count, different):
    lines = {f"structure {number}": [(1, at(0.4))] for number in range(count)}
    text = curves(lines, [(1, at(0.5))], "Dice")
    strokes = re.findall(r'<polyline points="[^"]*" (stroke="[^"]+")', text)
    assert len(strokes) == count
    assert len(set(strokes)) == different
    assert (f"{count} structures" in text) == (different == 1)
