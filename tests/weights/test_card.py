"""Cards: there and back, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openvista.anatomy.ctmr import card_classes
from openvista.errors import AnatomyError, InputError, ModelError, OutputError
from openvista.network import CTMR, PRESETS, VISTA3D, Preset
from openvista.plausibility import ClassRanges, Plausibility, SeenRange
from openvista.weights import ModelCard, read_card, write_card
from openvista.weights.card import check_name


def test_there_and_back(card: ModelCard, tmp_path: Path) -> None:
    write_card(card, tmp_path / "card.json")
    assert read_card(tmp_path / "card.json") == card
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(
    classes=st.lists(st.integers(1, 132), unique=True, max_size=5),
    own=st.dictionaries(st.integers(133, 511), st.text(min_size=1), max_size=3),
    free=st.dictionaries(
        st.text(), st.floats(allow_nan=False) | st.text() | st.lists(st.integers(), max_size=3), max_size=3
    ),
)
def test_there_and_back_for_any_content(classes: list[int], own: dict[int, str], free: dict) -> None:
    card = ModelCard.from_preset(PRESETS["vista3d"], classes=classes, extra_classes=own, metrics=free)
    assert ModelCard.from_json(card.to_json()) == card
    assert card.class_ids == tuple(sorted([*classes, *own]))


def test_how_challenge_images_are_shown_is_kept_and_checked(card: ModelCard) -> None:
    shown = {"percentiles": [1.0, 99.0], "resample": "never"}
    mine = replace(card, challenge=shown)
    assert ModelCard.from_json(mine.to_json()) == mine
    assert "challenge" not in json.loads(card.to_json())  # earlier versions go on reading other cards
    for wrong in ({"percentiles": [99, 1]}, {"resample": "maybe"}, {"window": 3}):
        with pytest.raises(ModelError, match="challenge of a model card must be"):
            replace(card, challenge=wrong)


def test_ranges_are_kept_and_checked(card: ModelCard) -> None:
    seen = ClassRanges(volume_ml=SeenRange(9, 1.0, 2.0, 1.5, 1.2), open_ended=True)
    mine = replace(card, ranges={133: seen})
    again = ModelCard.from_json(mine.to_json())
    assert again == mine
    assert again.plausibility == Plausibility({133: seen}, card.hu_window)
    assert "ranges" not in json.loads(card.to_json())  # as for the challenge
    assert card.plausibility is None
    with pytest.raises(ModelError, match="ranges of a model card must be of ids the model knows"):
        replace(card, ranges={5: seen})
    for wrong in ({"133": {"weight": None}}, {"133": {"volume_ml": {"cases": 3}}}, {"133": 4}, [1]):
        with pytest.raises(ModelError, match="a field has the wrong type"):
            ModelCard.from_json(json.dumps(json.loads(mine.to_json()) | {"ranges": wrong}))


def test_a_card_says_which_classes_are_in_one_piece(card: ModelCard) -> None:
    mine = ModelCard.from_json(replace(card, one_piece=(133,)).to_json())
    assert mine.one_piece_ids - card.one_piece_ids == {133}
    assert 121 in card.one_piece_ids
    assert 58 not in card.one_piece_ids


def test_a_modality_says_what_all_is() -> None:
    mine = ModelCard.from_preset(CTMR, **card_classes(CTMR.class_rows))
    assert ModelCard.from_json(mine.to_json()) == mine
    assert len(mine.class_ids) == 330
    for modality, count in (("CT_BODY", 117), ("mri-body", 50), ("MRI_BRAIN", 132)):
        assert len(mine.vocabulary(modality).expand("all")) == count
    with pytest.raises(AnatomyError, match=r"what 'all' is depends on the image: .*CT_BODY, MRI_BODY, MRI_BRAIN"):
        mine.vocabulary().expand(None)
    assert mine.vocabulary().expand("liver, left hippocampus") == [1, 230]
    with pytest.raises(InputError, match="no modality 'PET': there is CT_BODY, MRI_BODY, MRI_BRAIN"):
        mine.vocabulary("PET")
    with pytest.raises(ModelError, match="knows CT alone: leave the modality 'MRI_BODY' out"):
        ModelCard.from_preset(VISTA3D, classes=(1,)).vocabulary("MRI_BODY")


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_the_preset_survives(preset: Preset) -> None:
    assert ModelCard.from_json(ModelCard.from_preset(preset).to_json()).preset() == preset


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "../evil"}, "cannot name a model"),
        ({"filters": 0}, "filters"),
        ({"filters": "many"}, "wrong type"),
        ({"window": [16, 16, 15]}, "window"),
        ({"window": 16}, "wrong type"),
        ({"spacing": [1.5, 1.5, 0]}, "spacing"),
        ({"hu_window": [100, -100]}, "hu_window"),
        ({"branches": []}, "branches"),
        ({"branches": ["psychic"]}, "branches"),
        ({"family": "pet"}, "family of a model card must be one of ct, ctmr, not 'pet'"),
        ({"family": "ctmr"}, "branches .* automatic alone"),
        ({"classes": [133]}, "classes"),
        ({"extra_classes": {"12": "mine"}}, "extra_classes"),
        ({"extra_classes": {"140": "no row for it"}}, "extra_classes"),
        ({"extra_aliases": {"5": ["unknown"]}}, "extra_aliases"),
        ({"extra_aliases": {"133": "not a list"}}, "list of names"),
        ({"one_piece": [134]}, "one_piece .* ids of extra_classes"),
        ({"colour": "blue"}, "unknown field 'colour'"),
        ({"filters": None}, "wrong type"),
    ],
)
def test_impossible_cards_are_refused_in_one_line(
    card: ModelCard, tmp_path: Path, change: dict, complaint: str
) -> None:
    path = tmp_path / "card.json"
    path.write_text(json.dumps({**json.loads(card.to_json()), **change}))
    with pytest.raises(ModelError, match=complaint) as caught:
        read_card(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}"])
def test_what_is_no_card_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(ModelError, match="not a valid model card"):
        read_card(tmp_path / "card.json")


def test_missing_card_and_missing_folder(card: ModelCard, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read"):
        read_card(tmp_path / "card.json")
    with pytest.raises(OutputError, match="cannot write"):
        write_card(card, tmp_path / "nowhere" / "card.json")


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "x" * 65])
def test_names_that_cannot_be_folders(name: str) -> None:
    with pytest.raises(ModelError):
        check_name(name)
