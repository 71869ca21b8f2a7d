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
    page.keyboard.press("Enter")
    assert size() == pytest.approx(start, abs=1)
