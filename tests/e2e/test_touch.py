"""The viewer by fingers, at the size of a tablet: Chromium's touch events, not a tablet."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from viewer import visiting

TOOLS = ["navigate", "click", "box", "scribble", "lasso", "brush", "ruler", "angle", "ellipse"]
DRAWN = ".contour, .scribble, .stroke, .brush, .measure, .mark, .box-actions:not([hidden])"
LYING = {"width": 1024, "height": 700}
UPRIGHT = {"width": 820, "height": 1180}
LEAST = 32
"""CSS pixels of what a finger hits."""
TOO_SMALL = """(least) => [...document.querySelectorAll('button, summary, select, input')].flatMap((one) => {
  const { width, height, left, right, bottom } = one.getBoundingClientRect();
  const inLabel = one.type === 'checkbox' && one.closest('label').getBoundingClientRect().height >= least;
  if (!one.checkVisibility() || inLabel) return [];
  const outside = left < 0 || right > innerWidth || bottom > innerHeight;
  return width < least || height < least || outside ? [`${one.outerHTML.slice(0, 90)}: ${width} ${height}`] : [];
})"""
Place = tuple[float, float]


class Hand:
    """Fingers on a page, as the browser hears of them."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._devtools = viewer.page.context.new_cdp_session(viewer.page)

    def touch(self, kind: str, *fingers: Place, first: int = 0) -> None:
        """Start and Move name all fingers, the first by its number; End those that are lifted, none for all."""
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers, first)]
        self._devtools.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})

    def pen(self, kind: str, place: Place) -> None:
        pressed = {"button": "left", "buttons": int(kind != "Released"), "clickCount": int(kind != "Moved")}
        at = {"type": f"mouse{kind}", "x": place[0], "y": place[1], "pointerType": "pen"}
        self._devtools.send("Input.dispatchMouseEvent", {**at, **pressed})

    def tap(self, place: Place) -> None:
        self._viewer.page.touchscreen.tap(*place)
        self._viewer.wait_until_idle()

    def draw(self, places: Sequence[Place], steps: int = 6) -> None:
        """One finger down at the first place, through the others, and up."""
        self.touch("Start", places[0])
        for start, stop in pairwise(places):
            for part in range(1, steps + 1):
                self.touch("Move", between(start, stop, part / steps))
        self.touch("End")
        self._viewer.wait_until_idle()

    def pinch(self, one: Sequence[Place], two: Sequence[Place], steps: int = 10) -> None:
        """Two fingers, down one after the other, each from its first place to its second; then up, one by one."""
        self.touch("Start", one[0])
        self.touch("Start", one[0], two[0])
        for part in range(1, steps + 1):
            self.touch("Move", between(*one, part / steps), between(*two, part / steps))
        self.touch("End", one[1])
        self.touch("Move", (two[1][0] + 30, two[1][1] + 10), first=1)  # what is left of two draws nothing
        self.touch("End")
        self._viewer.wait_until_idle()

    def spread(self, place: Place, start: float = 20, stop: float = 60) -> None:
        """Two fingers on both sides of a place go apart."""
        x, y = place
        self.pinch([(x - start, y), (x - stop, y)], [(x + start, y), (x + stop, y)])

    def think_again(self, place: Place) -> None:
        """A bow, and only then the second finger."""
        x, y = place
        self.touch("Start", place)
        for part in range(1, 6):
            self.touch("Move", (x + 8 * part, y + part**2))
        self.touch("Start", (x + 40, y + 25), (x + 40, y - 25))
        self.touch("End")
        self._viewer.wait_until_idle()


def between(start: Place, stop: Place, part: float) -> Place:
    return start[0] + (stop[0] - start[0]) * part, start[1] + (stop[1] - start[1]) * part


@pytest.fixture
def tablet(browser, address, small_ct) -> Iterator[Any]:
    """With a scan open."""
    with visiting(browser, address, viewport=LYING, has_touch=True) as viewer:
        viewer.open(small_ct)
        yield viewer


@pytest.fixture
def hand(tablet) -> Hand:
    return Hand(tablet)


