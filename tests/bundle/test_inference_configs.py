"""MONAI runs the inference commands that users of the official bundle know."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from openvista.bundle.command import cause_of
from openvista.errors import AnatomyError, ModelError, PromptError
from openvista.weights import read_card
from openvista.weights.card import sha256_of

bundle = pytest.importorskip("monai.bundle")

INFERENCE = "configs/inference.json"


def run(configs: list[str], out: Path, **override: Any) -> None:
    bundle.run(config_file=configs, logging_file=False, output_dir=str(out), **override)


def written(out: Path, name: str = "ct0") -> np.ndarray:
    return np.asarray(nib.load(out / name / f"{name}_trans.nii.gz").dataobj)


def official_override(folder: Path, name: str) -> str:
    """What the official files of this name override, by ids; the words are ours."""
    contents = {
        "batch_inference": {
            "input_dir": "@bundle_root",
            "input_suffix": "*.nii.gz",
            "input_list": "$sorted(glob.glob(os.path.join(@input_dir, @input_suffix)))",
            "input_dicts": "$[{'image': x, 'label_prompt': @everything_labels} for x in @input_list]",
            "dataset#data": "@input_dicts",
        },
        "mgpu_inference": {
            "device": "$torch.device(os.environ.get('TEST_DEVICE', 'cpu'))",
            "network": {
                "_target_": "torch.nn.parallel.DistributedDataParallel",
                "module": "$@network_def.to(@device)",
                "find_unused_parameters": True,
            },
            "sampler": {
                "_target_": "DistributedSampler",
                "dataset": "@dataset",
                "even_divisible": False,
                "shuffle": False,
            },
            "dataloader#sampler": "@sampler",
            "initialize": [
                "$import torch.distributed as dist",
                "$dist.is_initialized() or dist.init_process_group(backend='gloo')",
                "$monai.utils.set_determinism(seed=123)",
            ],
            "run": ["$@evaluator.run()"],
            "finalize": ["$dist.is_initialized() and dist.destroy_process_group()"],
        },
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(contents[name]))
    return str(path)


def test_everything_and_names_and_ids(in_tiny: Path, cases: Path, tmp_path: Path) -> None:
    image = str(cases / "ct0.nii.gz")
    run([INFERENCE], tmp_path / "all", input_dict={"image": image})
    everything = written(tmp_path / "all")
    assert everything.shape == nib.load(image).shape
    assert everything.dtype == np.float32
    found = {int(value) for value in np.unique(everything)}
    assert found <= {0, *read_card(in_tiny / "models/card.json").classes}
    assert len(found) > 2, "the network should find several classes"
    run([INFERENCE], tmp_path / "some", input_dict={"image": image, "label_prompt": [121, "Liver"]})
    some = {int(value) for value in np.unique(written(tmp_path / "some"))}
    assert some <= {0, 1, 121}
    told = json.loads((tmp_path / "some/ct0/ct0_trans.json").read_text())
    assert told["prompts"] == {"label_prompt": [121, "Liver"]}
    assert told["labels"] == {str(one): {1: "liver", 121: "spinal cord"}[one] for one in sorted(some - {0})}
    assert told["weights_sha256"] == sha256_of(in_tiny / "models/model.pt")


def test_groups_become_their_parts(in_tiny: Path, cases: Path, tmp_path: Path) -> None:
    run([INFERENCE], tmp_path, input_dict={"image": str(cases / "ct0.nii.gz"), "label_prompt": [2]})
    assert {int(value) for value in np.unique(written(tmp_path))} <= {0, 5, 14}


@pytest.mark.parametrize("unseen", [0, 255])
def test_clicks_alone(in_starter: Path, cases: Path, tmp_path: Path, unseen: int) -> None:
    asked = {"image": str(cases / "ct0.nii.gz"), "points": [[12, 11, 10], [2, 2, 2]], "point_labels": [1, 0]}
    run(
        [INFERENCE],
        tmp_path,
        input_dict=asked,
        unseen_value=unseen,
        patch_size=[32, 32, 32],
        resample_spacing=[1, 1, 1],
    )
    values = {int(value) for value in np.unique(written(tmp_path))}
    assert values <= {0, 1, unseen}
    assert (255 in values) == (unseen == 255), "a window of 32 voxels does not cover the scan"


def test_clicks_on_a_class_and_on_something_new(in_starter: Path, cases: Path, tmp_path: Path) -> None:
    points = {"image": str(cases / "ct0.nii.gz"), "points": [[12, 11, 10]], "point_labels": [1]}
    run([INFERENCE], tmp_path / "class", input_dict={**points, "label_prompt": [121]})
    assert {int(value) for value in np.unique(written(tmp_path / "class"))} <= {0, 121}
    run([INFERENCE], tmp_path / "new", input_dict={**points, "label_prompt": [200]})
    assert {int(value) for value in np.unique(written(tmp_path / "new"))} <= {0, 1}


def test_overrides_on_the_command_line(in_tiny: Path, cases: Path, tmp_path: Path) -> None:
    override = {
        "postprocessing#transforms#0#_disabled_": False,
        "inferer#overlap": 0.5,
        "evaluator#amp": False,
        "output_postfix": "seg",
        "output_dtype": "$np.uint8",
        "separate_folder": False,
        "sw_batch_size": 4,
        "resample_spacing": [-1, -1, -1],
    }
    run([INFERENCE], tmp_path, input_dict="$[{'image': '" + str(cases / "ct0.nii.gz") + "'}]", **override)
    result = nib.load(tmp_path / "ct0_seg.nii.gz")
    assert result.get_data_dtype() == np.uint8
    assert np.allclose(result.affine, nib.load(cases / "ct0.nii.gz").affine)


@pytest.mark.parametrize("whose", ["ours", "official"])
def test_a_folder(in_tiny: Path, cases: Path, tmp_path: Path, whose: str) -> None:
    batch = "configs/batch_inference.json" if whose == "ours" else official_override(tmp_path, "batch_inference")
    run([INFERENCE, batch], tmp_path / "out", input_dir=str(cases), input_suffix="ct[01].nii.gz")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ct0", "ct1"]


@pytest.mark.usefixtures("as_torchrun")
@pytest.mark.parametrize("whose", ["ours", "official"])
def test_a_process_among_others_loads_the_weights(in_tiny: Path, cases: Path, tmp_path: Path, whose: str) -> None:
    """The official file drops the loading of the checkpoint; laid on ours it must not."""
    image = str(cases / "ct0.nii.gz")
    run([INFERENCE], tmp_path / "alone", input_dict={"image": image})
    mgpu = "configs/mgpu_inference.json" if whose == "ours" else official_override(tmp_path, "mgpu_inference")
    run([INFERENCE, mgpu], tmp_path / "together", input_dict={"image": image})
    assert np.array_equal(written(tmp_path / "alone"), written(tmp_path / "together"))
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"label_prompt": [999]}, AnatomyError, "no class has id 999"),
        ({"label_prompt": ["spleeen"]}, AnatomyError, "nearest"),
        ({"label_prompt": [200]}, PromptError, "never taught"),
        ({"label_prompt": [1, 3], "points": [[1, 1, 1]], "point_labels": [1]}, PromptError, "one structure"),
        ({"label_prompt": [2], "points": [[1, 1, 1]], "point_labels": [1]}, PromptError, "group"),
        ({"points": [[1, 1, 1]]}, PromptError, "1 points and 0 point_labels"),
        ({"points": [[1, 1, 1]], "point_labels": [7]}, PromptError, "none of -1"),
        ({"points": [[1, 1, 1]], "point_labels": [3]}, PromptError, "2 and 3 are for"),
        ({"points": [[99, 1, 1]], "point_labels": [1]}, PromptError, "outside the scan"),
        ({"label_promt": [1]}, PromptError, "nobody reads"),
    ],
)
def test_wrong_prompts_are_one_line(
    in_tiny: Path, cases: Path, tmp_path: Path, asked: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(RuntimeError) as caught:  # MONAI wraps what comes out of an expression
        run([INFERENCE], tmp_path / "out", input_dict={"image": str(cases / "ct0.nii.gz"), **asked})
    ours = cause_of(caught.value)
    assert type(ours) is error
    assert words in str(ours)
    assert "\n" not in str(ours)
    assert not (tmp_path / "out").exists()


def test_another_network_is_refused(in_tiny: Path, cases: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        run([INFERENCE], tmp_path, input_dict={"image": "x"}, **{"network_def#encoder_embed_dim": 32})
    assert isinstance(cause_of(caught.value), ModelError)
