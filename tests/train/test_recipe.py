"""Recipes: names become ids, mistakes become one line."""

from pathlib import Path

import pytest

from openvista.errors import RecipeError
from openvista.train.recipe_file import read_recipe
from openvista.train.stages import STAGES, stage1, stage2, stage3, stage4

SHORT = {"only_in_label_slices": [], "one_piece": []}
ALONE = {"mirrored": None, **SHORT}


def test_the_starter_recipe_by_names(starter_recipe):
    recipe = read_recipe(starter_recipe)
    assert recipe.classes == {1: 133, 2: 121, 3: 134, 4: 135, 5: 11, 6: 136, 7: 137}
    assert recipe.mirrored_ids == {134: 135, 135: 134}
    assert recipe.class_ids == (11, 121, 133, 134, 135, 136, 137)
    assert recipe.sources[0].only_in_label_slices == (121, 11)
    assert recipe.one_piece == (133, 134, 135, 136, 137)


def test_overrides_win(starter_recipe):
    recipe = read_recipe(starter_recipe, steps=3, fold=None, seed=9)
    assert (recipe.steps, recipe.seed, recipe.fold) == (3, 9, None)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"learning_rat": 1}, "nearest is 'learning_rate'"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"preset": "huge"}, "unknown preset 'huge'"),
        ({"classes": {1: "livr"}}, "liver"),
        ({"classes": {}}, "classes is empty"),
        ({"mirrored": [["left kidney", "right kidney"]]}, "not among the recipe's classes"),
        ({"one_piece": ["spleen"]}, "class 3 of one_piece is not among extra_names"),
        ({"precision": "int3"}, "precision"),
        ({"stage": ["x"]}, "unknown stage"),
        ({"window": [0, 48, 48]}, "multiples of 16"),
        ({"window": [16, 16, 16]}, "more than 16 along one axis"),  # was a traceback in the first step
        ({"hu_window": [900, -500]}, "the first must be below the second"),
        ({"augmentation": {"zoom": -1}}, "zoom is -1"),
        ({"name": "my model"}, "cannot name a model"),
        (
            {"extra_names": {600: "thing"}, "classes": {1: "thing"}, **ALONE},
            "id 600 is not one of a model's own, 133..511",
        ),
        ({"extra_aliases": {133: ["spinal cord"]}}, "spinal cord"),
        ({"extra_aliases": {121: ["esophagus"]}}, "esophagus"),
        ({"classes": {1: "right parotid"}, **ALONE}, "'right parotid' has no pair in mirrored"),
        ({"mirrored": []}, "has no pair in mirrored"),
        ({"optimiser": "sgd"}, "optimiser"),
    ],
)
def test_a_mistake_is_one_line(starter_recipe, override, words):
    with pytest.raises(RecipeError, match=words) as caught:
        read_recipe(starter_recipe, **override)
    assert "\n" not in str(caught.value)


