"""Synthetic CT for files: whole bodies, labels with official ids where there are any, and their contact sheet."""

import dataclasses

import numpy as np
import pytest

from openvista.synthesis.contact_sheet import write_contact_sheet
from openvista.synthesis.structure import identify
from openvista.synthesis.teaching_set import TEACHING, TeachingSet, draw_set, label_ids


@pytest.fixture(scope="module")
def drawings(maps):
    return list(draw_set(maps, TeachingSet(count=3, spacing=(6.0, 6.0, 6.0), seed=2)))


def test_bodies_take_turns_and_say_what_they_are(drawings):
    assert [one.scan.name for one in drawings] == [f"{name}_synthetic_2_{n:03d}" for n, name in enumerate("aba")]
    for one in drawings:
        assert one.provenance["synthetic"] is True
        assert one.provenance["variety"] == TEACHING
        assert set(np.unique(one.labels)) - {0} == set(one.names)
        assert one.scan.voxels.dtype == np.int16
        assert one.names[1] == "liver"
    assert not np.array_equal(drawings[0].labels, drawings[2].labels)


def test_ids_are_official_or_above_them(atlas):
    structures = (*atlas.structures, identify("flux capacitor"), identify("quux"))
    ids = label_ids(dataclasses.replace(atlas, structures=structures))
    assert ids[0] == 0
    assert len(set(ids)) == len(ids)
    for number, structure in enumerate(structures[1:], start=1):
        assert ids[number] == structure.class_id if structure.class_id else ids[number] > 132


def test_the_contact_sheet_is_a_picture_of_all(drawings, tmp_path):
    picture = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    sizes = [
        np.asarray(picture.open(write_contact_sheet(drawings[:count], tmp_path / f"{count}.png"))) for count in (1, 3)
    ]
    assert sizes[1].shape[1] > 2.5 * sizes[0].shape[1]
    assert sizes[1][..., :3].std() > 20
