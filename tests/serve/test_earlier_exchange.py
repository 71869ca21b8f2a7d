"""The exchange that was recorded with an earlier version, played again: what programs rely on is still there.

The script is the one of ``benchmarks/unchanged``. ``OPENVISTA_WRITE_EXCHANGE=1`` writes the file anew: after a change
of an interface that is meant.
"""

import json
import os
from pathlib import Path

import pytest
from serving import ct_file, running

from by_path import module_at

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests" / "data" / "earlier" / "http.json"
TOKEN = "a long secret"


exchange = module_at("benchmarks/unchanged/exchange.py")
SCRIPTS = ("native", "nim", "monai_label", "strangers")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return ct_file(tmp_path_factory.mktemp("scans") / "case.nii.gz", seed=1)


@pytest.fixture(scope="module")
def played(two_branches, scan, tmp_path_factory):
    """What comes back now, by part of the script."""
    store = tmp_path_factory.mktemp("datastore")
    (store / "case 1.nii.gz").write_bytes(scan.read_bytes())
    choices = {"models": (str(two_branches),), "devices": ("cpu",), "precision": "float32"}
    found = {}
    with running(**choices, state=tmp_path_factory.mktemp("state"), datastore=store) as server:
        for name in SCRIPTS[:3]:
            player = exchange.Player(server.http)
            getattr(exchange, name)(player, scan)
            found[name] = exchange.outline(player.records)
    with running(**choices, state=tmp_path_factory.mktemp("state"), token=TOKEN) as server:
        player = exchange.Player(server.http)
        exchange.strangers(player, TOKEN)
        found["strangers"] = exchange.outline(player.records)
    if os.environ.get("OPENVISTA_WRITE_EXCHANGE"):
        RECORDED.write_text(json.dumps(found, indent=1) + "\n")
    return found


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_answer_has_the_form_it_had(played, name):
    recorded = json.loads(RECORDED.read_text())[name]
    assert [[one["method"], one["path"]] for one in played[name]] == [[one["method"], one["path"]] for one in recorded]
    for before, now in zip(recorded, played[name], strict=True):
        assert now == before