def mm_of_scale_bar(viewer) -> float:
    """CSS pixels of a mm, by the scale bar of the axial plane."""
    viewer.wait_until_idle()
    bar = viewer.page.locator(".scale-bar").first
    x, to = (float(number) for number in re.findall(r"[MH]([\d.]+)", bar.locator("path").get_attribute("d")))
    return (to - x) / float(bar.get_attribute("data-mm"))


def ends(viewer) -> np.ndarray:
    """Of the ruler, in CSS pixels of the page: [2, 2]."""
    viewer.wait_until_idle()
    return np.array([centre(one) for one in viewer.page.locator(".layer .measure circle").all()])


def centre(locator) -> Place:
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_taps_are_clicks_for_and_against_and_the_page_has_the_servers_mask(tablet, hand):
    if not tablet.can_click():
        pytest.skip("the served model answers classes only")
    page = tablet.page
    page.tap("#new-object")
    page.wait_for_selector("[data-object='object 1']")
    page.tap("button[data-tool='click']")
    hand.tap(tablet.point("axial"))
    page.wait_for_selector(".mark.positive:not(.waiting)")
    tablet.wait_until_idle()
    (click,) = tablet.objects()["object 1"]["clicks"]
    assert click["positive"]
    assert tuple(click["voxel"]) == tablet.place()[0]

    page.tap("button.sign.negative")
    hand.tap(tablet.point("axial", 60, 30))
    page.wait_for_selector(".mark.negative:not(.waiting)")
    tablet.wait_until_idle()
    assert [one["positive"] for one in tablet.objects()["object 1"]["clicks"]] == [True, False]

    mask = tablet.mask("object 1")
    page.tap("button[data-tool='navigate']")
    seen = set()
    for right in range(-30, 31, 10):
        hand.tap(tablet.point("axial", right, 3))
        voxel, _, name = tablet.place()
        assert mask[voxel] == (name == "object 1")
        seen.add(bool(mask[voxel]))
    assert seen == {True, False}


def test_a_stroke_by_finger_paints_and_erases_and_no_ring_stays(tablet, hand):
    page = tablet.page
    page.tap("#new-object")
    page.wait_for_selector("[data-object='object 1']")
    page.tap("[aria-controls='side']")  # there is room for the brush's options: the picture stays where it is
    page.tap("button[data-tool='brush']")
    line = [tablet.point("axial", right, -10) for right in (-40, 40)]
    hand.draw(line)
    painted = tablet.mask("object 1")
    assert tablet.objects()["object 1"]["edits"] == ["brush"]
    assert len(np.unique(np.argwhere(painted)[:, 2])) == 1
    assert page.locator("circle.brush").count() == 0
    page.tap("button.sign.negative")
    hand.draw(line[::-1])
    assert not tablet.mask("object 1").any()
    page.tap("#undo")
    tablet.wait_until_idle()
    page.tap("button[data-tool='click']")  # its drag moves the crosshair, and the picture is as large as the brush's
    for place in line:
        hand.draw([(place[0], place[1] + 20), place])
        assert painted[tablet.place()[0]]


@pytest.mark.parametrize("first", ["hand", "pen"])
def test_a_pen_draws_beside_the_hand_that_rests(tablet, hand, first):
    page = tablet.page
    page.tap("#new-object")
    page.wait_for_selector("[data-object='object 1']")
    page.tap("button[data-tool='brush']")
    line = [tablet.point("axial", right, -10) for right in (-40, 40)]
    resting = [tablet.point("axial", *place) for place in ((50, 40), (60, 50))]
    if first == "hand":
        hand.touch("Start", resting[0])
    hand.pen("Pressed", line[0])
    hand.touch("Start", *resting)
    hand.pen("Moved", between(*line, 0.5))
    hand.touch("Move", *((x + 15, y) for x, y in resting))
    hand.pen("Moved", line[1])
    hand.pen("Released", line[1])
    hand.touch("End")
    tablet.wait_until_idle()
    assert tablet.objects()["object 1"]["edits"] == ["brush"]
    places = np.argwhere(tablet.mask("object 1"))
    across, along, _ = np.ptp(places, axis=0)
    assert across > 3 * along, "a line across, as the pen went"


