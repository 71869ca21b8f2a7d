"""What axe finds in the viewer: names, roles, contrast, keyboard; in dark and light."""

import nibabel as nib
import numpy as np
import pytest

Axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install 'openvista[e2e]'").Axe

GRAVE = {"serious", "critical"}


def findings(page, state: str) -> list[str]:
    """What is grave, each with where it is."""
    page.mouse.move(5, 795)
    found = Axe().run(page).response["violations"]
    return [
        f"{state}: {one['id']} ({one['impact']}): {node['target']}: {node['failureSummary']}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_grave_in_any_state(viewer, small_ct, tmp_path, theme):
    page, grave = viewer.page, []
    page.emulate_media(color_scheme=theme)

    def look(state: str) -> None:
        grave.extend(findings(page, state))

    page.wait_for_selector("dialog[open]")
    page.wait_for_selector("button[data-class='mandible']")
    look("dialog to open")
    page.keyboard.press("Escape")
    look("empty")
    page.keyboard.press("o")
    viewer.open(small_ct)
    look("scan open")

    for name in ("mandible", "spinal cord"):
        viewer.segment(name)
    page.click("[aria-label='Hide mandible']")
    page.wait_for_selector("[data-row='spinal cord']")
    page.keyboard.press("p")
    look("results, brush")
    page.click("#change summary")
    look("menu")
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    viewer.stroke([viewer.point("axial", right, 10) for right in (-40, 40)])
    page.wait_for_selector("[data-measure='ruler']")
    look("measurements")
    page.click("#undo")
    page.click("#tab-history")
    page.wait_for_selector("[data-step]")
    look("history")

    labels = viewer.segmentation()
    nib.save(
        nib.Nifti1Image((np.asanyarray(labels.dataobj) > 0).astype(np.uint8), labels.affine), tmp_path / "x.nii.gz"
    )
    page.click("#tab-compare")
    page.set_input_files("#compare-file", str(tmp_path / "x.nii.gz"))
    page.wait_for_selector(".notice.error")
    look("notice, nothing compared")
    other = tmp_path / "same.nii.gz"
    other.write_bytes(viewer.api("/segmentation").body())
    page.set_input_files("#compare-file", str(other))
    page.wait_for_selector("[data-compared]")
    page.click("[data-compared] button")
    look("comparison")

    for key, dialog in (("?", "help"), ("Control+s", "export"), ("o", "open")):
        page.locator(".layer").focus()
        page.keyboard.press(key)
        page.wait_for_selector(f".{dialog}-dialog[open]")
        look(f"{dialog} dialog")
        page.keyboard.press("Escape")
    page.set_viewport_size({"width": 1024, "height": 700})
    viewer.wait_until_idle()
    look("small screen")
    for name in ("objects", "classes", "side"):
        page.click(f"[aria-controls='{name}']")
        viewer.wait_until_idle()
        look(f"small screen, {name} closed")
    assert not grave, "\n".join(dict.fromkeys(grave))
