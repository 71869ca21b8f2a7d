"""The classes of a fine-tune: sides, names, pieces, and which known class a new one starts from."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_training import TINY, tiny_recipe

from openvista.datalist import read_datalist
from openvista.errors import AnatomyError
from openvista.network import build
from openvista.train.finetune.classes import embedding_sources, mirrored_ids, named_ids, one_piece_ids
from openvista.train.finetune.sizes import CaseSizes
from openvista.weights import ModelCard, ModelFolder
from openvista.weights.store import save_model

NAMES = {3: "spleen", 133: "right plum", 134: "left plum", 135: "stone"}
CARD = ModelCard.from_preset(
    TINY, name="tiny", classes=(3,), extra_classes={135: "stone"}, extra_aliases={135: ("pit",)}, one_piece=(135,)
)
BASE = ModelFolder(Path("tiny"), CARD)


def test_pairs_swap_in_a_mirror_and_what_is_alone_must_not():
    assert mirrored_ids(NAMES) == ((133, 134),)
    with pytest.raises(AnatomyError, match="--mirror: 'right plum' would turn up"):
        mirrored_ids({3: "spleen", 5: "right kidney", 14: "left kidney", 133: "right plum"})


def test_classes_are_named_as_the_model_knows_them():
    assert named_ids("--some", "", NAMES, BASE) == ()
    assert named_ids("--some", "Pit, plum-right", NAMES, BASE) == (135, 133)
    with pytest.raises(AnatomyError, match=r"^--some: .*cherry"):
        named_ids("--some", "stone, cherry", NAMES, BASE)


def test_in_one_piece_is_what_card_and_user_say_of_new_classes_and_the_rest_is_only_told(caplog):
    caplog.set_level("INFO", "openvista")
    sizes = [
        CaseSizes((1, 1, 1), (9, 9, 9), {3: 5.0, 133: 4.0, 134: 4.0}, frozenset({134})),
        CaseSizes((1, 1, 1), (9, 9, 9), {133: 4.0}),
    ]
    assert one_piece_ids("", NAMES, BASE, sizes) == (135,)
    assert "'right plum' is in one piece in all scans looked at (2)" in caplog.text
    assert "left plum" not in caplog.text
    assert one_piece_ids("left plum, spleen", NAMES, BASE, sizes) == (134, 135)
    assert one_piece_ids("", {3: "spleen", 133: "plum"}, BASE, sizes) == ()


@pytest.fixture
def sources(tiny_list, tmp_path):
    """Asks where balls start from in a model of three classes whose rows of the table are in this order."""
    network = build(TINY, seed=3)
    with torch.no_grad():
        network.class_head.linear2.weight *= 5

    def ask(known=(1, 3, 14), rows=(1, 3, 14), untrained=None, cases=None):
        with torch.no_grad():
            table = network.class_head.embedding_table.weight
            before = table.clone()
            table[list(known)] = before[list(rows)]
            card = ModelCard.from_preset(TINY, name="base", classes=known)
            base = save_model(network, card, tmp_path / f"base-{'-'.join(map(str, rows))}")
            table.copy_(before)
        training = read_datalist(tiny_list).training if cases is None else cases
        return embedding_sources(base, tiny_recipe(tiny_list), training, untrained or {1: 133, 2: 134})

    return ask


def test_no_two_classes_start_from_the_same_one_and_the_choice_follows_the_embedding(sources):
    plain = sources()
    assert plain.keys() == {133, 134}
    assert len(set(plain.values())) == 2
    moved = sources(rows=(3, 14, 1))
    place = {3: 1, 14: 3, 1: 14}  # where each embedding is now
    assert moved == {class_id: (place[source],) for class_id, (source,) in plain.items()}


def test_a_class_that_no_patch_shows_or_for_which_none_is_left_starts_from_noise(sources, tiny_list):
    assert len(sources(known=(3,), rows=(3,))) == 1
    nowhere = [replace(case, annotated=frozenset({2})) for case in read_datalist(tiny_list).training]
    assert sources(cases=nowhere).keys() == {134}
    assert sources(cases=[]) == {}
