"""The classes of NV-Segment-CTMR against the numbers of its published files (ctmr facts §3)."""

from collections import Counter

import pytest

from openvista.anatomy.catalogue import CATALOGUE, GROUPS
from openvista.anatomy.ctmr import ACCEPTED_IDS, CTMR, EVERYTHING, REFUSED_IDS, card_classes, known_modality, unseen
from openvista.anatomy.vocabulary import Vocabulary
from openvista.errors import AnatomyError, InputError


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    fields = card_classes(512)
    ids = [*fields["classes"], *fields["extra_classes"]]
    return Vocabulary(ids, fields["extra_classes"], fields["extra_aliases"], everything=())


def test_there_are_345_and_330_are_accepted() -> None:
    assert list(CTMR) == list(range(1, 346))
    assert len(ACCEPTED_IDS) == 330
    assert set(REFUSED_IDS) == {16, 129, 130, 131, 133, *range(137, 146), 162}
    deprecated = {id_ for id_, item in CTMR.items() if item.deprecated}
    assert len(deprecated) == 16
    assert deprecated - {155} == set(REFUSED_IDS), "155 is called deprecated, but accepted"


def test_the_first_132_are_the_official_ones() -> None:
    assert {id_: item.name for id_, item in CTMR.items() if id_ <= 132} == {i: one.name for i, one in CATALOGUE.items()}


def test_what_training_saw_of_them() -> None:
    counts = Counter(item.seen_in for item in CTMR.values())
    assert counts == {
        frozenset({"CT", "MRI"}): 53,
        frozenset({"CT"}): 138,
        frozenset({"MRI"}): 137,
        frozenset(): 17,
    }
    assert {id_ for id_, item in CTMR.items() if not item.seen_in} == {2, *REFUSED_IDS, 155}


@pytest.mark.parametrize(("modality", "count"), [("CT_BODY", 117), ("MRI_BODY", 50), ("MRI_BRAIN", 132)])
def test_everything_of_a_modality_was_seen_in_it(modality: str, count: int) -> None:
    ids = EVERYTHING[modality]
    assert len(ids) == len(set(ids)) == count
    assert set(ids) <= set(ACCEPTED_IDS)
    assert not set(ids) & set(GROUPS)
    assert unseen(ids, modality) == []


def test_everything_of_a_ct_is_what_the_original_leaves_of_the_official_list() -> None:
    left_out = {2, 16, 18, 20, 21, 23, 24, 25, 26, 27, 128, 129, 130, 131, 132}
    assert set(EVERYTHING["CT_BODY"]) == set(range(1, 133)) - left_out
    assert EVERYTHING["MRI_BRAIN"] == tuple(range(214, 346))


def test_every_class_is_found_by_its_published_name_and_its_aliases(vocabulary: Vocabulary) -> None:
    assert vocabulary.ids == ACCEPTED_IDS
    for id_ in ACCEPTED_IDS:
        for name in (CTMR[id_].name, CTMR[id_].name.upper(), *CTMR[id_].aliases):
            assert vocabulary.resolve(name) == id_, name
    assert vocabulary.resolve("anterior cingulate gyrus, left".replace(",", "")) == 249


def test_structures_that_two_data_sets_drew_stay_apart(vocabulary: Vocabulary) -> None:
    """Thyroid, lung, vertebrae and eyes are there twice, with different ids."""
    for one, other in (("thyroid gland", "thyroid left"), ("lung", "left lung"), ("left eye", "eyeball left")):
        assert vocabulary.resolve(one) != vocabulary.resolve(other)
    assert vocabulary.expand("lung") == [28, 29, 30, 31, 32]
    assert vocabulary.expand("left lung, right lung, vertebrae") == [135, 136, 146]


def test_what_the_original_refuses_is_refused(vocabulary: Vocabulary) -> None:
    for id_ in REFUSED_IDS:
        with pytest.raises(AnatomyError, match=rf"class {id_} |no class has id {id_}: ids are 1 to 132, 134 to 136"):
            vocabulary.resolve(id_)
    rectum = next(item for item in vocabulary.classes() if item.id == 18)
    assert rectum.supported, "the CT models do not know it, this one does"


def test_what_was_never_seen_in_a_kind_of_image() -> None:
    assert unseen([1, 18, 230, 134], "MRI_BODY") == [18]
    assert unseen([1, 18, 230, 134], "CT_BODY") == [134]


def test_modalities_in_any_spelling() -> None:
    assert [known_modality(text) for text in ("ct_body", "MRI-Body", "MRI_BRAIN")] == list(EVERYTHING)
    with pytest.raises(InputError, match="no modality 'T1'"):
        known_modality("T1")
