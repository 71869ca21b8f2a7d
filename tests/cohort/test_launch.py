"""How many workers there are, and where the manifest lies."""

from pathlib import Path

import pytest
import torch

from openvista.cohort.case import CohortCase, Segmenter
from openvista.cohort.launch import CohortPlan, local_plans, state_folder
from openvista.cohort.manifest import Shard
from openvista.errors import DeviceError, InputError
from openvista.inference.profiles import BEST


def segmenter(device: str = "cpu") -> Segmenter:
    return Segmenter(output="out", model="starter", device=device, precision="auto", profile=BEST, classes=(1,))


@pytest.fixture
def four_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("workers", "tries", "threads"),
    [(None, 100, [1, 1, 1, 1]), (2, 100, [2, 2]), (3, 100, [1, 1, 1]), (None, 1, [4]), (8, 2, [2, 2])],
)
def test_workers_share_the_cores(four_cores, workers, tries, threads):
    plans = local_plans(segmenter(), workers, tries)
    assert [plan.threads for plan in plans] == threads
    assert {plan.device for plan in plans} == {"cpu"}


def test_a_device_that_is_not_there():
    with pytest.raises(DeviceError, match="cuda:7"):
        local_plans(segmenter("cuda:7"), None, 1)


def test_where_the_manifest_lies(tmp_path):
    assert state_folder(str(tmp_path), None) == tmp_path
    assert state_folder(f"file://{tmp_path}", None) == tmp_path
    assert state_folder("s3://bucket/out", tmp_path) == tmp_path
    with pytest.raises(InputError, match="--state FOLDER"):
        state_folder("s3://bucket/out", None)


def test_a_shard_has_its_own_files():
    cases = tuple(CohortCase(name, name) for name in "abcde")
    plan = CohortPlan(cases=cases, segmenter=segmenter(), weights_sha256="w", names={1: "liver"}, state=Path("state"))
    part = plan.of_shard(Shard(1, 2))
    assert [case.id for case in part.cases] == ["b", "d"]
    assert part.progress_file == Path("state/progress.1-of-2.json")
    assert part.key == plan.key
