import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from openvista.geometry.box import Box, Crop
from openvista.session.decided import Decided, KeptEdits
from openvista.session.state import AppliedEdit

SHAPE = (5, 4, 3)
MASKS = arrays(bool, SHAPE, elements=st.booleans())
STEPS = st.lists(st.tuples(MASKS, MASKS), min_size=1, max_size=4)


def steps_of(pairs):
    """Masks that follow each other, as what edits decided of each, and names for them."""
    kept = KeptEdits()
    crops = [(Crop((2, 0, 1), before), Crop((2, 0, 1), after)) for before, after in pairs]
    return kept, tuple(AppliedEdit("brush", kept.add(Decided.between(*pair)), 0) for pair in crops)


@given(MASKS, MASKS)
def test_what_was_decided_makes_the_second_mask_of_the_first(before, after):
    decided = Decided.between(Crop((2, 0, 1), before), Crop((2, 0, 1), after))
    found = decided.over(Crop((2, 0, 1), before.astype(np.int8)))
    assert np.array_equal(found.on(Box.sized((2, 0, 1), SHAPE), 0) > 0, after)
    assert decided.nbytes <= 2 * (np.prod(SHAPE) // 8 + 1)


@given(STEPS)
def test_the_last_edit_decides(pairs):
    kept, edits = steps_of(pairs)
    expected = np.zeros(SHAPE, np.int8)
    for before, after in pairs:
        expected[after & ~before], expected[before & ~after] = 1, -1
    for number in (len(edits), 0, len(edits) - 1, len(edits)):
        kept.decided_by(edits[:number])
    assert np.array_equal(kept.decided_by(edits).on(Box.sized((2, 0, 1), SHAPE), 0), expected)


@given(STEPS, st.data())
def test_between_two_histories_lies_all_that_can_differ(pairs, data):
    kept, edits = steps_of(pairs)
    one, other = (edits[: data.draw(st.integers(0, len(edits)))] for _ in range(2))
    whole = Box((0, 0, 0), (9, 9, 9))
    differs = Box.around(kept.decided_by(one).on(whole, 0) != kept.decided_by(other).on(whole, 0))
    assert differs is None or differs.intersect(kept.box_between(one, other)) == differs


def test_bits_that_do_not_fill_their_box_are_refused():
    with pytest.raises(ValueError, match="are not the voxels of a box"):
        Decided(Box((0, 0, 0), (3, 3, 3)), np.zeros((2, 3), np.uint8))
