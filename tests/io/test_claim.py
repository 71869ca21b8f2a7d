"""A folder that one process at a time may work in."""

import stat

import pytest

from openvista.errors import InputError, OutputError
from openvista.io.claim import claim_folder


def test_a_folder_is_claimed_once(tmp_path):
    folder = tmp_path / "new" / "state"
    claim = claim_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with pytest.raises(InputError, match="another server uses it"):
        claim_folder(folder)
    claim.close()
    claim_folder(folder).close()


def test_what_cannot_be_a_folder_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--state"):
        claim_folder(tmp_path / "file")
