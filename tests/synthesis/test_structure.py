"""Names of structures: through the vocabulary, in the words of atlases, with their twins and tissues."""

import pytest

from openvista.anatomy.catalogue import CATALOGUE
from openvista.synthesis.structure import identify, other_side
from openvista.synthesis.tissue import TISSUES


@pytest.mark.parametrize(
    ("name", "official", "class_id", "tissue"),
    [
        ("kidney_left", "left kidney", 14, "kidney"),
        ("Thoracic9", "vertebrae T9", 41, "bone"),
        ("right_erector_spinae_muscle", "right autochthon", 105, "muscle"),
        ("left_iliacus_muscle", "left iliopsoas", 106, "muscle"),
        ("right_common_iliac_artery", "right iliac artery", 59, "artery"),
        ("left_external_iliac_artery", "left external iliac artery", None, "artery"),
        ("L2-L1-IntervertebralDisc", "l2 l1 intervertebraldisc", None, "disc"),
        ("right_renal_pelvis", "right renal pelvis", None, "urine"),
        ("colon_and_ileum", "colon and ileum", None, "mixed bowel"),
        ("flux capacitor", "flux capacitor", None, "other"),
    ],
)
def test_names(name, official, class_id, tissue):
    found = identify(name)
    assert (found.name, found.class_id, found.tissue) == (official, class_id, tissue)


def test_every_official_class_is_made_of_something():
    tissues = {item.name: identify(item.name).tissue for item in CATALOGUE.values() if item.supported}
    assert {name for name, tissue in tissues.items() if tissue == "other"} == set()
    assert set(tissues.values()) <= TISSUES.keys()


def test_sides_are_exchanged():
    assert other_side("left rib 7") == "right rib 7"
    assert other_side("left kidney") == "right kidney"
    assert other_side("liver") == "liver"
    twins = {item.name: identify(item.name).twin for item in CATALOGUE.values() if item.supported}
    assert all(twins.get(twin, name) == name for name, twin in twins.items())
