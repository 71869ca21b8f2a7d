"""Every text in the viewer comes from its table of strings, and the address chooses the table."""

import re

BRACKETS = re.compile(r"⟦[^⟦⟧]*⟧")
ALL_TEXTS = """() => {
  const said = [document.title];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode())
    if (!walker.currentNode.parentElement.closest('script, noscript, style')) said.push(walker.currentNode.data);
  for (const element of document.querySelectorAll('body *'))
    for (const name of ['aria-label', 'aria-valuetext', 'title', 'placeholder', 'alt'])
      said.push(element.getAttribute(name) ?? '');
  return said;
}"""


def outside(said: list[str]) -> set[str]:
    """What has letters outside of brackets, which may lie in others; times are the browser's, checksums hexadecimal."""
    left = set()
    for text in said:
        while (shorter := BRACKETS.sub("", text)) != text:
            text = shorter
        if re.search(r"[A-Za-z]{2}", text) and not re.search(r"\d:\d\d|^[0-9a-f]{16}…", text):
            left.add(text.strip(" ·"))
    return left


def test_all_that_is_said_is_of_the_language_in_the_address(viewer, small_ct):
    page = viewer.page
    assert page.locator("html").get_attribute("lang") == "en"
    page.goto(page.url.split("#")[0] + "?lang=en-XA")
    page.wait_for_selector("dialog[open]")
    assert page.locator("html").get_attribute("lang") == "en-xa"
    page.set_input_files("#open-file", str(small_ct))
    page.wait_for_selector(".place:not(:empty)")
    viewer.wait_until_idle()
    viewer.segment("mandible")
    page.keyboard.press("m")
    viewer.stroke([viewer.point("axial", right, 10) for right in (-40, 40)])
    page.wait_for_selector("[data-measure='ruler']")
    page.click("#tab-history")
    page.wait_for_selector("[data-step]")
    page.click("#tab-compare")
    same = {"name": "x.nii.gz", "mimeType": "", "buffer": viewer.api("/segmentation").body()}
    page.set_input_files("#compare-file", same)
    page.wait_for_selector("[data-compared]")
    known = page.request.get(viewer.api().url.split("/api")[0] + "/api/v1/classes").json()
    names = {name for one in known["classes"] for name in (one["name"], one["group"])}
    assert outside(page.evaluate(ALL_TEXTS)) - names == {"small", "x.nii.gz", "OpenVISTA", "Apache-2.0"}
