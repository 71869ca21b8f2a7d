"""Every file of a list is read, and each kind of damage is told, case by case."""

import json

import nibabel as nib
import numpy as np
import pytest

from openvista.datalist import check_datalist, read_datalist, report_content, structure_rows, usable_part
from small_dicom import write_series


@pytest.fixture
def folder(tmp_path, save_ct, save_labels):
    for case in "abcd":
        save_ct(tmp_path / f"{case}.nii.gz")
        save_labels(tmp_path / f"{case}_seg.nii.gz", 1, 2)
    return tmp_path


def entry(case, **more):
    return {"image": f"{case}.nii.gz", "label": f"{case}_seg.nii.gz", **more}


def check(folder, content=None, strict=False, **more):
    base = {
        "labels": {"1": "liver", "2": "spleen"},
        "training": [entry("a", fold=0), entry("b", fold=1), entry("c", fold=1)],
        "testing": [entry("d")],
    }
    path = folder / "list.json"
    path.write_text(json.dumps(base | (content or {}) | more))
    return check_datalist(read_datalist(path, must_exist=False), strict=strict)


def problems(report, case="b"):
    return [(problem.code, problem.fatal) for one in report.cases if one.case.name == case for problem in one.problems]


def whole(report):
    return [(problem.code, problem.fatal) for problem in report.problems]


def message(report, code):
    every = [problem for one in report.cases for problem in one.problems] + list(report.problems)
    return next(problem.message for problem in every if problem.code == code)


def test_a_sound_list_has_no_problem(folder):
    report = check(folder)
    assert (report.usable, whole(report), [one.problems for one in report.cases]) == (True, [], [()] * 4)
    assert [one.part for one in report.cases] == ["training"] * 3 + ["testing"]
    assert report.cases[0].volumes_ml == pytest.approx({1: 4 * 0.036, 2: 4 * 0.036})


def test_an_image_may_be_the_folder_of_a_series(folder):
    image = nib.load(folder / "b.nii.gz")
    write_series(folder / "b", np.asarray(image.dataobj), image.affine)
    report = check(folder, training=[entry("a"), {"image": "b", "label": "b_seg.nii.gz"}])
    assert (report.usable, problems(report)) == (True, [])
    assert [case.name for case in read_datalist(folder / "list.json").training] == ["a", "b"]
    (folder / "b" / "IM0002.dcm").unlink()
    assert problems(check(folder, training=[entry("a"), {"image": "b", "label": "b_seg.nii.gz"}])) == [
        ("unreadable", True)
    ]


def test_a_missing_file(folder):
    (folder / "b_seg.nii.gz").unlink()
    report = check(folder)
    assert problems(report) == [("missing", True)]
    assert [one.case.name for one in report.unusable] == ["b"]


@pytest.mark.parametrize("name", ["b.nii.gz", "b_seg.nii.gz"])
def test_an_unreadable_file(folder, name):
    whole_file = (folder / name).read_bytes()
    (folder / name).write_bytes(whole_file[: len(whole_file) // 2])
    report = check(folder)
    assert problems(report)[0] == ("unreadable", True)
    assert name in message(report, "unreadable")
    assert "\n" not in message(report, "unreadable")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": (12, 10, 8)}, "12 x 10 x 8 against 12 x 10 x 9"),
        ({"affine": np.diag([3.0, 3, 5, 1])}, "voxels of 3 x 3 x 5 mm against 3 x 3 x 4 mm"),
        ({"affine": np.diag([-3.0, 3, 4, 1])}, "axes LAS against RAS"),
        ({"affine": np.array([[3.0, 0, 0, 7], [0, 3, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1]])}, "corners up to 7 mm apart"),
    ],
)
def test_a_label_map_on_another_grid(folder, save_labels, change, words):
    save_labels(folder / "b_seg.nii.gz", 1, **change)
    report = check(folder)
    assert problems(report) == [("grid-differs", True)]
    assert words in message(report, "grid-differs")


def test_values_that_the_list_does_not_name(folder, save_labels):
    save_labels(folder / "b_seg.nii.gz", 1, 5, 9)
    report = check(folder)
    assert problems(report) == [("values-unknown", True)]
    assert "holds 5, 9" in message(report, "values-unknown")


def test_values_outside_annotated_or_mapping_are_a_warning(folder):
    report = check(folder, training=[entry("b", annotated=[1])], label_mapping=[[1, 1]])
    assert problems(report) == [("values-not-annotated", False), ("values-not-mapped", False)]


