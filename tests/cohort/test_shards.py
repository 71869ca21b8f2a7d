"""Shards put together are what one run would have been."""

from pathlib import Path

import pytest

from openvista.cohort.case import Attempt, CohortCase
from openvista.cohort.driver import drive, what_to_do
from openvista.cohort.engines.local import LocalEngine
from openvista.cohort.manifest import Shard, last_states, manifest_path, manifests_in, open_manifest
from openvista.cohort.shards import merge_shards
from openvista.cohort.storage import Place
from openvista.errors import InputError
from small_cohort import KEY, Copying, make_cases


def run(copying: Copying, cases, shard: Shard | None) -> None:
    out = Path(copying.output)
    part = cases if shard is None else shard.part(cases)
    with open_manifest(out, shard, KEY) as manifest:
        manifest.begin(len(part), {1: "liver"})
        todo = what_to_do(part, last_states(manifests_in(out)), KEY, Place(copying.output))
        engine = LocalEngine([copying])
        try:
            drive(todo, engine, manifest)
        finally:
            engine.close()


def test_two_shards_are_one_run(copying, tmp_path):
    cases = make_cases(tmp_path / "in", "a", "b", "bug", "c")
    run(copying, cases, Shard(0, 2))
    run(copying, cases, Shard(1, 2))
    out = Path(copying.output)
    assert merge_shards(out) == ({1: "liver"}, 0)
    assert list(manifests_in(out)) == [manifest_path(out, None)]
    states = {case_id: last.state for case_id, last in last_states(manifests_in(out)).items()}
    assert states == {"a": "done", "b": "done", "bug": "quarantined", "c": "done"}
    todo = what_to_do(cases, last_states(manifests_in(out)), KEY, Place(copying.output))
    assert (todo.kept, todo.left_aside, todo.attempts) == (3, 1, [])


def test_what_a_shard_has_not_come_to_is_told(tmp_path):
    for shard in (Shard(0, 2), Shard(1, 2)):
        with open_manifest(tmp_path, shard, KEY) as manifest:
            manifest.begin(2, {1: "liver"})
            manifest.started(Attempt(CohortCase("ab"[shard.index], "x")))
    assert merge_shards(tmp_path) == ({1: "liver"}, 4)


def test_shards_that_are_missing_or_at_work(copying, tmp_path):
    out = Path(copying.output)
    with pytest.raises(InputError, match="no manifest of a shard"):
        merge_shards(tmp_path)
    with open_manifest(out, Shard(0, 3), KEY) as manifest:
        manifest.begin(0, {})
    with pytest.raises(InputError, match="shard 1/3, 2/3 has left no manifest"):
        merge_shards(out)
