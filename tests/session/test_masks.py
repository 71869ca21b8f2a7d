"""Later clicks change what is near them (profile ``best``), or everything (``bundle``), and time travel knows it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from openvista.anatomy import official_vocabulary
from openvista.geometry.box import Box
from openvista.inference.profiles import BEST, BUNDLE, Profile
from openvista.io.session_file import read_session
from openvista.network import ClickLabel
from openvista.prompts import Click
from openvista.scan import Scan, Segmentation
from openvista.session.click_engine import WindowClick
from openvista.session.open_scan import SessionModel
from openvista.session.session import Session
from small_sessions import TWO_BRANCHES, bright_scan

SHAPE = (40, 40, 24)
SCAN = bright_scan(np.zeros(SHAPE, bool))


class Features:
    nbytes = 4


class Fickle:
    """Thinks of nothing but the last click: a ball around it, or nothing at all after a negative one."""

    def __init__(self, side: int = 48) -> None:
        self.window = (side, side, side)

    def encode(self, window_XYZ: torch.Tensor) -> Features:
        return Features()

    def answer(self, features: Features, clicks: Sequence[WindowClick], zero_shot: bool) -> torch.Tensor:
        places = np.stack(np.indices(self.window), -1)
        inside = ((places - np.array(clicks[-1].place)) ** 2).sum(-1) < 5**2
        if clicks[-1].label == ClickLabel.NEGATIVE:
            inside[:] = False
        return torch.from_numpy(np.where(inside, 4.0, -4.0).astype(np.float32))


def fickle_session(profile: Profile = BEST, scan: Scan = SCAN, side: int = 48) -> Session:
    model = SessionModel("fickle", "f" * 64, TWO_BRANCHES, official_vocabulary(), torch.float16, None, Fickle(side))
    return Session(model, scan, profile)


def test_a_positive_click_keeps_what_was_there_and_a_negative_one_what_is_far_from_it():
    session = fickle_session()
    session.click((10, 10, 12))
    first = session.mask("object")
    session.click((16, 10, 12))
    both = session.mask("object")
    assert np.array_equal(both & first, first)
    assert both[16, 10, 12]
    session.click((16, 10, 12), positive=False)
    after = session.mask("object")
    assert not after[16, 10, 12]
    assert after[10, 10, 12]
    assert np.array_equal(after | both, both)


def test_in_the_papers_profile_all_clicks_are_answered_together():
    session = fickle_session(BUNDLE)
    session.click((10, 10, 12))
    session.click((16, 10, 12))
    mask = session.mask("object")
    assert not mask[6, 10, 12]
    assert mask[20, 10, 12]
    assert session.state.find("object").inputs.corrections == ()


def test_clicks_of_one_prompt_are_one_correction():
    session = fickle_session()
    session.clicks([Click((10, 10, 12), True), Click((16, 10, 12), True)])
    assert session.state.find("object").inputs.corrections == ()
    session.click((25, 25, 12))
    (correction,) = session.state.find("object").inputs.corrections
    assert correction.clicks == 2


def test_known_clicks_on_a_mask_that_somebody_brought_hold_their_side():
    session = fickle_session()
    labels = np.zeros(SHAPE, np.uint8)
    labels[6:30, 6:14, 8:16] = 1
    (item,) = session.start_from(Segmentation(labels, SCAN.grid, {1: "old"}))
    known = replace(item.state.inputs, clicks=(Click((10, 10, 12), True),))
    masks = session.open_scan.object_masks
    corrected = masks.add_clicks(known, [Click((24, 10, 12), False)], grow_limit=0).inputs
    mask = masks.object_mask(corrected).mask.on(Box.whole(SHAPE), False)
    assert np.array_equal(mask[:17], labels[:17] > 0)
    assert not mask[18:].any()


def test_undo_shows_what_was_there_and_a_saved_session_goes_on_the_same(tmp_path):
    session = fickle_session()
    masks = []
    for x in (10, 15, 20):
        session.click((x, 10, 12))
        masks.append(session.mask("object"))
    session.click((12, 10, 12), positive=False)
    last = session.mask("object")
    back = Session.restored(read_session(session.save(tmp_path / "case.ovsession")), session.open_scan.model, SCAN)
    assert np.array_equal(back.mask("object"), last)
    again = Session.restored(read_session(tmp_path / "case.ovsession"), session.open_scan.model, SCAN)
    again.undo()
    assert np.array_equal(again.mask("object"), masks[2])
    assert again.open_scan.object_masks.engine.features.made == 0, "one step back is kept: nothing is asked again"
    for one in (session, back):
        one.click((18, 14, 12), "object")
    assert np.array_equal(back.mask("object"), session.mask("object"))
    for one in (session, back):
        one.open_scan.object_masks.made.clear()
        one.undo()
        one.undo()
        assert np.array_equal(one.mask("object"), masks[2])


def test_hundreds_of_clicks_on_one_object_can_be_made_again():
    session = fickle_session(scan=bright_scan(np.zeros((12, 12, 12), bool)), side=12)
    random = np.random.default_rng(3)
    for _ in range(160):
        session.click(random.integers(12, size=3).tolist(), "object" if session.objects else None)
    mask, fresh = session.mask("object"), fickle_session(scan=session.scan, side=12)
    fresh.history = session.history
    assert np.array_equal(fresh.mask("object"), mask)
