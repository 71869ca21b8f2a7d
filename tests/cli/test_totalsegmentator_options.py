"""Habits from TotalSegmentator: a line that names our option; what is an option of ours stays one."""

from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from openvista.cli.main import app
from openvista.cli.totalsegmentator_options import OURS, refuse_totalsegmentator_options
from openvista.errors import InputError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-i", "ct.nii.gz", "-o", "out"], "-i is an option of TotalSegmentator: give the CT without a letter"),
        (["ct.nii.gz", "-rs", "liver"], "use --class"),
        (["ct.nii.gz", "--roi_subset", "liver"], "use --class"),
        (["ct.nii.gz", "-ot", "dicom_seg"], "use --format"),
        (["ct.nii.gz", "--ml"], "--per-class"),
        (["ct.nii.gz", "--task=total"], "--task is an option of TotalSegmentator: use --model"),
        (["ct.nii.gz", "-f"], "use --fast"),
        (["ct.nii.gz", "--save_lowres"], "use --spacing"),
        (["ct.nii.gz", "-cp", "crop.nii.gz"], "use --roi"),
        (["ct.nii.gz", "-s"], "use --statistics"),
    ],
)
def test_theirs_name_ours(arguments, words):
    done = CliRunner().invoke(app, ["segment", *arguments])
    assert isinstance(done.exception, InputError)
    assert words in str(done.exception)
    assert "\n" not in str(done.exception)


def test_ours_are_not_refused():
    ours = ["ct.nii.gz", "-o", "out", "-c", "liver", "-p", "best", "-q", "-d", "cpu", "-m", "starter", "--statistics"]
    ours += ["--fast", "--report", "--preview", "-v"]
    refuse_totalsegmentator_options(ours)
    refuse_totalsegmentator_options(["--", "-i"])


def test_the_page_has_every_letter():
    page = (Path(__file__).parents[2] / "docs" / "moving-over.md").read_text().partition("## TotalSegmentator")[2]
    assert {letter for letter in OURS if f"`{letter}`" not in page} == set()


def test_every_option_that_is_named_exists():
    """And none of ours is in their table."""
    command = get_command(app).commands["segment"].load()
    known = {option for parameter in command.params for option in parameter.opts}
    named = {word.strip(",:;") for text in OURS.values() for word in text.split() if word.startswith("--")}
    assert named <= known
    assert not known & OURS.keys()
