"""Label maps as patches for training: exact by step and index, reused, partial, held out."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from openvista.errors import RecipeError
from openvista.synthesis.patch_source import POOL, LabelMapFile, PatchSource, Synthesis, classes_of, with_mirror_images
from openvista.synthesis.structure import identify
from openvista.synthesis.warp import Raster
from small_bodies import write_body, write_names

FRAME = Raster((24, 24, 16), (6.0, 6.0, 6.0))
STRUCTURES = {1: ["liver"], 5: ["right kidney"], 14: ["left kidney"], 138: ["vertebrae *"], 3: ["spleen"]}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    names = write_names(folder)
    return [LabelMapFile(write_body(folder, name, grown=grown), names) for name, grown in (("a", 1.0), ("b", 1.5))]


def source(files, **more):
    return PatchSource(files, STRUCTURES, Synthesis(**{"share": 1.0, "reuse": 2.0, **more}), FRAME, seed=3)


@pytest.fixture(scope="module")
def patches(files):
    return source(files)


def test_a_patch_depends_on_step_and_index_only(files, patches):
    steps = [0, 7, 40]
    there = [patches.patch(step, 1, 2) for step in steps]
    again = source(files)
    back = [again.patch(step, 1, 2) for step in reversed(steps)][::-1]
    for one, other in zip(there, back, strict=True):
        assert one.name == other.name
        assert torch.equal(one.hu_XYZ, other.hu_XYZ)
        assert torch.equal(one.classes_XYZ, other.classes_XYZ)
    assert not torch.equal(there[0].hu_XYZ, patches.patch(0, 0, 2).hu_XYZ)


def test_a_patch_serves_as_many_steps_as_it_should(patches):
    turns = torch.randint(POOL, (3000,), generator=torch.Generator().manual_seed(1)).tolist()
    numbers = [int(step / 2) + turn for step, turn in enumerate(turns)]  # with reuse 2
    assert 1.7 < len(numbers) / len(set(numbers)) < 2.4
    for step, turn in ((0, 0), (0, 3), (7, 3), (8, 3), (9, 20)):
        assert patches.patch(step, 0, turn).name.endswith(f" patch {int(step / 2) + turn}.0")
    assert patches.patch(8, 0, 3) is patches.patch(9, 0, 3)


def test_classes_are_those_of_the_recipe(patches):
    for step in range(6):
        drawing = patches.patch(step * 2, 0, step)
        assert set(drawing.classes_XYZ.unique().tolist()) <= {0, *STRUCTURES}
        assert drawing.annotated == (1, 3, 5, 14, 138)
        assert bool((drawing.pieces_XYZ[drawing.classes_XYZ > 0] > 0).all())


def test_a_held_out_map_is_drawn_for_validation_only(files):
    held = [files[0], LabelMapFile(files[1].path, files[1].names, held_out=True)]
    patches = source(held, held_out_drawings=2)
    assert all(patches.patch(step * 2, 0, 1).name.startswith("a") for step in range(8))
    drawings = patches.held_out((6.0, 6.0, 6.0))
    assert [one.name for one in drawings] == ["b, drawing 0", "b, drawing 1"]
    again = source(held, held_out_drawings=2).held_out((6.0, 6.0, 6.0))
    assert torch.equal(drawings[1].hu_XYZ, again[1].hu_XYZ)
    assert bool((drawings[0].classes_XYZ == 3).any())


def test_what_a_map_does_not_show_is_unknown_unless_it_is_complete(files, tmp_path):
    labels_of_b = files[1].path
    partial = LabelMapFile(labels_of_b, files[1].names, unknown=(5,))
    names = write_names(tmp_path)
    few = write_body(tmp_path, "few")
    image = nib.load(few)
    labels = np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(np.where(np.isin(labels, (1, 3)), labels, 0).astype(np.uint8), image.affine), few)
    both = source([partial, LabelMapFile(few, names), LabelMapFile(files[0].path, files[0].names, complete=True)])
    assert both.annotated == [(1, 3, 138), (1,), (1, 3, 5, 14, 138)]  # of a pair both are known, or none


def test_patterns():
    structures = [identify(name) for name in ("nothing", "rib_left_3", "vertebrae_T4", "Rib5", "liver")]
    found = classes_of(structures, {139: ["* rib *", "rib*"], 138: ["Vertebrae *"]})
    assert found.tolist() == [0, 139, 138, 139, 0]


def test_a_mirrored_part_belongs_to_the_same_organ(atlas, number_of):
    patterns = {62: ["colon", "left lung lower lobe"], 14: ["left kidney"]}  # as a heart and its left appendage
    lobe, kidney = number_of["right lung lower lobe"], number_of["right kidney"]
    body = atlas.bodies[0]
    places = {number: place for number, place in body.places.items() if number not in (lobe, kidney)}
    lacking = replace(atlas, bodies=(replace(body, places=places),))
    found = with_mirror_images(classes_of(atlas.structures, patterns), lacking)
    assert int(found[lobe]) == 62
    assert int(found[kidney]) == 0  # a left kidney is no right one
    assert int(with_mirror_images(classes_of(atlas.structures, patterns), atlas)[lobe]) == 0  # a map has it: not listed


def test_a_class_that_no_map_shows_is_refused(files):
    with pytest.raises(RecipeError, match="no label map shows pancraes"):
        PatchSource(files, STRUCTURES | {4: ["pancraes"]}, Synthesis(), FRAME, seed=0)


def test_all_maps_held_out_leave_nothing_to_learn(files):
    with pytest.raises(RecipeError, match="every label map is held out"):
        source([LabelMapFile(files[0].path, files[0].names, held_out=True)])


@pytest.mark.parametrize("wrong", [{"share": 2.0}, {"reuse": 0.5}, {"held_out_drawings": 0}, {"arms": -1.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        Synthesis(**wrong)
