"""Structures of label maps: what they are called here, which class they are, of which tissue they are made."""

import re
from dataclasses import dataclass
from functools import cache

from openvista.anatomy.catalogue import CATALOGUE
from openvista.anatomy.spelling import NameIndex

_OTHER_WORDS = (
    (r"^cervical ?(\d+)$", r"vertebrae C\1"),
    (r"^thoracic ?(\d+)$", r"vertebrae T\1"),
    (r"^lumbar ?(\d+)$", r"vertebrae L\1"),
    (r"\b(psoas|iliacus)( muscle| major)?\b", "iliopsoas"),
    (r"\berector spinae( muscle)?\b", "autochthon"),
    (r"\b(gluteus \w+) muscle\b", r"\1"),
    (r"\bcommon iliac\b", "iliac"),
)
"""How atlases word what the vocabulary has under another name (3D Slicer's abdominal atlas; Terminologia Anatomica 2):
the iliopsoas is psoas and iliacus, the autochthonous muscles of the back are the erector spinae."""

_TISSUE_OF_GROUP = {"muscles": "muscle", "skeleton": "bone", "spine": "bone", "ribs": "bone", "vessels": "vein"}
_TISSUE_OF_CLASS = {
    **{1: "liver", 2: "kidney", 5: "kidney", 14: "kidney", 3: "spleen", 4: "pancreas", 8: "adrenal gland"},
    **{9: "adrenal gland", 10: "gallbladder", 11: "esophagus", 12: "stomach", 13: "duodenum", 15: "urine"},
    **{17: "vein", 19: "small bowel", 22: "brain", 57: "airway", 62: "colon", 132: "airway", 114: "cartilage"},
    **{115: "heart", 108: "heart", 116: "cyst", 117: "cyst", 118: "prostate", 16: "prostate", 121: "spinal cord"},
    **{126: "thyroid", 20: "lung", 18: "colon", **dict.fromkeys(range(28, 33), "lung")},
    **dict.fromkeys((23, 24, 26, 27, 128, 129, 130), "lesion"),
}
_TISSUE_OF_WORDS = (
    (r"\b(artery|arteria|aorta|trunk|carotid)\b", "artery"),
    (r"\b(vein|vena|cava)\b", "vein"),
    (r"\b(disc|disk)\b|intervertebral", "disc"),
    (r"\bcartilage", "cartilage"),
    (r"\b(muscle|gluteus|psoas)\b", "muscle"),
    (
        r"\b(bone|pelvis|rib ?\d*|vertebra\w*|coccyx|sacrum|femur|tibia|fibula|radius|ulna|patella|mandible|skull)\b",
        "bone",
    ),
    (r"\blung\b", "lung"),
    (r"\b(bowel|intestine|ileum|jejunum)\b", "mixed bowel"),
    (r"\bstomach\b", "stomach"),
    (r"\b(colon|rectum|cecum)\b", "colon"),
    (r"\b(trachea|bronch\w+|airway|larynx)\b", "airway"),
    (r"\b(ureter|bladder|urethra)\b", "urine"),
    (r"\b(parotid|submandibular|gland)\b", "gland"),
    (r"\b(brain\w*|cord)\b", "spinal cord"),
    (r"\b(tumou?r|lesion|metastas\w+|mass)\b", "lesion"),
    (r"\bcyst\b", "cyst"),
)
_OTHER_SIDE = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class DrawnStructure:
    """One thing that a label map names.

    Attributes:
        name: the official name, or what the map calls it.
        class_id: official id; ``None`` where the structure is no official class.
        tissue: a key of :data:`openvista.synthesis.tissue.TISSUES`; "other" where its name says nothing.
        twin: name of the same structure on the other side of the body; its own name where it has none.
    """

    name: str
    class_id: int | None
    tissue: str
    twin: str


def identify(name: str) -> DrawnStructure:
    """What a map's name stands for, through the vocabulary and other words that atlases use.

    Never fails: what nobody knows keeps its name and is of tissue "other".
    """
    plain = re.sub(r"[\W_]+", " ", name).strip().casefold()
    if plain == "renal pelvis" or re.search(r"\brenal pelvis\b", plain):
        return DrawnStructure(plain, None, "urine", other_side(plain))
    for pattern, words in _OTHER_WORDS:
        plain = re.sub(pattern, words, plain)
    class_id = _official_names().find(plain)
    known = plain if class_id is None else CATALOGUE[class_id].name
    return DrawnStructure(known, class_id, _tissue(known, class_id), other_side(known))


def other_side(name: str) -> str:
    """The name with left and right exchanged; unchanged where it has neither or both."""
    words = name.split(" ")
    if len(_OTHER_SIDE.keys() & set(words)) != 1:
        return name
    swapped = " ".join(_OTHER_SIDE.get(word, word) for word in words)
    class_id = _official_names().find(swapped)
    return swapped if class_id is None else CATALOGUE[class_id].name


@cache
def _official_names() -> NameIndex:
    return NameIndex(CATALOGUE.values())


def _tissue(name: str, class_id: int | None) -> str:
    if class_id in _TISSUE_OF_CLASS:
        return _TISSUE_OF_CLASS[class_id]
    for pattern, tissue in _TISSUE_OF_WORDS:
        if re.search(pattern, name.casefold()):
            return tissue
    group = None if class_id is None else CATALOGUE[class_id].group
    return _TISSUE_OF_GROUP.get(group or "", "other")
