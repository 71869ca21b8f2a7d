"""The extension for 3D Slicer, as far as it can be tested without Slicer: its logic on a real server, and its files."""

import ast
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from serving import SHAPE, ct_file, make_model, running

from by_path import module_at
from openvista.anatomy.catalogue import CATALOGUE
from openvista.errors import ServiceError

SLICER = Path(__file__).parents[2] / "integrations/slicer"
MODULE = SLICER / "SegmentEditorOpenVISTA"
LIBRARY = MODULE / "SegmentEditorOpenVISTALib"
OBLIQUE = np.array([[-1.9, 0.3, 0.1, 20], [0.4, -1.8, 0.5, -30], [0.1, 0.4, 2.4, 7], [0, 0, 0, 1]])


library = module_at("integrations/slicer/SegmentEditorOpenVISTA/SegmentEditorOpenVISTALib/served_scan.py")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    model = make_model(tmp_path_factory.mktemp("models"), "small", ("automatic", "point"))
    with running(models=(str(model),)) as started:
        yield started


@pytest.fixture
def opened(server, tmp_path):
    served = library.ServedScan(server.url)
    file = ct_file(tmp_path / "volume.nii.gz", affine=OBLIQUE)
    served.open(file, nib.load(file).affine.tolist())
    yield served
    served.close()


def test_classes_become_segments(opened):
    assert "small" in opened.about()
    steps = []
    opened.segment(["liver", "left kidney"], steps.append)
    segments = {one.name: one for one in opened.segments()}
    assert segments
    assert segments.keys() <= {"liver", "left kidney"}
    assert steps
    for one in segments.values():
        assert one.mask_KJI.shape == SHAPE[::-1]
        assert one.mask_KJI.any()
        assert all(0 <= part <= 1 for part in one.colour)


def test_a_click_at_a_place_changes_the_voxel_there_and_undo_takes_it_back(opened):
    voxel = (5, 9, 3)
    place = OBLIQUE @ [*voxel, 1.0]
    opened.click(place[:3], "lesion 1", True)
    (one,) = opened.segments()
    assert (one.name, one.mask_KJI[voxel[::-1]]) == ("lesion 1", True)
    opened.click(place[:3], "lesion 1", False)
    assert not any(later.mask_KJI[voxel[::-1]] for later in opened.segments())
    assert opened.undo()
    assert np.array_equal(opened.segments()[0].mask_KJI, one.mask_KJI)
    while opened.undo():
        pass
    assert opened.segments() == []


def test_a_box_is_around_its_object(opened):
    corners = [(OBLIQUE @ [*voxel, 1.0])[:3] for voxel in ((11, 4, 6), (3, 10, 6))]
    opened.box(*corners, "lesion 2")
    inside = np.zeros(SHAPE, bool)
    inside[3:12, 4:11, 6] = True
    (one,) = opened.segments()
    assert one.name == "lesion 2"
    assert one.mask_KJI.T[inside].any()


def test_what_cannot_be_is_one_line(server, tmp_path, opened):
    with pytest.raises(ServiceError, match="outside the volume"):
        opened.click((500, 0, 0), "x", True)
    with pytest.raises(ServiceError, match="no volume is open"):
        library.ServedScan(server.url).segment(["liver"], print)
    file = ct_file(tmp_path / "volume.nii.gz", affine=OBLIQUE)
    moved = OBLIQUE + np.diag([0, 0, 0.5, 0])
    with pytest.raises(ServiceError, match=r"places it 0\.5 mm away"):
        library.ServedScan(server.url).open(file, moved.tolist())


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("right kidney", ("123037004^Anatomical Structure", "SCT^64033007^Kidney", "SCT^24028007^Right")),
        ("lung tumor", ("49755003^Morphologically Abnormal Structure", "Anatomic codes", "Lung")),
        ("lesion 1", ("SCT^85756007^Tissue~SCT^85756007^Tissue~^^",)),
    ],
)
def test_terminology_has_the_codes_of_dicom(name, parts):
    text = library.terminology(name)
    assert all(part in text for part in parts), text


def test_every_class_has_a_terminology_that_slicer_can_split():
    for one in CATALOGUE.values():
        fields = library.terminology(one.name).split("~")
        assert len(fields) == 7
        assert all(field.count("^") == 2 for place, field in enumerate(fields) if place not in (0, 4))


def test_the_library_needs_no_torch_and_no_slicer():
    code = f"import sys; sys.path.insert(0, {str(MODULE)!r}); import SegmentEditorOpenVISTALib.served_scan; " + (
        "print([name for name in ('torch', 'scipy', 'nibabel', 'slicer', 'vtk') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_widget_that_the_effect_uses_is_in_its_form():
    names = {one.get("name") for one in ET.parse(MODULE / "Resources/UI/SegmentEditorOpenVISTA.ui").iter("widget")}
    used = set(re.findall(r"self\.ui\.(\w+)", (LIBRARY / "SegmentEditorEffect.py").read_text()))
    assert used
    assert used <= names


def test_the_package_lists_every_file_there_is():
    listed = set(
        re.findall(r"\S+/\S+\.(?:py|ui|png)|\$\{MODULE_NAME\}\S*\.py", (MODULE / "CMakeLists.txt").read_text())
    )
    listed = {one.replace("${MODULE_NAME}", "SegmentEditorOpenVISTA") for one in listed}
    there = [
        one for one in MODULE.rglob("*") if one.suffix in (".py", ".ui", ".png") and "__pycache__" not in one.parts
    ]
    assert listed == {str(one.relative_to(MODULE)) for one in there}
    for one in there:
        if one.suffix == ".py":
            ast.parse(one.read_text())
    assert json.loads((SLICER / "OpenVISTA.json").read_text())["build_dependencies"] == []
