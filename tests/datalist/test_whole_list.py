"""Problems of a list as a whole that depend on more than one case, or on maps nobody could read."""

from pathlib import Path

import pytest

from openvista.datalist.case import Case, DataList, UnlabelledCase
from openvista.datalist.whole_list import list_problems

NAMES = {1: "liver", 2: "spleen"}


def case(name, fold=None, folder="/scans"):
    return Case(Path(folder) / f"{name}.nii.gz", Path(f"/labels/{name}.nii.gz"), fold, frozenset(NAMES), {})


def problems(training, testing=(), unlabelled=(), volumes=None, names=NAMES):
    listed = DataList(Path("list.json"), names, tuple(training), tuple(testing), tuple(unlabelled))
    volumes = [{1: 5.0, 2: 1.0}] * len(training) if volumes is None else volumes
    return {code: (message, fatal) for code, message, fatal in list_problems(listed, volumes, [{}] * len(testing))}


TWO_FOLDS = [case("a", 0), case("b", 1)]


def test_a_sound_list_has_none():
    assert problems(TWO_FOLDS, [case("c")]) == {}


def test_one_file_under_two_names_is_a_leak(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"")
    (tmp_path / "other.nii.gz").symlink_to("a.nii.gz")
    training = [case("a", 0, tmp_path), case("b", 1, tmp_path)]
    found = problems(training, [case("other", folder=tmp_path)])
    assert found == {"leak": ("1 images are for training and for testing as well: a.nii.gz", True)}
    assert problems(training, [case("a", folder=tmp_path / "more")]) == {}, "names alone say nothing"


def test_scans_without_labels_leak_as_well():
    found = problems(TWO_FOLDS, [case("c")], [UnlabelledCase(Path("/scans/c.nii.gz"))])
    assert found.keys() == {"leak"}


def test_an_image_in_two_folds_is_not_called_repeated_too():
    assert problems([*TWO_FOLDS, case("a", 1)]).keys() == {"fold-leak"}
    assert problems([*TWO_FOLDS, case("a", 0)]).keys() == {"repeated"}


@pytest.mark.parametrize(
    ("volumes", "expected"),
    [
        ([{}, {}], {"no-foreground"}),
        ([{}, None], {"no-foreground"}),
        ([None, None], set()),
        ([{1: 5.0}, {1: 4.0}], {"never-present"}),
        ([{1: 5.0}, None], set()),
    ],
    ids=["empty", "empty-as-far-as-known", "unknown", "no-spleen", "spleen-perhaps-in-the-unreadable"],
)
def test_maps_that_cannot_be_read_might_hold_anything(volumes, expected):
    assert problems(TWO_FOLDS, volumes=volumes).keys() == expected


def test_without_names_the_values_are_told():
    message, fatal = problems(TWO_FOLDS, volumes=[{7: 1.0, 3: 1.0}, {4: 2.0}], names={})["no-names"]
    assert "values that occur: 3, 4, 7" in message
    assert not fatal