def test_missing_and_garbled_files(tmp_path):
    with pytest.raises(RecipeError, match="does not exist"):
        read_recipe(tmp_path / "none.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("classes: [")
    with pytest.raises(RecipeError, match="not YAML"):
        read_recipe(bad)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path)
    bad.write_text("name: x\n1: spleen")
    with pytest.raises(RecipeError, match="1 is no key"):
        read_recipe(bad)
    bad.write_text("just words")
    with pytest.raises(RecipeError, match="key: value"):
        read_recipe(bad)


def test_a_list_beside_the_recipe_is_found(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text("name: x\ndatalist: here.json\nclasses: {1: liver}")
    assert read_recipe(file).datalist == Path("here.json")
    (tmp_path / "here.json").write_text("{}")
    assert read_recipe(file).datalist == tmp_path / "here.json"


def test_a_recipe_has_the_keys_of_the_file_it_includes_and_its_own_win(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.yaml").write_text("include: ../base.yaml\nseed: 5")
    (tmp_path / "base.yaml").write_text("datalist: d.json\nextra_names: {133: thing}\nclasses: {1: thing}\nseed: 4")
    file = tmp_path / "r.yaml"
    file.write_text("include: sub/more.yaml\nname: x\nfold: 2")
    recipe = read_recipe(file)
    assert (recipe.classes, recipe.seed, recipe.fold) == ({1: 133}, 5, 2)
    assert read_recipe(file, seed=6).seed == 6
    assert "include" not in recipe.model_dump()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("include: r.yaml", "includes r.yaml, which leads back to it"),
        ("include: other.yaml", "includes r.yaml, which leads back to it"),
        ("include: none.yaml", "none.yaml does not exist"),
        ("include: [a.yaml]", "name one file"),
    ],
)
def test_an_include_that_cannot_be_followed_is_one_line(tmp_path, content, words):
    (tmp_path / "r.yaml").write_text(content)
    (tmp_path / "other.yaml").write_text("include: r.yaml")
    with pytest.raises(RecipeError, match=words) as caught:
        read_recipe(tmp_path / "r.yaml")
    assert "\n" not in str(caught.value)


def test_a_recipe_of_before_is_read(starter_recipe):
    """Its share of zoomed and turned patches had another name."""
    recipe = read_recipe(starter_recipe, augmentation={"bend": 0.25, "chance": 0.1})
    assert (recipe.augmentation.spatial_share, recipe.augmentation.chance) == (0.25, 0.1)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_gives_the_defaults_and_the_recipe_overrides_them(tmp_path, stage):
    file = tmp_path / "r.yaml"
    file.write_text(f"name: x\ndatalist: d.json\nclasses: {{1: liver}}\nstage: {stage}\nstart_from: starter\n")
    recipe = read_recipe(file)
    defaults = STAGES[stage]().model_dump()
    assert {key: getattr(recipe, key) for key in defaults} == defaults
    assert read_recipe(file, learning_rate=0.5, steps=7).learning_rate == 0.5
    assert read_recipe(file, steps=7).epochs is None


def test_paper_stages_differ_as_in_the_paper():
    assert stage2().model_copy(update={"stage": "stage1", "supervoxels": True, "oversample": None}) == stage1()
    assert stage4().model_copy(update={"stage": "stage3", "oversample": None}) == stage3()
    assert stage1().trained == ("encoder", "point")
    assert stage3().trained == ("automatic",)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"augmentation": {"spatial_share": 1.5}}, "spatial_share is 1.5: give a share"),
        ({"augmentation": {"zom": 1}}, "augmentation.zoom"),
        ({"mixing": {"unlabeled": 1}}, "mixing.unlabelled"),
        ({"mixing": {"plain": 0.9}}, "sum to 1.3"),
        ({"mixing": {"unseen_plain": 1.5}}, "unseen_plain is 1.5: give a share"),
        ({"mixing": {"unseen": -0.1}}, "unseen is -0.1: give a share"),
        ({"stage": "stage9"}, "unknown stage 'stage9'; there are stage1"),
        ({"trained": ["encoder"]}, "'automatic' is not in trained"),
        ({"trained": ["encoder", "automatic", "point"]}, "nothing would train it"),
        ({"start_share": 0.5}, "start_share is 0.5, but start_from names no model"),
        ({"start_from": "starter", "start_share": 1.5}, "start_share"),
        ({"trained": ["automatic"]}, "the encoder is frozen, but start_from names no model"),
        ({"steps": 3, "epochs": 2}, "steps and epochs exclude each other"),
        ({"window": [40, 48, 48]}, "multiples of 16"),
        ({"schedule": "linear"}, "schedule"),
        ({"more_data": [{"datalist": "b.json", "classes": {1: "livr"}}]}, "liver"),
        ({"more_data": [{"datalist": "b.json", "classes": {1: 1}, "fold": 1}]}, "unknown key 'more_data.0.fold'"),
        ({"classes": 3}, "cannot be read"),
        ({"patience": 0}, "patience"),
        ({"loss": {"dice": 0, "cross_entropy": 0}}, "nothing would be learnt"),
        ({"loss": {"dice": -1}}, "dice is -1: give 0 or more"),
        ({"loss": {"focal": 2}}, "the nearest is 'loss.focal_gamma'"),
        ({"challenge": {"percentile": [1, 99]}}, "the nearest is 'challenge.percentiles'"),
        ({"max_point": 0}, "most_clicks"),
    ],
)
def test_impossible_combinations_are_said(starter_recipe, override, words):
    with pytest.raises(RecipeError, match=words) as caught:
        read_recipe(starter_recipe, **override)
    assert "\n" not in str(caught.value)


def test_left_and_right_are_paired_by_name_where_the_recipe_does_not_say(starter_recipe):
    paired = read_recipe(
        starter_recipe, mirrored=None, classes={1: "left kidney", 2: "kidney right", 3: "liver"}, **SHORT
    )
    assert paired.mirrored_ids == {5: 14, 14: 5}
    one_sided = {"classes": {1: "left kidney"}, "mirrored": None, **SHORT}
    assert read_recipe(starter_recipe, augmentation={"mirror": False}, **one_sided).mirrored_ids == {}
    clicks = {"trained": ["encoder", "point"], "class_probability": 0, "click_probability": 1}
    assert read_recipe(starter_recipe, **clicks, **one_sided).augmentation.mirror


def test_epochs_become_steps(starter_recipe):
    recipe = read_recipe(starter_recipe, steps=None, epochs=3)
    assert recipe.steps_for(cases=10, processes=1) == 3 * 2 * 10 / 2
    assert recipe.steps_for(cases=11, processes=2) == 17
    assert read_recipe(starter_recipe, steps=None, epochs=3, accumulate=3).steps_for(10, 1) == 10


def test_more_data_lists_by_names(starter_recipe):
    more = [{"datalist": "b.json", "classes": {1: "liver", 2: "larynx"}}]
    recipe = read_recipe(starter_recipe, more_data=more, pseudo_classes=["spleen"])
    assert recipe.sources[1].classes == {1: 1, 2: 136}
    assert recipe.class_ids == (1, 3, 11, 121, 133, 134, 135, 136, 137)


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "automatic"])
def test_the_recipe_of_the_paper_has_every_stage(starter_recipe, stage):
    own = {"datalist": "dataset.json", "classes": {1: "spleen"}}
    recipe = read_recipe(starter_recipe.parent / "paper.yaml", stage=stage, start_from="starter", **own)
    assert recipe.stage == recipe.name == stage
    assert recipe.trained == STAGES[stage]().trained
    assert (recipe.learning_rate, recipe.epochs) == (STAGES[stage]().learning_rate, STAGES[stage]().epochs)


def test_keys_of_the_original_by_their_own_names(starter_recipe):
    recipe = read_recipe(starter_recipe, max_point=5, num_patches_per_image=3, steps=None, epochs=2)
    assert (recipe.most_clicks, recipe.patches_per_case) == (5, 3)
    assert recipe.steps_for(4, 1) * recipe.patches_per_step == 2 * 3 * 4