def test_a_mapping_may_know_values_that_have_no_name(folder):
    report = check(folder, labels={}, label_mapping=[[1, 1], [2, 3]])
    assert all(not one.problems for one in report.cases)
    assert "no-names" not in dict(whole(report))


def test_an_empty_label_map_is_a_warning(folder, save_labels):
    save_labels(folder / "b_seg.nii.gz")
    report = check(folder)
    assert problems(report) == [("empty", False)]
    assert report.usable
    assert not check(folder, strict=True).usable


def test_fractions_are_no_label_map(folder, save_ct):
    save_ct(folder / "b_seg.nii.gz", np.full((12, 10, 9), 0.5, np.float32))
    assert problems(check(folder)) == [("unreadable", True)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.random.default_rng(0).integers(0, 255, (12, 10, 9)).astype(np.uint8), ("values-8-bit", False)),
        (np.random.default_rng(0).random((12, 10, 9)).astype(np.float32), ("values-normalised", False)),
        (np.full((12, 10, 9), 3, np.int16), ("values-constant", True)),
    ],
)
def test_images_that_are_not_hu(folder, save_ct, values, expected):
    save_ct(folder / "b.nii.gz", values)
    assert expected in problems(check(folder))


def test_slices_behind_the_scan(folder):
    report = check(folder, training=[entry("b", label_slices={"1": [2, 9]})])
    assert problems(report) == [("slices-outside", True)]


@pytest.mark.parametrize("key", ["pseudo_label", "label_sv"])
def test_further_maps_are_checked_and_can_be_dropped_alone(folder, save_labels, key):
    save_labels(folder / "more.nii.gz", 7, shape=(12, 10, 8))
    report = check(folder, training=[entry("a", fold=0), entry("b", fold=1, **{key: "more.nii.gz"})])
    assert problems(report) == [("grid-differs", True)]
    kept = usable_part(report).training
    assert [case.name for case in kept] == ["a", "b"]
    assert (kept[1].pseudo_label, kept[1].supervoxels) == (None, None)


def test_cases_that_cannot_be_used_are_left_out_of_the_usable_part(folder):
    (folder / "b.nii.gz").unlink()
    (folder / "d.nii.gz").unlink()
    report = check(folder)
    kept = usable_part(report)
    assert ([case.name for case in kept.training], kept.testing) == (["a", "c"], ())


def test_scans_without_labels_are_checked_too(folder, save_ct):
    save_ct(folder / "e.nii.gz", np.full((12, 10, 9), 3, np.int16))
    report = check(folder, testing=[entry("d"), "e.nii.gz"])
    assert problems(report, "e") == [("values-constant", True)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"training": [entry("a")]}, ("one-case", False)),
        ({"training": [entry("a"), entry("b")]}, ("no-folds", False)),
        ({"training": [entry("a", fold=2), entry("b", fold=2)]}, ("one-fold", False)),
        ({"testing": [entry("a")]}, ("leak", True)),
        ({"training": [entry("a", fold=0), entry("a", fold=1)]}, ("fold-leak", True)),
        ({"training": [entry("a", fold=0), entry("b", fold=1), entry("a", fold=0)]}, ("repeated", False)),
        ({"labels": {"1": "x", "2": "y", "3": "z"}}, ("never-present", False)),
        ({"labels": {}}, ("no-names", False)),
        ({"training": [{"image": "a.nii.gz"}]}, ("no-labels", False)),
    ],
)
def test_problems_of_the_list_as_a_whole(folder, content, expected):
    assert expected in whole(check(folder, content))


def test_no_foreground_at_all_is_fatal(folder, save_labels):
    for case in "abc":
        save_labels(folder / f"{case}_seg.nii.gz")
    report = check(folder)
    assert ("no-foreground", True) in whole(report)
    assert not report.usable


def test_the_report_as_plain_data(folder, save_labels):
    save_labels(folder / "b_seg.nii.gz", 1, 5)
    content = json.loads(json.dumps(report_content(check(folder))))
    assert (content["cases"], content["cases_unusable"], content["usable"]) == (4, 1, False)
    assert content["by_case"][1]["problems"][0]["code"] == "values-unknown"
    assert content["structures"][1] == {"value": 2, "name": "spleen", "annotated": 4, "present": 3}


def test_structures_count_where_they_are_annotated_and_present(folder, save_labels):
    save_labels(folder / "a_seg.nii.gz", 1)
    rows = structure_rows(check(folder, training=[entry("a", annotated=[1]), entry("b")]))
    assert [(row.value, row.annotated, len(row.volumes_ml)) for row in rows] == [(1, 3, 3), (2, 2, 2)]
