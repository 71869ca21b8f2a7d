"""Case files of the challenge: what numpy makes of lists, and files that are wrong."""

import os

import numpy as np
import pytest

from openvista.cvpr.case_file import read_case_file, read_truth, write_labels
from openvista.cvpr.request import Request
from openvista.errors import InputError
from openvista.simulate.challenge_user import ArrayClick, MiddleBox
from small_challenge import box_of, two_balls, write_case


def clicks(*per_class):
    return [{"fg": [list(v) for v in fg], "bg": [list(v) for v in bg]} for fg, bg in per_class]


def test_a_case_is_read_in_the_arrays_own_axes(tmp_path):
    labels = two_balls()
    given = clicks(([(9, 8, 8), (9, 7, 8)], [(0, 23, 27)]), ([np.array([10, 15, 20])], [(1, 2, 3), (1, 2, 4)]))
    orders = [["fg", "bg", "fg"], ["bg", "fg", "bg"]]  # alike in length: numpy makes a matrix of it
    path = write_case(tmp_path / "a.npz", labels, clicks=given, clicks_order=orders, prev_pred=labels)
    case = read_case_file(path)
    assert case.image_ZYX.shape == (20, 24, 28)
    assert case.image_ZYX.dtype == np.uint8
    request = case.request
    assert isinstance(request, Request)
    assert request.ids == (1, 2)
    assert request.boxes[0] == MiddleBox((5, 13), 9, (4, 12), (4, 12))
    assert request.clicks[0] == (
        ArrayClick((9, 8, 8), True),
        ArrayClick((0, 23, 27), False),
        ArrayClick((9, 7, 8), True),
    )
    assert [click.positive for click in request.clicks[1]] == [False, True, False]
    assert request.clicks[0][1].on_scan().voxel == (27, 23, 0)
    assert np.array_equal(request.previous_ZYX, labels)


def test_none_in_the_order_means_no_click(tmp_path):
    given = clicks(([(9, 8, 8)], []), ([], []))
    path = write_case(tmp_path / "a.npz", two_balls(), clicks=given, clicks_order=[["fg", None], [None, None]])
    assert [len(each) for each in read_case_file(path).request.clicks] == [1, 0]


def test_without_an_order_positive_clicks_come_first_and_boxes_may_be_missing(tmp_path):
    given = clicks(([(9, 8, 8)], [(1, 1, 1)]))
    request = read_case_file(write_case(tmp_path / "a.npz", two_balls(), boxes=False, clicks=given)).request
    assert request.boxes is None
    assert [click.positive for click in request.clicks[0]] == [True, False]
    assert read_case_file(write_case(tmp_path / "b.npz", two_balls(), boxes=False)).request is None


def test_a_training_file_brings_its_own_ids(tmp_path):
    labels = two_balls() * 7
    path = write_case(tmp_path / "a.npz", labels, gts=labels)
    assert read_case_file(path).request.ids == (7, 14)
    assert np.array_equal(read_truth(path), labels)


def test_a_box_becomes_clicks_on_its_own_slice():
    box = MiddleBox((2, 10), 4, (5, 9), (6, 14))
    first, *others = box.clicks((12, 30, 30))
    assert (first.voxel, first.positive) == ((10, 7, 4), True)
    assert {click.positive for click in others} == {False}
    beside = [click.voxel for click in others if click.voxel[2] == 4]
    assert len(beside) == 4
    assert all(not (6 <= x <= 14 and 5 <= y <= 9) for x, y, _ in beside)
    assert {click.voxel[:2] for click in others if click.voxel[2] != 4} == {(10, 7)}


class _Evil:
    def __reduce__(self):
        return (os.mkdir, ("made-by-a-pickle",))


BOX = box_of(two_balls() == 1)
MISTAKES = [
    ({"imgs": None}, "imgs"),
    ({"spacing": None}, "spacing"),
    ({"imgs": np.zeros((4, 4), np.uint8)}, "three axes"),
    ({"imgs": np.zeros((4, 4, 4), bool)}, "bool"),
    ({"imgs": np.full((20, 24, 28), np.nan)}, "no numbers"),
    ({"imgs": np.array(["a", "b"])}, "not numbers"),
    ({"spacing": np.array([1.0, 2.0])}, "three numbers"),
    ({"spacing": np.array([1.0, 0.0, 2.0])}, "positive"),
    ({"boxes": [{"z_min": 0}]}, "z_mid"),
    ({"boxes": [BOX | {"z_max": 20}, BOX]}, "lie in the image"),
    ({"boxes": [BOX | {"z_mid": 19}, BOX]}, "lie in the image"),
    ({"boxes": [BOX], "clicks": clicks(([(1, 1, 1)], []), ([], []))}, "give both"),
    ({"clicks": clicks(([(20, 1, 1)], []), ([], []))}, "outside"),
    ({"clicks": clicks(([(-1, 1, 1)], []), ([], []))}, "outside"),
    ({"clicks": clicks(([(1.5, 1, 1)], []), ([], []))}, "not understood"),
    ({"clicks": clicks(([(1, 1)], []), ([], []))}, "not understood"),
    ({"clicks": [{"fg": []}, {"fg": []}]}, "not understood"),
    ({"clicks": np.array(3)}, "one entry per class"),
    ({"clicks": clicks(([(1, 1, 1)], []), ([], [])), "clicks_order": [["bg"], [None]]}, "clicks_order"),
    ({"clicks": clicks(([(1, 1, 1)], []), ([], [])), "clicks_order": [["fg"]]}, "clicks_order"),
    ({"prev_pred": np.zeros((2, 2, 2), np.uint8)}, "prev_pred"),
    ({"prev_pred": np.zeros((20, 24, 28))}, "float64"),
    ({"prev_pred": np.full((20, 24, 28), 300)}, "0..255"),
    ({"boxes": np.array([_Evil()], dtype=object)}, "mkdir"),
]


@pytest.mark.parametrize(("changes", "word"), MISTAKES)
def test_what_is_wrong_is_told_in_one_line(tmp_path, monkeypatch, changes, word):
    monkeypatch.chdir(tmp_path)
    path = write_case(tmp_path / "a.npz", two_balls())
    with np.load(path, allow_pickle=True) as stored:
        arrays = dict(stored) | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(InputError) as caught:
        read_case_file(path)
    assert word in str(caught.value)
    assert "a.npz" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "made-by-a-pickle").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 but no more", b"nothing"])
def test_what_is_no_npz_file_is_told(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="npz"):
        read_case_file(tmp_path / "a.npz")


def test_a_case_cut_short_is_told(tmp_path):
    path = write_case(tmp_path / "a.npz", two_balls())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="npz"):
        read_case_file(path)


def test_label_maps_are_written_as_they_are(tmp_path):
    write_labels(tmp_path / "a.npz", segs=two_balls())
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    with np.load(tmp_path / "a.npz") as stored:  # no pickle needed
        assert stored["segs"].dtype == np.uint8
        assert np.array_equal(stored["segs"], two_balls())
