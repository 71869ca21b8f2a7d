"""A place for the copies of a cohort, and for the notes of who made them."""

from pathlib import Path

import pytest

from small_cohort import Copying


@pytest.fixture
def copying(tmp_path: Path) -> Copying:
    (tmp_path / "notes").mkdir()
    return Copying(str(tmp_path / "out"), str(tmp_path / "notes"))
