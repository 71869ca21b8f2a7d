"""What a user asks for, from Python: the checks are those of the command, which tests/cli goes through one by one."""

import torch

from openvista.distributed import Ranks
from openvista.evaluate.evaluation import Evaluation, _own_device, prepare_evaluation
from small_evaluation import save_tiny, write_cases


def test_everything_is_known_before_work_begins(tmp_path):
    datalist, model = write_cases(tmp_path), save_tiny(tmp_path / "model")
    asked = Evaluation(
        datalist=datalist, model=str(model), device="cpu", only_in_slices="liver", tolerances=["spleen=1"]
    )
    prepared = prepare_evaluation(asked, "a command")
    assert list(prepared.cases) == ["ct0", "ct1", "ct2"]
    assert prepared.share == 3
    assert (prepared.info.command, prepared.info.only_in_slices, prepared.info.tolerances) == (
        "a command",
        (1,),
        {3: 1},
    )
    done = []
    results = prepared.work(done.append)
    assert done == [record.case for record in results.records] == ["ct0", "ct1", "ct2"]


def test_each_process_of_a_machine_takes_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [_own_device("auto", Ranks(n, 4, local_rank=n)) for n in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert _own_device("cpu", Ranks(1, 4, local_rank=1)) == "cpu"
    assert _own_device("auto", Ranks()) == "auto"
