"""Command lines: unknown ids, exit codes, one line."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from openvista.bundle.command import check_arguments
from openvista.errors import InputError

INFERENCE = "configs/inference.json"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--input_dct", "{}"], "nearest is 'input_dict'"),
        (["--inferer#rois", "1", "--output_dir#x", "1"], None),
        (["--postprocessing#transforms#9#_disabled_", "false"], "there is no '9'"),
        (["--displayable_configs#overlp", "1"], "nearest is 'overlap'"),
        (["--head_trt_enabled", "true"], "TensorRT"),
        (["--modality", "CT_BODY"], "CT alone"),
    ],
)
def test_unknown_ids_are_named(in_tiny: Path, arguments: Sequence[str], words: str | None) -> None:
    command = ["run", "--config_file", INFERENCE, *arguments]
    if words is None:  # arguments of a component: its own constructor refuses what it does not have
        return check_arguments(command)
    with pytest.raises(InputError, match=words):
        check_arguments(command)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config_file", INFERENCE, "--input_dict", "{'image': 'ct.nii.gz'}", "--output_dir=out"],
        [
            "--config_file",
            f"['{INFERENCE}','configs/batch_inference.json']",
            "--input_dir=DIR",
            "--input_suffix",
            "*.nii",
        ],
        ["--config_file", f"[{INFERENCE}, configs/batch_inference.json]", "--dataset#data", "[]", "--run_id", "run"],
        ["--config_file", INFERENCE, "--postprocessing#transforms#0#_disabled_", "false", "--evaluator#amp", "False"],
        ["--config_file", INFERENCE, "--_meta_#version", "1", "--logging_file", "x", "--meta_file", "y"],
        ["--config_file=['configs/train.json','configs/train_continual.json']", "--lr_schedule#activate", "True"],
        ["--config_file=['configs/train.json']", "--train#trainer#max_epochs", "3", "--train#handlers#0#strict", "1"],
    ],
)
def test_known_ids_pass(in_tiny: Path, arguments: Sequence[str]) -> None:
    check_arguments(["run", *arguments])


def test_tensorrt_on_top_is_refused(in_tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "inference_trt.json").write_text('{"network_trt_args": {}, "head_trt_enabled": false}')
    with pytest.raises(InputError, match="TensorRT"):
        check_arguments(["run", "--config_file", f"['{INFERENCE}','{tmp_path}/inference_trt.json']"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--input_dict", "{'image':'ct.nii.gz','label_prompt':[999]}"], "no class has id 999"),
        pytest.param(
            ["--input_dct", "{'image':'ct.nii.gz'}"],
            "no id 'input_dct'",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(tiny_bundle: Path, arguments: Sequence[str], words: str) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", "--config_file", INFERENCE, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tiny_bundle, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert [words in line for line in done.stderr.splitlines() if "openvista: error:" in line] == [True]
    assert not (tiny_bundle / "eval").exists()
