"""Every case ends once, whatever happens to workers; what was done before is not done again."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from openvista.cohort.driver import TRACEBACKS, drive, what_to_do
from openvista.cohort.engines.local import LocalEngine
from openvista.cohort.manifest import last_states, manifests_in, open_manifest, records
from openvista.cohort.storage import Place
from openvista.cohort.tally import Tally
from small_cohort import KEY, Copying, make_cases, notes_of


def run(copying: Copying, cases, workers: int = 1, seconds: float | None = None, **choices) -> Tally:
    out = Path(copying.output)
    with open_manifest(out, None, KEY) as manifest:
        manifest.begin(len(cases), {1: "liver"})
        todo = what_to_do(cases, last_states(manifests_in(out)), KEY, Place(copying.output), **choices)
        engine = LocalEngine([copying] * workers, seconds)
        try:
            return drive(todo, engine, manifest)
        finally:
            engine.close()


def states(copying: Copying) -> dict[str, str]:
    return {case_id: last.state for case_id, last in last_states(manifests_in(Path(copying.output))).items()}


def copied(copying: Copying) -> Counter[str]:
    return Counter(note[2] for note in notes_of(copying) if note[1] == "copy")


def test_each_kind_of_failure_has_its_own_end(copying, tmp_path):
    cases = make_cases(tmp_path / "in", "good", "kills once", "kills", "slow", "memory", "bug", "missing")
    (tmp_path / "in" / "missing").unlink()
    tally = run(copying, cases, seconds=1)
    assert states(copying) == {
        "good": "done",
        "kills once": "done",
        "kills": "quarantined",
        "slow": "failed",
        "memory": "done",
        "bug": "quarantined",
        "missing": "failed",
    }
    assert copied(copying) == {
        "good": 1, "kills once": 2, "kills": 3, "slow": 2, "memory": 2, "bug": 1, "missing": 1
    }  # fmt: skip
    assert tally.failed == {"worker": 1, "timeout": 1, "bug": 1, "input": 1}
    assert (tally.done, tally.retries, tally.waiting, tally.running) == (3, 5, 0, 0)
    assert "ZeroDivisionError: a defect" in (Path(copying.output) / TRACEBACKS / "bug.txt").read_text()
    error = [record["error"] for record in records(manifests_in(Path(copying.output))) if "error" in record]
    assert any("SIGKILL" in one["message"] and one["kind"] == "worker" for one in error)

    again = run(copying, [case for case in cases if case.id != "slow"])
    assert (again.kept, again.left_aside, again.failed) == (3, 2, {"input": 1})


@pytest.mark.slow
def test_what_a_death_takes_along_is_done_all_the_same(copying, tmp_path):
    """With the next scan in hand nobody knows who was to blame: both are tried again, each alone."""
    names = ("good 1", "kills", "good 2", "kills once", "good 3", "slow", "good 4", "bug", "good 5")
    tally = run(replace(copying, overlaps=True), make_cases(tmp_path / "in", *names), seconds=1)
    others = {"kills": "quarantined", "slow": "failed", "bug": "quarantined"}
    assert states(copying) == {name: others.get(name, "done") for name in names}
    assert tally.failed == {"worker": 1, "timeout": 1, "bug": 1}
    assert copied(copying)["kills"] in (2, 3)
    assert copied(copying)["slow"] in (1, 2)


def test_the_next_scan_is_given_while_a_worker_is_at_one(copying, tmp_path):
    cases = make_cases(tmp_path / "in", *(f"pause {number}" for number in range(4)))
    run(replace(copying, overlaps=True), cases)
    lines = list(records(manifests_in(Path(copying.output))))
    given = [record["case_id"] for record in lines if record["state"] == "running"]
    done = [record["case_id"] for record in lines if record["state"] == "done"]
    assert given == done == [case.id for case in cases]
    place = {(record["case_id"], record["state"]): number for number, record in enumerate(lines)}
    for before, after in pairwise(given):
        assert place[after, "running"] < place[before, "done"]


def test_nothing_is_done_twice_and_what_has_changed_is_done_again(copying, tmp_path):
    first, second, third = cases = make_cases(tmp_path / "in", "a", "b", "c")
    assert run(copying, cases, workers=2).done == 3
    assert run(copying, cases).kept == 3
    (Path(copying.output) / "a.copy").write_text("A")  # as long as before
    assert run(copying, cases).kept == 3
    assert run(copying, cases, verify=True).done == 1
    (Path(copying.output) / "b.copy").unlink()
    tally = run(copying, [first, second, replace(third, identity="2")])
    assert (tally.kept, tally.done) == (1, 2)
    assert copied(copying) == {"a": 2, "b": 2, "c": 2}
    states = last_states(manifests_in(Path(copying.output)))
    other = what_to_do(cases, states, replace(KEY, weights_sha256="x" * 64), Place(copying.output))
    assert [(attempt.case.id, attempt.number) for attempt in other.attempts] == [("a", 3), ("b", 3), ("c", 3)]


def test_quarantine_is_left_when_somebody_asks(copying, tmp_path):
    cases = make_cases(tmp_path / "in", "bug")
    assert run(copying, cases).failed == {"bug": 1}
    assert run(copying, cases).left_aside == 1
    assert run(copying, cases, again=True).failed == {"bug": 1}
    assert copied(copying) == {"bug": 2}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_begins_once(copying, tmp_path, workers):
    run(copying, make_cases(tmp_path / "in", *map(str, range(20))), workers)
    begun = Counter(note[0] for note in notes_of(copying) if note[1] == "begin")
    assert set(begun.values()) == {1}
    assert len(begun) <= workers
    assert copied(copying) == {str(number): 1 for number in range(20)}
