"""Prepared cases on disk: the same tensors back, found again, made anew when anything they depend on changes."""

import itertools
import os
from dataclasses import replace

import pytest
import torch
from tiny_training import TINY

from openvista.datalist import read_datalist
from openvista.errors import OutputError
from openvista.train.cache import cached_case, case_key, file_key
from openvista.train.cases import KnownRange, LabelUse, TrainingCase

USE = LabelUse({1: 133, 2: 134})


def made_up(supervoxels=True):
    labels = torch.zeros(5, 6, 7, dtype=torch.int16)
    labels[1:3, 2, 3] = 300
    return TrainingCase(
        "case",
        torch.rand(5, 6, 7).half(),
        labels,
        (3, 300),
        {300: KnownRange(2, 1, 4)},
        (1.0, 1.5, 2.0),
        labels.int() * 200 if supervoxels else None,
        frozenset({3}),
        {3: torch.zeros(0, 3, dtype=torch.int16), 300: labels.nonzero().to(torch.int16)},
    )


@pytest.mark.parametrize("supervoxels", [True, False])
def test_a_case_comes_back_as_it_was(tmp_path, supervoxels):
    case = made_up(supervoxels)
    cached_case(tmp_path, "key", lambda: case)
    back = cached_case(tmp_path, "key", lambda: pytest.fail("made twice"))
    for name in ("name", "annotated", "known", "spacing", "pseudo"):
        assert getattr(back, name) == getattr(case, name)
    assert torch.equal(back.image_XYZ, case.image_XYZ)
    assert torch.equal(back.labels_XYZ, case.labels_XYZ)
    assert back.places.keys() == case.places.keys()
    assert all(torch.equal(back.places[one], case.places[one]) for one in case.places)
    assert (back.supervoxels_XYZ is not None) == supervoxels
    assert [path.name for path in tmp_path.iterdir()] == ["key"]  # nothing temporary is left


def test_writing_on_a_mapped_case_leaves_the_file_alone(tmp_path):
    cached_case(tmp_path, "key", made_up).image_XYZ.fill_(7)
    assert cached_case(tmp_path, "key", made_up).image_XYZ.max() <= 1


def test_the_key_depends_on_all_that_matters(tiny_list):
    case = read_datalist(tiny_list).training[0]
    key = case_key(case, TINY, USE)
    assert key == case_key(case, TINY, USE)
    others = [
        case_key(replace(case, annotated=frozenset({1})), TINY, USE),
        case_key(replace(case, label_slices={1: (2, 3)}), TINY, USE),
        case_key(case, replace(TINY, spacing=(1.0, 2.0, 2.0)), USE),
        case_key(case, replace(TINY, hu_window=(0.0, 1.0)), USE),
        case_key(case, TINY, replace(USE, classes={1: 133})),
        case_key(case, TINY, replace(USE, supervoxels=True)),
        case_key(case, TINY, replace(USE, absent=frozenset({1}))),
        case_key(replace(case, image=case.label), TINY, USE),
    ]
    os.utime(case.image, ns=(1, 1))
    others.append(case_key(case, TINY, USE))
    assert len({key, *others}) == 1 + len(others)


def test_the_key_of_a_series_depends_on_its_slices(tmp_path):
    folder = tmp_path / "series" / "below"
    folder.mkdir(parents=True)
    (folder / "IM1").write_bytes(b"12")
    keys = [file_key(tmp_path / "series")]
    (folder / "IM1").write_bytes(b"123")
    keys.append(file_key(tmp_path / "series"))
    os.utime(folder / "IM1", ns=(1, 1))
    keys.append(file_key(tmp_path / "series"))
    assert all(one != other for one, other in itertools.combinations(keys, 2))


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        cached_case(tmp_path / "file", "key", made_up)
