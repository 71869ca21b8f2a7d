"""Panels around the picture, in a browser: favourite classes, borders that can be pulled."""

import pytest


def names(viewer) -> list[str]:
    return viewer.page.locator("button.class").all_inner_texts()


def test_favourite_classes_come_first_and_stay(viewer, small_ct):
    viewer.open(small_ct)
    page, before = viewer.page, names(viewer)
    assert before[0] != "mandible"
    page.click("[aria-label^='mandible: a favourite']")
    assert sorted(names(viewer)) == sorted(before)
    assert names(viewer)[0] == "mandible"
    page.locator("[aria-label^='larynx: a favourite']").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.ariaLabel").startswith("larynx")
    page.reload()
    viewer.wait_for_picture()
    assert set(names(viewer)[:2]) == {"mandible", "larynx"}
    assert page.locator(".classes h3").first.inner_text().lower() == "favourites"
    viewer.segment("mandible")
    page.click("[aria-label^='mandible: a favourite']")
    assert names(viewer)[0] == "larynx"


@pytest.mark.parametrize(
    ("name", "panel", "side", "grows"),
    [
        ("classes", ".panel.classes", "width", 1),
        ("side", "aside", "width", -1),
        ("objects", ".panel.objects", "height", 1),
    ],
)
def test_a_border_is_pulled_by_pointer_and_keys_and_stays(viewer, small_ct, name, panel, side, grows):
    viewer.open(small_ct)
    page = viewer.page
    border = page.locator(f".splitter.{name}")

    def size() -> float:
        return page.locator(panel).bounding_box()[side]

    start, picture = size(), page.locator(".picture").bounding_box()["width"]
    box = border.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    dx, dy = (40 * grows, 0) if side == "width" else (0, 40 * grows)
    viewer.stroke([(x, y), (x + dx, y + dy)])
    assert size() == pytest.approx(start + 40, abs=2)
    if side == "width":
        assert page.locator(".picture").bounding_box()["width"] == pytest.approx(picture - 40, abs=2)
        canvas = page.locator(".picture canvas").evaluate("c => [c.width / devicePixelRatio, c.clientWidth]")
        assert canvas[0] == pytest.approx(canvas[1], abs=1), "the picture is drawn anew"
    border.focus()
    shrink = {"classes": "ArrowLeft", "side": "ArrowRight", "objects": "ArrowUp"}[name]
    page.keyboard.press(shrink)
    assert size() == pytest.approx(start + 24, abs=2)
    assert border.get_attribute("aria-valuenow") == str(round(size()))
    page.reload()
    viewer.wait_for_picture()
    assert size() == pytest.approx(start + 24, abs=2)
    border.focus()
    page.keyboard.press("Home")
    assert size() < start
    page.keyboard.press("Delete")
    assert size() == pytest.approx(start, abs=1)


@pytest.mark.parametrize(
    ("name", "panel", "grows", "key"),
    [
        ("classes", ".panel.classes", "ArrowRight", "<"),
        ("side", "aside", "ArrowLeft", ">"),
        ("objects", ".panel.objects", "ArrowDown", None),
    ],
)
def test_a_panel_closes_and_opens_by_mouse_and_keys_and_stays(viewer, small_ct, name, panel, grows, key):
    viewer.open(small_ct)
    page = viewer.page
    page.set_viewport_size({"width": 1024, "height": 700})
    viewer.wait_until_idle()
    border, button, shown = (page.locator(one) for one in (f".splitter.{name}", f"[aria-controls='{name}']", panel))
    picture = page.locator(".picture canvas")
    side = "height" if name == "objects" else "width"
    start, room = shown.bounding_box()[side], picture.bounding_box()["width"]

    def is_open() -> bool:
        viewer.wait_until_idle()
        assert button.get_attribute("aria-expanded") == str(shown.is_visible()).lower()
        assert button.is_visible()
        return bool(shown.is_visible())

    border.focus()
    page.keyboard.press(grows)
    wide = shown.bounding_box()[side]
    assert wide == pytest.approx(start + 16, abs=1)
    switches = [button.click, border.dblclick, lambda: border.press("Enter"), lambda: button.press("Space")]
    if key:
        switches.append(lambda: page.keyboard.press(key))
    for switch in switches:
        switch()
        assert not is_open()
        switch()
        assert is_open()
        assert shown.bounding_box()[side] == pytest.approx(wide, abs=1)
    button.click()
    page.reload()
    viewer.wait_for_picture()
    assert not is_open()
    assert border.get_attribute("aria-valuenow") == "0"
    if name != "objects":
        assert picture.bounding_box()["width"] == pytest.approx(room + start, abs=2)
        assert picture.evaluate("c => c.width / devicePixelRatio - c.clientWidth") == pytest.approx(0, abs=1)
    border.press({"classes": "ArrowLeft", "side": "ArrowRight", "objects": "ArrowUp"}[name])
    assert not is_open()  # it cannot shrink
    border.press(grows)
    assert is_open()


def test_a_border_pulled_to_the_edge_closes_its_panel_and_pulled_back_opens_it(viewer, small_ct):
    viewer.open(small_ct)
    page = viewer.page
    panel, border = page.locator(".panel.classes"), page.locator(".splitter.classes")

    def pull(to: float) -> None:
        box = border.bounding_box()
        y = box["y"] + box["height"] / 2
        viewer.stroke([(box["x"] + box["width"] / 2, y), (to, y)])

    pull(100)
    assert panel.bounding_box()["width"] == 140  # the least
    pull(20)
    assert not panel.is_visible()
    pull(30)
    assert not panel.is_visible()
    pull(200)
    assert panel.bounding_box()["width"] == pytest.approx(197, abs=4)


def test_the_search_key_opens_the_classes_and_focus_does_not_get_lost(viewer, small_ct):
    viewer.open(small_ct)
    page = viewer.page
    focused = "document.activeElement.id || document.activeElement.getAttribute('aria-controls')"
    page.locator("button.class").first.focus()
    page.keyboard.press("<")
    assert page.evaluate(focused) == "classes"
    assert not page.locator(".panel.classes").is_visible()
    page.keyboard.press("/")
    assert page.evaluate(focused) == "class-search"
    page.keyboard.type("mand")
    assert names(viewer) == ["mandible"]
