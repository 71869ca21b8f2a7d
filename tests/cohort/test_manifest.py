"""What is noted can be read again, by whoever comes later, whatever has happened in between."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from openvista.cohort.case import Attempt, CaseResult, CohortCase, OutputFile
from openvista.cohort.failures import Failure
from openvista.cohort.manifest import (
    Shard,
    headers,
    last_records,
    last_states,
    manifest_path,
    manifests_in,
    open_manifest,
)
from openvista.errors import InputError, OutputError
from small_cohort import KEY

CASE = CohortCase("site/ä 1", "/in/ä 1.nii.gz", "5:7")
OUTPUT = OutputFile("site/ä 1_seg.nii.gz", "f" * 64, 12)
DONE = CaseResult(
    Attempt(CASE, 2, 2), (OUTPUT,), {1: 2.5}, (1,), ("odd",), None, "host", 3, "cpu", 1.0, 2.0, 1.0, {1: ("HU",)}
)
BROKEN = replace(DONE, outputs=(), failure=Failure("bug", "KeyError", "why", "trace"))


def write(folder, *ends, shard=None):
    with open_manifest(folder, shard, KEY) as manifest:
        manifest.begin(4, {1: "liver"})
        for result, state in ends:
            manifest.started(result.attempt)
            if state:
                manifest.ended(result, state)


def test_the_last_line_of_a_case_counts(tmp_path):
    other = replace(DONE, attempt=Attempt(CohortCase("b", "b.nii", "1")))
    write(tmp_path, (BROKEN, "waiting"), (DONE, "done"), (other, "done"), (other, None))
    states = last_states(manifests_in(tmp_path))
    assert states["site/ä 1"].outputs == (OUTPUT,)
    assert (states["site/ä 1"].state, states["site/ä 1"].number) == ("done", 2)
    assert states["site/ä 1"].is_of("5:7", KEY)
    assert not states["site/ä 1"].is_of("5:8", KEY)
    assert states["b"].state == "running"
    assert not states["b"].is_of("1", KEY)
    record = next(iter(last_records(manifests_in(tmp_path))))
    assert record["volumes_ml"] == {"1": 2.5}
    assert record["warnings"] == ["odd"]
    assert record["unlikely"] == {"1": ["HU"]}
    assert (record["host"], record["pid"], record["device"]) == ("host", 3, "cpu")
    assert headers(manifest_path(tmp_path, None))[0]["cases"] == 4


def test_the_later_of_two_manifests_counts(tmp_path):
    write(tmp_path, (DONE, "done"), shard=Shard(1, 2))
    write(tmp_path, (BROKEN, "quarantined"), shard=Shard(0, 2))
    assert last_states(manifests_in(tmp_path))["site/ä 1"].state == "quarantined"
    assert manifests_in(tmp_path) == {
        tmp_path / "manifest.0-of-2.jsonl": Shard(0, 2),
        tmp_path / "manifest.1-of-2.jsonl": Shard(1, 2),
    }


def test_a_clock_that_is_put_back_changes_nothing_within_a_manifest(tmp_path):
    write(tmp_path, (BROKEN, "waiting"), (DONE, "done"))
    path = manifest_path(tmp_path, None)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[-1]["time"] = 1.0
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert last_states([path])["site/ä 1"].state == "done"


def test_a_line_that_was_cut_off_costs_only_itself(tmp_path):
    path = manifest_path(tmp_path, None)
    write(tmp_path, (DONE, "done"))
    path.write_text(path.read_text() + '{"case_id": "c", "sta')
    other = replace(DONE, attempt=Attempt(CohortCase("b", "b.nii", "1")))
    write(tmp_path, (other, "done"))
    assert {case_id: last.state for case_id, last in last_states([path]).items()} == {"site/ä 1": "done", "b": "done"}
    named = [json.loads(line).get("case_id") for line in path.read_text().splitlines()]
    assert [name for name in named if name] == ["site/ä 1"] * 2 + ["b"] * 2


@pytest.mark.parametrize("line", ['{"openvista_manifest": 2, "cases": 1}', "[1, 2]"])
def test_manifests_of_others_are_refused(tmp_path, line):
    path = manifest_path(tmp_path, None)
    path.write_text(line + "\n")
    with pytest.raises(InputError, match="choose another output folder"):
        last_states([path])


def test_two_drivers_in_one_folder(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom openvista.cohort.manifest import JobKey, Shard, open_manifest\n"
        "with open_manifest(Path(sys.argv[1]), Shard(0, 2), JobKey('s', 'w')):\n"
        "    print('in', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        for shard in (None, Shard(0, 2)):
            with pytest.raises(InputError, match=f"process {other.pid} of .* works there"):
                write(tmp_path, shard=shard)
        write(tmp_path, shard=Shard(1, 2))
        other.kill()
    write(tmp_path)


@pytest.mark.parametrize("text", ["3/3", "-1/2", "1", "a/b", "1/2/3", ""])
def test_shards_that_make_no_sense(text):
    with pytest.raises(InputError, match="INDEX/COUNT"):
        Shard.parse(text)


def test_shards_share_all_cases():
    parts = [Shard.parse(f"{index}/3").part(range(10)) for index in range(3)]
    assert sorted(number for part in parts for number in part) == list(range(10))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file that is always full")
def test_a_full_disk_is_one_line_also_when_the_file_is_closed(tmp_path):
    manifest_path(tmp_path, None).symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left on device"), open_manifest(tmp_path, None, KEY) as manifest:
        manifest.begin(4, {1: "liver"})