def test_a_lasso_and_a_box_by_finger(tablet, hand):
    page = tablet.page
    page.tap("#new-object")
    page.wait_for_selector("[data-object='object 1']")
    page.tap("button[data-tool='lasso']")
    corners = ((-40, -40), (40, -40), (40, 40), (-40, 40), (-40, -38))
    hand.draw([tablet.point("axial", *corner) for corner in corners])
    assert tablet.objects()["object 1"]["edits"] == ["polygon"]
    drawn = tablet.mask("object 1")
    page.tap("button[data-tool='navigate']")
    for right, down in ((0, 0), (-30, 30), (30, -30), (-60, 0), (0, 60)):
        hand.tap(tablet.point("axial", right, down))
        assert drawn[tablet.place()[0]] == (max(abs(right), abs(down)) < 40)

    if not tablet.can_click():
        return
    page.tap("button[data-tool='box']")
    hand.draw([tablet.point("axial", -30, -30), tablet.point("axial", 30, 30)])
    box = page.locator("rect.contour").first
    before = box.bounding_box()
    right, middle = before["x"] + before["width"], before["y"] + before["height"] / 2
    hand.draw([(right + 15, middle), (right + 45, middle)])  # beside the edge, as a finger is
    after = box.bounding_box()
    assert after["width"] > before["width"] + 15
    assert after["x"] == pytest.approx(before["x"], abs=1)
    hand.think_again(tablet.point("axial", -20))
    assert box.bounding_box() == after
    hand.spread(tablet.point("axial"), 20, 30)
    assert box.bounding_box()["width"] > after["width"] * 1.2, "two fingers zoom, and the box waits"
    page.tap("#undo")  # the lasso
    tablet.wait_until_idle()
    page.tap("text=Use box")
    page.wait_for_selector("rect.contour", state="detached")
    tablet.wait_until_idle()
    assert tablet.mask("object 1").any()


@pytest.mark.parametrize("tool", TOOLS)
def test_two_fingers_zoom_and_shift_with_every_tool_and_draw_nothing(tablet, hand, tool):
    page = tablet.page
    page.tap("#new-object")
    page.wait_for_selector("[data-object='object 1']")
    page.tap("button[data-tool='ruler']")
    hand.draw([tablet.point("axial", right, 10) for right in (-10, 40)])
    page.wait_for_selector("[data-measure='ruler']")
    page.tap(f"button[data-tool='{tool}']")
    x, y = tablet.point("axial", 15, 10)
    before, drawn, crosshair, start = page.locator(DRAWN).count(), ends(tablet), tablet.place(), tablet.api().json()
    scale = mm_of_scale_bar(tablet)

    to = (x + 20, y - 15)
    hand.pinch([(x - 20, y), (to[0] - 40, to[1])], [(x + 20, y), (to[0] + 40, to[1])])
    assert mm_of_scale_bar(tablet) == pytest.approx(2 * scale, rel=0.01)
    assert ends(tablet) == pytest.approx(to + 2 * (drawn - (x, y)), abs=3), "what lay between the fingers still does"
    assert page.locator(DRAWN).count() == before

    hand.think_again(tablet.point("axial", -20, 20))
    assert page.locator(DRAWN).count() == before
    assert tablet.place() == crosshair
    now = tablet.api().json()
    assert (now["revision"], now["objects"]) == (start["revision"], start["objects"])
    assert len(tablet.api("/measurements").json()["measurements"]) == 1
    assert page.evaluate("visualViewport.scale") == 1


def test_slices_by_slider_and_arrows(tablet, hand):
    page = tablet.page
    slider = page.locator("[aria-label='Axial slice']")
    box, start = slider.bounding_box(), int(slider.input_value())
    x, y = centre(slider)
    hand.draw([(x, y), (box["x"] + box["width"] * 0.8, y)])
    there = int(slider.input_value())
    assert there > start + 5
    page.tap("[aria-label='Axial: previous slice']")
    page.tap("[aria-label='Axial: previous slice']")
    page.tap("[aria-label='Coronal: next slice']")
    tablet.wait_until_idle()
    assert int(slider.input_value()) == there - 2
    assert tablet.place()[0][2] == there - 3, "numbers begin with 1, voxels with 0"


