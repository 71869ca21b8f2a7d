"""Measurements over the native API."""

import pytest

RULER = {"kind": "ruler", "name": "long axis", "points": [[1, 2, 3], [4, 6, 3]]}
ELLIPSE = {"kind": "ellipse", "axis": 2, "points": [[1, 2, 3], [8, 9, 3]]}


def test_measurements_are_measured_kept_and_replaced(session, scan):
    address = f"{session.address}/measurements"
    assert session.http.get(address).json() == {"measurements": []}
    answer = session.http.put(address, json={"measurements": [RULER, ELLIPSE]})
    kept = answer.json()["measurements"]
    x, y, _ = scan["spacing"]
    assert kept[0]["drawn"] == RULER
    assert kept[0]["measured"]["length_mm"] == pytest.approx(((3 * x) ** 2 + (4 * y) ** 2) ** 0.5)
    assert kept[1]["measured"]["voxels"] > 20
    assert session.http.get(address).json() == answer.json()
    session.http.put(address, json={"measurements": [ELLIPSE]})
    assert [one["drawn"]["kind"] for one in session.http.get(address).json()["measurements"]] == ["ellipse"]


def test_what_cannot_be_measured_changes_nothing(session):
    address = f"{session.address}/measurements"
    session.http.put(address, json={"measurements": [RULER]})
    before = session.http.get(address).json()
    for wrong in ({**ELLIPSE, "axis": 1}, {"kind": "ruler", "points": [[1, 2, 3]]}):
        assert session.http.put(address, json={"measurements": [RULER, wrong]}).status_code == 422
    assert session.http.get(address).json() == before
