"""What is written of each structure."""

import pytest

from openvista.io.dicom.described import LONGEST_LABEL, class_id_of, touched_ids, unique_labels


def test_labels_are_unique_short_and_on_one_line():
    names = ["a\nb", "a b", "x" * 100, "x" * 100, "x" * 100, "back\\slash", ""]
    labels = unique_labels(names)
    assert len(set(labels)) == len(names)
    assert max(map(len, labels)) == LONGEST_LABEL
    assert labels[:2] == ["a b", "a b (2)"]
    assert not any("\\" in label or "\n" in label for label in labels)


def test_touched_is_what_was_clicked_or_brought_along():
    objects = [
        {"id": 1, "start": "automatic", "clicks": []},
        {"id": 2, "start": "automatic", "clicks": [[0, 0, 0, True]]},
        {"id": 3, "start": None, "clicks": []},
        {"id": 4, "start": "imported 4", "clicks": []},
    ]
    assert touched_ids({"prompts": {"objects": objects}}) == {2, 4}


@pytest.mark.parametrize("provenance", [{}, {"prompts": {"classes": [1, 2]}}, {"prompts": "text"}])
def test_automatic_results_have_none(provenance):
    assert touched_ids(provenance) == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("OpenVISTA class 5: right kidney", 5), ("OpenVISTA class : x", None), ("Lesion 5", None), ("", None)],
)
def test_class_ids_in_tracking_ids(text, expected):
    assert class_id_of(text) == expected
