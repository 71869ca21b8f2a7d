"""Rules: which series is meant, and one line for each mistake in the file."""

import pytest

from openvista.errors import RecipeError
from openvista.pacs.rules import SeriesFacts, read_rules

pytest.importorskip("yaml")

GOOD = """
destinations:
  archive: {title: PACS, host: pacs.example, port: 104}
  web: {dicomweb: "https://pacs.example/dicom-web"}
rules:
  - name: lungs
    when: {body_part: [CHEST, THORAX], description: "*lung*"}
    model: vista3d
    classes: [lung, 115]
    formats: [dicom-seg, dicom-rtstruct]
    send_to: [archive, web]
  - name: magnets
    when: {modality: "M?", sender: SCANNER_*}
    send_to: web
"""


def write(folder, text):
    path = folder / "rules.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"modality": "CT", "body_part": "CHEST", "description": "1.25 LUNG std"}, "lungs"),
        ({"modality": "ct", "body_part": "thorax", "description": "lung"}, "lungs"),
        ({"modality": "CT", "body_part": "HEAD", "description": "lung"}, None),
        ({"modality": "CT", "body_part": "CHEST", "description": "bone"}, None),
        ({"modality": "MR", "body_part": "CHEST", "description": "lung", "sender": "SCANNER_2"}, "magnets"),
        ({"modality": "MR", "sender": "OTHER"}, None),
        ({}, None),
    ],
)
def test_the_first_rule_that_fits(tmp_path, facts, name):
    rule = read_rules(write(tmp_path, GOOD)).rule_for(SeriesFacts(**facts))
    assert (rule.name if rule else None) == name


def test_what_is_not_given_is_the_usual(tmp_path):
    rule = read_rules(write(tmp_path, GOOD)).rules[1]
    assert (rule.model, rule.classes, rule.formats, rule.send_to) == ("starter", (), ("dicom-seg",), ("web",))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("body_part:", "bodypart:", "unknown key 'rules.0.when.bodypart'"),
        ("dicom-rtstruct", "nii.gz", "'nii.gz' cannot be stored"),
        ("send_to: web", "send_to: nowhere", "sends to 'nowhere', which is no destination; there is archive, web"),
        ("name: magnets", "name: lungs", "two rules are called 'lungs'"),
        ("port: 104", "port: 99999", "destinations.archive.port"),
        ("title: PACS, ", "", "give title, host and port"),
        ("https://pacs", "https://me:secret@pacs", "OPENVISTA_DICOMWEB_PASSWORD"),
        ("send_to: web", "formats: []", "rules.1.send_to: Field required"),
        ("rules:", "rules: [", "is not YAML"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, old, new, said):
    assert old in GOOD
    with pytest.raises(RecipeError) as refused:
        read_rules(write(tmp_path, GOOD.replace(old, new)))
    lines = str(refused.value).splitlines()
    assert any(said in line for line in lines), lines
    assert "secret" not in str(refused.value)
    assert all(str(tmp_path / "rules.yaml") in line for line in lines)


def test_two_mistakes_are_two_lines(tmp_path):
    text = GOOD.replace("port: 104", "port: no").replace("model:", "modle:")
    with pytest.raises(RecipeError) as refused:
        read_rules(write(tmp_path, text))
    assert len(str(refused.value).splitlines()) == 2
