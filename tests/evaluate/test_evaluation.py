"""What a user asks for, from Python: the checks are those of the command, which tests/cli goes through one by one."""

from openvista.evaluate.evaluation import Evaluation, prepare_evaluation
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
