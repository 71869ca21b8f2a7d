"""Recipes with label maps: mixed with real lists, partial, mirrored, resumed exactly, validated on held-out maps."""

import csv
import shutil
from collections import Counter

import pytest
import torch
from tiny_training import RECIPE, load, tiny_recipe, write_recipe

from openvista.errors import RecipeError
from openvista.train.loop import Trainer
from openvista.train.recipe_file import make_recipe, read_recipe
from openvista.train.samples import draw_sample, random_source
from openvista.train.synthetic import choose_source
from small_bodies import write_body, write_names

STRUCTURES = {"liver": None, "right kidney": None, "left kidney": None, "spine": ["vertebrae *"]}
MORE = {"extra_names": {133: "bright ball", 134: "dim ball", 135: "spine"}}


def label_maps(folder, held_out=True, **synthesis):
    names = write_names(folder)
    maps = [{"path": str(write_body(folder, "a")), "names": str(names)}]
    if held_out:
        maps.append({"path": str(write_body(folder, "b", grown=1.4)), "names": str(names), "held_out": True})
    return {"label_maps": maps, "structures": STRUCTURES, "synthesis": {"share": 0.5, **synthesis}}


@pytest.fixture(scope="module")
def recipe(tiny_list, tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    return tiny_recipe(tiny_list, **MORE, more_data=[label_maps(folder)], spacing=[6, 6, 6], validate_every=3)


@pytest.fixture(scope="module")
def mixed(recipe):
    return load(recipe)


def test_real_and_synthetic_patches_are_mixed_by_share(mixed, recipe):
    drawn = Counter(draw_sample(mixed, recipe, step, 0).case[:2] for step in range(60))
    assert 15 <= drawn["a,"] <= 45
    assert sum(drawn.values()) - drawn["a,"] >= 15


def test_only_what_a_source_knows_is_asked(mixed, recipe):
    asked = {"real": set(), "drawn": set()}
    for step in range(30):
        sample = draw_sample(mixed, recipe, step, 0)
        kind = "drawn" if sample.case.startswith("a,") else "real"
        asked[kind] |= set() if sample.classes is None else set(sample.classes.ids_K.tolist())
    assert asked["real"] <= {133, 134}
    assert asked["drawn"] == {1, 5, 14, 135}


def test_a_patch_that_is_used_again_looks_different(mixed, recipe):
    source = mixed.synthetic[0]
    one, two = (source.patch(0, 0, random_source(seed, 1))[1] for seed in (1, 1))
    assert torch.equal(one.image_XYZ, two.image_XYZ)
    patches = [source.patch(0, 0, random_source(seed, 1)) for seed in range(60)]
    by_name = {}
    for name, patch in patches:
        by_name.setdefault(name, []).append(patch)
    pairs = [found[:2] for found in by_name.values() if len(found) > 1]
    assert all(torch.equal(a.labels_XYZ, b.labels_XYZ) for a, b in pairs)
    assert any(not torch.equal(a.image_XYZ, b.image_XYZ) for a, b in pairs)


def test_held_out_maps_are_validated_on(mixed, recipe):
    assert [case.name for case in mixed.validation] == ["ct0", "b, drawing 0", "b, drawing 1"]
    drawing = mixed.validation[1]
    assert drawing.annotated == (1, 5, 14, 135)
    assert all(len(drawing.places[class_id]) for class_id in drawing.annotated)
    assert 0 <= float(drawing.image_XYZ.min()) < float(drawing.image_XYZ.max()) <= 1


def test_a_run_goes_on_exactly(tiny_list, tmp_path):
    keys = MORE | {"more_data": [label_maps(tmp_path, False)], "spacing": [6, 6, 6], "schedule": "constant"}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    Trainer(tiny_recipe(tiny_list, **keys), whole).run()
    Trainer(tiny_recipe(tiny_list, **keys, steps=2), parts).run()
    Trainer(tiny_recipe(tiny_list, **keys), parts, resume=True).run()
    rows = [list(csv.DictReader((folder / "train.csv").open(newline=""))) for folder in (whole, parts)]
    assert [row["loss"] for row in rows[0]] == [row["loss"] for row in rows[1]]
    assert all(0 <= float(row["waited"]) <= 1 for row in rows[1])


def test_label_maps_alone_train_a_network(tmp_path):
    keys = RECIPE | MORE | {"classes": {}, "spacing": [6, 6, 6], "steps": 2, "fold": None}
    recipe = make_recipe(keys | {"more_data": [label_maps(tmp_path, share=1.0)]}, "the test's recipe")
    Trainer(recipe, tmp_path / "run").run()
    rows = list(csv.DictReader((tmp_path / "run" / "train.csv").open(newline="")))
    assert len(rows) == 2
    assert {name[:2] for name in (draw_sample(load(recipe), recipe, step, 0).case for step in range(3))} == {"a,"}


def test_everything_drawn_is_a_supervoxel_for_clicks(tiny_list, tmp_path):
    clicks = {"stage": "stage1", "trained": ["encoder", "point"], "rounds": 0}
    recipe = tiny_recipe(
        tiny_list, **MORE, **clicks, more_data=[label_maps(tmp_path, False, share=1.0)], spacing=[6, 6, 6]
    )
    data = load(recipe)
    _, patch = data.synthetic[0].patch(0, 0, random_source(1))
    assert len(patch.supervoxels_XYZ.unique()) > len(patch.labels_XYZ.unique())
    samples = [draw_sample(data, recipe, step, 0) for step in range(6)]
    ids = torch.cat([one.clicks.objects.class_ids_B for one in samples if one.clicks is not None])
    assert 0 in ids.tolist()  # an object that is no class


def test_sources_are_chosen_by_their_shares():
    class Share:
        def __init__(self, share):
            self.share = share

    sources = [Share(0.2), Share(0.3)]
    chosen = Counter(getattr(choose_source(sources, random_source(seed)), "share", None) for seed in range(600))
    assert abs(chosen[0.2] / 600 - 0.2) < 0.06
    assert abs(chosen[0.3] / 600 - 0.3) < 0.06
    random = random_source(7)
    assert choose_source([], random) is None
    assert torch.equal(torch.rand(1, generator=random), torch.rand(1, generator=random_source(7)))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"structures": {}}, "structures is empty"),
        ({"synthesis": {"share": 0.5, "armss": 1}}, "armss"),
        ({"synthesis": {"share": 3}}, "give a share from 0 to 1"),
        ({"datalist": "list.json"}, "make two sources of them"),
        ({"structures": {"livver": None}}, "no class is called 'livver'; nearest: 'liver'"),
    ],
)
def test_mistakes_in_a_recipe_are_one_line(tiny_list, tmp_path, change, line):
    source = label_maps(tmp_path) | change
    with pytest.raises(RecipeError, match=line) as error:
        make_recipe(RECIPE | MORE | {"datalist": str(tiny_list), "more_data": [source]}, "the test's recipe")
    assert "\n" not in str(error.value)


