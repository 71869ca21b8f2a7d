"""The report of a scan: one file, whatever the names; what to look at comes first."""

from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from openvista.geometry.grid import Grid
from openvista.report.scan_report import flags, write_scan_report
from openvista.scan import Scan, ScanWarning, Segmentation


def segmentation() -> Segmentation:
    labels = np.zeros((12, 14, 16), np.uint8)
    labels[3:6, 3:6, 3:6] = 1
    labels[8:, 8:, 8:] = 2
    grid = Grid(labels.shape, np.diag([2.0, 2.0, 2.0, 1.0]))
    warning = ScanWarning("values-8-bit", "values 0 to 255 <look> like an 8-bit picture")
    scan = Scan(np.where(labels, 40, -1000).astype(np.int16), grid, "<b>case</b>", warnings=(warning,))
    names = {1: "liver <1>", 2: "spleen", 3: "aorta"}
    return Segmentation(labels, grid, names, scan=scan, provenance={"model": "starter", "profile": "best"})


class Addresses(HTMLParser):
    """Whatever a page loads or points to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]


def test_one_file_that_needs_no_network(tmp_path: Path) -> None:
    write_scan_report(replace(segmentation(), unlikely={2: ("volume",)}), tmp_path / "report.html")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    text = (tmp_path / "report.html").read_text()
    addresses = Addresses()
    addresses.feed(text)
    assert len(addresses.found) == 1
    assert addresses.found[0].startswith("data:image/png;base64,")
    assert "@import" not in text
    assert "url(" not in text
    assert "<b>case" not in text
    for words in ("&lt;b&gt;case", "liver &lt;1&gt;", "0.216", "touches the border; unlikely: volume", "2 x 2 x 2"):
        assert words in text
    for words in ("&lt;look&gt;", "Unlike the cases of training: spleen (volume)"):
        assert words in text


def test_a_picture_that_is_there_is_not_drawn_again(tmp_path: Path) -> None:
    (tmp_path / "drawn.png").write_bytes(b"drawn before")
    write_scan_report(segmentation(), tmp_path / "report.html", tmp_path / "drawn.png")
    assert b64encode(b"drawn before").decode() in (tmp_path / "report.html").read_text()


def test_flags_name_what_to_look_at() -> None:
    found = segmentation()
    said = flags(found, found.table())
    assert said[0].startswith("values 0 to 255")
    assert "spleen" in said[1]
    assert "liver" not in said[1]
    assert said[2] == "Not found: aorta."
    judged = replace(found, unlikely={1: ("volume", "HU"), 3: ("place",)})
    said = flags(judged, judged.table())
    assert said[2] == "Unlike the cases of training: liver <1> (volume, HU)."
    assert said[3:] == ["Left out, being unlike the cases of training: aorta (place)."]
    clean = replace(found, scan=None, names={1: "liver"}, labels=np.where(found.labels == 1, found.labels, 0))
    assert flags(clean, clean.table()) == []
