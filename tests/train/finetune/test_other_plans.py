"""Plans of nnU-Net and of Auto3DSeg: where they lie, which way their axes run, and what is wrong with one."""

import json

import pytest

from openvista.errors import RecipeError
from openvista.train.finetune.other_plans import read_other_plan


def nnunet(folder, **plan):
    content = {"configurations": {"3d_fullres": {"spacing": [5.0, 0.8, 0.7], "patch_size": [40, 192, 160]} | plan}}
    (folder / "nnUNetPlans.json").write_text(json.dumps(content))
    return folder


def auto3dseg(folder, **keys):
    configs = folder / "segresnet_0" / "configs"
    configs.mkdir(parents=True)
    (configs / "hyper_parameters.yaml").write_text(json.dumps(keys))  # JSON is YAML
    return folder


def test_nnunet_counts_axes_the_other_way_round(tmp_path):
    plan = read_other_plan(nnunet(tmp_path))
    assert plan.spacing == (0.7, 0.8, 5.0)
    assert plan.patch == (160, 192, 32)  # multiples of 16, the nearest even one of two


@pytest.mark.parametrize("nested", [False, True])
def test_auto3dseg(tmp_path, nested):
    keys = {"resample_to_spacing": [1, 1, 2.5], "roi_size": [224, 224, 144]}
    plan = read_other_plan(auto3dseg(tmp_path, **({"training": keys} if nested else keys)))
    assert (plan.spacing, plan.patch) == ((1.0, 1.0, 2.5), (224, 224, 144))


def test_what_is_no_plan_is_one_line(tmp_path):
    with pytest.raises(RecipeError, match="is no folder"):
        read_other_plan(tmp_path / "none")
    with pytest.raises(RecipeError, match="holds no plan of nnU-Net"):
        read_other_plan(tmp_path)
    with pytest.raises(RecipeError, match=r"its spacing is '\$@spacing', not three numbers"):
        read_other_plan(auto3dseg(tmp_path, resample_resolution="$@spacing", roi_size=[32, 32, 32]))
    with pytest.raises(RecipeError, match="must be above 0"):
        read_other_plan(nnunet(tmp_path, patch_size=[0, 32, 32]))
    (tmp_path / "nnUNetPlans.json").write_text('{"configurations": {}}')
    with pytest.raises(RecipeError, match="has no readable configuration '3d_fullres'"):
        read_other_plan(tmp_path)