def test_3d_turns_by_one_finger_and_comes_nearer_by_two(tablet, hand):
    page = tablet.page
    place = tablet.place()

    def render() -> np.ndarray:
        picture = tablet.picture()
        return picture[: picture.shape[0] // 2, picture.shape[1] // 2 :]

    before = render()
    hand.draw([tablet.point("render", -40), tablet.point("render", 40)])
    turned = render()
    assert (np.abs(turned - before).max(axis=2) > 0.1).mean() > 0.02
    scale = mm_of_scale_bar(tablet)
    hand.spread(tablet.point("render"))
    assert (render() > 0.1).mean() > 1.3 * (turned > 0.1).mean()
    assert (tablet.place(), mm_of_scale_bar(tablet)) == (place, scale)
    assert page.evaluate("visualViewport.scale") == 1


def test_an_angle_by_taps_with_a_zoom_between(tablet, hand):
    tablet.page.tap("button[data-tool='angle']")
    hand.tap(tablet.point("axial", -30, 0))
    hand.tap(tablet.point("axial"))
    hand.spread(tablet.point("axial"), 20, 30)
    hand.tap(tablet.point("axial", 0, 30))
    tablet.page.wait_for_selector("[data-measure='angle']")
    (angle,) = tablet.api("/measurements").json()["measurements"]
    assert angle["measured"]["degrees"] == pytest.approx(90, abs=3)


def test_borders_order_and_doubts_by_finger(tablet, hand):
    page = tablet.page
    tablet.segment("mandible")
    page.tap("#new-object")
    page.wait_for_selector("[data-object='object 1']")
    page.tap("[aria-label='One lower: it lies beneath']")
    tablet.wait_until_idle()
    page.wait_for_selector("[aria-label='One lower: it lies beneath']:disabled")
    assert list(tablet.objects()) == ["object 1", "mandible"]

    page.wait_for_selector("[data-row='mandible'] abbr")
    page.tap("[data-row='mandible'] abbr")
    assert "border of the scan" in page.locator(".notice").inner_text()

    panel = page.locator(".panel.classes")
    width = panel.bounding_box()["width"]
    x, y = centre(page.locator(".splitter.classes"))
    hand.draw([(x + 9, y + 20), (x + 49, y + 20)])
    assert panel.bounding_box()["width"] == pytest.approx(width + 40, abs=2)
    page.tap("[aria-controls='classes']")
    assert not panel.is_visible()
    page.tap("[aria-controls='classes']")
    assert panel.is_visible()


@pytest.mark.parametrize("viewport", [LYING, UPRIGHT], ids=["lying", "upright"])
def test_what_fingers_hit_is_large_enough_and_on_the_page_which_does_not_zoom(browser, address, small_ct, viewport):
    with visiting(browser, address, viewport=viewport, has_touch=True) as viewer:
        page, hand = viewer.page, Hand(viewer)
        page.wait_for_selector("dialog[open]")
        assert page.evaluate(TOO_SMALL, LEAST) == []
        viewer.open(small_ct)
        page.tap("#new-object")
        page.wait_for_selector("[data-object='object 1']")
        for tool in ("navigate", "lasso", "brush", "angle"):
            page.tap(f"button[data-tool='{tool}']")
            viewer.wait_until_idle()
            assert page.evaluate(TOO_SMALL, LEAST) == []
        for name in ("objects", "classes", "side", "classes", "side"):
            page.tap(f"[aria-controls='{name}']")
            viewer.wait_until_idle()
            assert page.evaluate(TOO_SMALL, LEAST) == []
            assert page.evaluate("[scrollX, scrollY, document.body.scrollLeft, document.body.scrollTop]") == [0] * 4
        x, y = centre(page.locator(".panel.classes"))
        hand.pinch([(x, y - 20), (x, y - 140)], [(x, y + 20), (x, y + 140)])
        assert page.evaluate("visualViewport.scale") == 1
        canvas = page.locator(".picture canvas").bounding_box()
        assert canvas["width"] * canvas["height"] > viewport["width"] * viewport["height"] * 0.3
        page.tap("[aria-label='Keys and help']")
        if viewport is LYING:  # what is too long for the page, a finger pulls up
            x, y = centre(page.locator(".help-dialog"))
            hand.draw([(x, y), (x, y - 200)])
            page.wait_for_function("document.querySelector('.help-dialog').scrollTop > 100")
        page.tap(".help-dialog [aria-label='Close']")
        assert not page.locator(".help-dialog").is_visible()
