"""``openvista evaluate`` and ``openvista evaluate compare`` as a user meets them, with a tiny random model."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from openvista.cli.main import app
from openvista.errors import DataListError, InputError, ModelError, OutputError
from openvista.evaluate.protocols import PROTOCOLS
from small_evaluation import save_tiny, write_cases


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model and a data list, and one finished run."""
    folder = tmp_path_factory.mktemp("place")
    save_tiny(folder / "model")
    save_tiny(folder / "other", seed=6)
    write_cases(folder)
    done = evaluate(folder, "-o", folder / "run")
    assert done.exit_code == 0, done.output
    return folder


def evaluate(folder, *options, model="model"):
    arguments = ["evaluate", folder / "list.json", "-m", folder / model, "--precision", "float32", *options]
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_run_prints_a_table_and_leaves_its_files(place):
    names = {path.name for path in (place / "run").iterdir()}
    assert names == {"run.json", "cases-0.jsonl", "pictures", "scores.csv", "scores.json", "report.html"}
    done = evaluate(place)
    assert "mean over structures" in done.output
    assert "liver" in done.output
    assert len((place / "run" / "scores.csv").read_text().splitlines()) == 1 + 5
    information = json.loads((place / "run" / "run.json").read_text())
    assert (information["protocol"], information["split"], information["seed"]) == ("auto", "testing", 0)


def test_a_finished_run_is_not_repeated(place):
    before = (place / "run" / "cases-0.jsonl").read_bytes()
    again = evaluate(place, "-o", place / "run", "--resume", "-q")
    assert (again.exit_code, again.output) == (0, "")
    assert (place / "run" / "cases-0.jsonl").read_bytes() == before
    assert isinstance(evaluate(place, "-o", place / "run").exception, OutputError)


def test_a_list_without_names_is_scored_by_the_mapping(place):
    content = json.loads((place / "list.json").read_text())
    del content["labels"]
    for entry in content["testing"]:
        entry.pop("annotated", None)
    (place / "nameless.json").write_text(json.dumps(content))
    options = ["-m", str(place / "model"), "--precision", "float32", "--map", "1=liver", "-q"]
    done = CliRunner().invoke(app, ["evaluate", str(place / "nameless.json"), *options, "-o", str(place / "nameless")])
    assert done.exit_code == 0, done.output
    assert len((place / "nameless" / "scores.csv").read_text().splitlines()) == 1 + 3
    for entry in content["testing"]:
        entry["annotated"] = []
    (place / "unmarked.json").write_text(json.dumps(content))
    error = CliRunner().invoke(app, ["evaluate", str(place / "unmarked.json"), *options]).exception
    assert isinstance(error, DataListError)
    assert "nothing to score" in str(error)


def test_a_run_is_not_gone_on_with_by_another_mapping(place):
    mapped = ["--map", "1=spleen", "--map", "2=liver"]
    error = evaluate(place, *mapped, "-o", place / "run", "--resume").exception
    assert isinstance(error, OutputError)
    assert "classes" in str(error)


def test_options_can_name_what_the_mapping_has_just_named(place):
    named = ["--protocol", "clicks", "--clicks", "1", "--map", "1=new:blob", "--tolerance", "blob=1"]
    done = evaluate(place, *named, "--only-in-slices", "blob", "-o", place / "blob", "-q")
    assert done.exit_code == 0, done.output
    assert json.loads((place / "blob" / "run.json").read_text())["only_in_slices"] == [133]


def test_habits_of_the_paper_are_told_with_the_numbers(place):
    habit = ["--protocol", "zero-shot-iterative", "--clicks", "1", "--habit", "best-so-far"]
    done = evaluate(place, *habit, "-o", place / "habit")
    assert "best-so-far" in " ".join(done.output.split())
    both = CliRunner().invoke(app, ["evaluate", "compare", str(place / "habit"), str(place / "habit")])
    assert "best-so-far" in both.output


def test_two_runs_side_by_side(place):
    assert evaluate(place, "-o", place / "second", "-q", model="other").exit_code == 0
    runner = CliRunner()
    arguments = ["evaluate", "compare", str(place / "run"), str(place / "second"), "-o", str(place / "both")]
    done = runner.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "means of scans" in done.output
    assert {path.name for path in (place / "both").iterdir()} == {"compare.csv", "compare.json", "compare.html"}
    quiet = runner.invoke(app, [*arguments[:4], "--metric", "hd95_mm", "-q"])
    assert (quiet.exit_code, quiet.output) == (0, "")


def test_two_processes_share_a_run(place):
    arguments = ["evaluate", place / "list.json", "-m", place / "model", "-o", place / "shared", "--device", "cpu"]
    command = [sys.executable, "-m", "openvista", *map(str, arguments), "--precision", "float32"]
    running = [
        subprocess.Popen(
            command,
            env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    first, second = (process.communicate(timeout=300)[0] for process in running)
    assert [process.returncode for process in running] == [0, 0]
    assert "report.html" in first
    assert second == ""
    columns = [
        [line.rsplit(",", 1)[0] for line in (place / run / "scores.csv").read_text().splitlines()]
        for run in ("run", "shared")
    ]
    assert columns[0] == columns[1]  # but for the seconds


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        (["--protocol", "magic"], InputError, "magic"),
        (["--split", "all"], DataListError, "all"),
        (["--split", "training"], DataListError, "no labelled case"),
        (["--profile", "fastest"], InputError, "fastest"),
        (["--protocol", "clicks", "--clicks", "3,1"], InputError, "rise"),
        (["--protocol", "clicks", "--clicks", "3", "--clicks", "1"], InputError, "rise"),
        (["--protocol", "clicks", "--clicks", "a"], InputError, "--clicks"),
        (["--clicks", "1,3"], InputError, "no clicks"),
        (["--protocol", "zero-shot-iterative", "--habit", "magic"], InputError, "best-so-far"),
        (["--protocol", "clicks", "--habit", "best-so-far"], InputError, "no habits"),
        (["--tolerance", "liver=wide"], InputError, "--tolerance"),
        (["--tolerance", "-1"], InputError, "impossible"),
        (["--tolerance", "lung tumor=1"], InputError, "no such structure"),
        (["--surface", "round"], InputError, "round"),
        (["--resume"], OutputError, "-o"),
        (["-o", "OUT/scores.csv"], OutputError, "folder"),
        (["-m", "nothing"], ModelError, "nothing"),
        (["--map", "1=heart"], InputError, "heart"),
    ],
)
def test_mistakes_are_told_before_anything_is_computed(place, tmp_path, options, error, word):
    done = evaluate(place, *(option.replace("OUT", str(tmp_path)) for option in options))
    assert isinstance(done.exception, error), done.output
    assert word in str(done.exception)
    assert "\n" not in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_compare_needs_two_runs(place):
    done = CliRunner().invoke(app, ["evaluate", "compare", str(place / "run"), str(place)])
    assert isinstance(done.exception, InputError)


def test_help_teaches_both():
    wide = {"COLUMNS": "160"}
    text = CliRunner().invoke(app, ["evaluate", "--help"], env=wide).output
    assert "openvista evaluate [OPTIONS] DATALIST" in text
    assert "openvista evaluate compare" in text
    assert "paired" in text
    assert all(name in text for name in PROTOCOLS)
    assert "signed-rank" in CliRunner().invoke(app, ["evaluate", "compare", "--help"], env=wide).output