def test_paths_of_label_maps_start_from_the_recipe(tiny_list, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    source = label_maps(inner, held_out=False)
    source["label_maps"] = [{"path": "a.nii.gz", "names": "names.json"}]
    recipe = read_recipe(write_recipe(inner, tiny_list, **MORE, more_data=[source]))
    assert recipe.sources[1].label_maps[0].path == inner / "a.nii.gz"
    shutil.rmtree(inner)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"share": 0.5}, "without a datalist every patch is drawn, not 0.5"),
        ({"share": 1.0, "steps": None, "epochs": 3}, "epochs count the cases of data lists"),
    ],
)
def test_label_maps_alone_need_every_patch_and_steps(tmp_path, keys, line):
    source = label_maps(tmp_path, share=keys["share"])
    content = RECIPE | MORE | {"classes": {}, "more_data": [source]} | {k: v for k, v in keys.items() if k != "share"}
    with pytest.raises(RecipeError, match=line):
        make_recipe(content, "the test's recipe")


def test_a_recipe_without_any_data_is_refused():
    with pytest.raises(RecipeError, match="neither a datalist nor label_maps"):
        make_recipe(RECIPE, "the test's recipe")


def test_classes_that_a_list_never_shows_are_asked_of_its_cases(tiny_list, tmp_path):
    source = label_maps(tmp_path, held_out=False, share=0.0)
    recipe = tiny_recipe(tiny_list, **MORE, more_data=[source], absent=["liver"], most_absent=9)
    data = load(recipe)
    for step in range(6):
        asked = draw_sample(data, recipe, step, 0).classes
        place = asked.ids_K.tolist().index(1)
        assert not bool(asked.targets_KXYZ[place].any())
        assert bool(asked.known_KXYZ[place].all())


def test_a_class_is_not_marked_and_absent_in_one_list(tiny_list):
    with pytest.raises(RecipeError, match="class 133 is in classes and in absent"):
        tiny_recipe(tiny_list, absent=["bright ball"])
