"""Label tables in the files: what is written comes back, and foreign tables are understood."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openvista.errors import ScanError
from openvista.io import read_segmentation
from openvista.io.label_table import (
    LabelTable,
    from_caret_xml,
    from_nrrd_segments,
    to_caret_xml,
    to_nrrd_segments,
)

# NRRD header values are one line; XML knows no control characters
names = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=30).map(str.strip)
tables = st.dictionaries(
    st.integers(1, 65535), st.tuples(names.filter(bool), st.tuples(*[st.integers(0, 255)] * 3)), max_size=8
).map(lambda rows: LabelTable({k: v[0] for k, v in rows.items()}, {k: v[1] for k, v in rows.items()}))


@given(tables, st.integers(0, 15))
def test_caret_round_trip(table: LabelTable, padding: int) -> None:
    assert from_caret_xml(to_caret_xml(table) + b"\0" * padding) == table


def test_names_with_control_characters_stay_one_line() -> None:
    table = LabelTable({1: "a\n\x00b\x07"}, {1: (0, 0, 0)})
    assert from_caret_xml(to_caret_xml(table)).names == {1: "a  b"}
    assert to_nrrd_segments(table, (1, 1, 1))["Segment0_Name"] == "a  b "


@given(tables)
def test_nrrd_round_trip(table: LabelTable) -> None:
    assert (from_nrrd_segments(to_nrrd_segments(table, (4, 5, 6))) or LabelTable()) == table


def test_extent_covers_the_volume() -> None:
    fields = to_nrrd_segments(LabelTable({7: "a"}, {7: (255, 0, 51)}), (4, 5, 6))
    assert fields["Segment0_Extent"] == "0 3 0 4 0 5"
    assert fields["Segment0_LabelValue"] == "7"
    assert fields["Segment0_Color"] == "1.000000 0.000000 0.200000"


@pytest.mark.parametrize("code", [0, 30])
def test_a_table_as_other_tools_write_it(tmp_path, code: int) -> None:  # type: ignore[no-untyped-def]
    xml = b"""<?xml version="1.0" encoding="UTF-8"?>
<CaretExtension><Date>2013-07-14</Date><VolumeInformation Index="0"><LabelTable>
<Label Key="1" Red="0.2" Green="1" Blue="0" Alpha="1"><![CDATA[spleen]]></Label>
<Label Key="4" Red="0" Green="0.4" Blue="1" Alpha="1"><![CDATA[gall & bladder]]></Label>
</LabelTable><VolumeType><![CDATA[Label]]></VolumeType></VolumeInformation></CaretExtension>"""
    image = nib.Nifti1Image(np.full((2, 2, 2), 4, np.uint8), np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"something else"))
    image.header.extensions.append(nib.nifti1.Nifti1Extension(code, xml))
    nib.save(image, tmp_path / "seg.nii.gz")
    seg = read_segmentation(tmp_path / "seg.nii.gz")
    assert seg.names == {1: "spleen", 4: "gall & bladder"}
    assert seg.colours == {1: (51, 255, 0), 4: (0, 102, 255)}
    np.testing.assert_array_equal(seg.labels, 4)


@pytest.mark.parametrize(
    "content",
    [
        b"<LabelTable",
        b'<LabelTable><Label Key="x"/></LabelTable>',
        b"<a><Label/></a>",
        b"<?xml version='1.0' encoding='U-F-8'?><a/>",
    ],
)
def test_broken_tables(content: bytes) -> None:
    with pytest.raises(ScanError, match="label table"):
        from_caret_xml(content)


def test_broken_segment_fields() -> None:
    with pytest.raises(ScanError, match="segment fields"):
        from_nrrd_segments({"Segment0_LabelValue": "one"})
    with pytest.raises(ScanError, match="segment fields"):
        from_nrrd_segments({"Segment0_LabelValue": "1", "Segment0_Color": "1 1"})
    assert from_nrrd_segments({"Segmentation_MasterRepresentation": "x"}) is None
