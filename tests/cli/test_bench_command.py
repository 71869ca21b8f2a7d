"""``openvista bench``: its table, its files, and one line for what it cannot do."""

import json

import pytest

pytest.importorskip("monai")

SMALL = ("--filters", 8, "--window", 32, "--shape", "40,36,34", "--classes", 3, "--rounds", 1, "--device", "cpu")


def test_table_and_json(openvista_here, tmp_path):
    asked = ("--only", "window", *SMALL, "-o", tmp_path / "bench.json", "--plot", tmp_path / "bench.png")
    done = openvista_here("bench", *asked)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["rows"][0]["work"] == "one window, one class"
    assert "peer float32" in done.stdout
    assert (tmp_path / "bench.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--only", "windows"), "--only windows: there is window, everything"),
        (("--window", 40), "--window 40: it must be a multiple of 16"),
        (("--model", "starter", "--filters", 16), "--filters and --window are for random weights"),
        (("--model", "nobody"), "nobody"),
        (("-o", "bench.txt"), "--output bench.txt: end it with .json"),
        (("-o", "nowhere/bench.json"), "there is no folder nowhere"),
        (("--shape", "1,2"), "--shape 1,2: give three numbers"),
    ],
)
def test_wrong_input_is_one_line(openvista_here, asked, said):
    done = openvista_here("bench", *asked)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
