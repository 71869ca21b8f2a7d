"""Parts of a page hold whatever they are given, and nothing of it is read as HTML."""

import base64

from openvista.report.html import definitions, figure, number, page, section, table, tiles

HOSTILE = "<script>alert('1')</script> & co"


def test_text_is_text(tmp_path):
    png = tmp_path / "a.png"
    png.write_bytes(b"pixels")
    parts = [section(HOSTILE, "content"), definitions([(HOSTILE, HOSTILE)]), figure(png, HOSTILE, HOSTILE)]
    parts += [tiles([("1", HOSTILE)]), page(HOSTILE, "body")]
    for part in parts:
        assert "<script>" not in part
        assert "&lt;script&gt;" in part
    assert base64.b64encode(b"pixels").decode() in parts[2]


def test_a_page_needs_nothing_beside_it():
    made = page("title", "<p>body</p>")
    assert made.startswith("<!doctype html>")
    assert "<p>body</p>" in made
    assert "font: 15px" in made
    assert "http" not in made


def test_a_table():
    made = table(["a", "b"], [["1", "2"], ["3", "4"]], total=True)
    assert made.count("<tr") == 3
    assert made.index("class=total") > made.index("<td>2</td>")
    assert (number(float("nan")), number(0.12345), number(2, 1)) == ("–", "0.123", "2.0")
