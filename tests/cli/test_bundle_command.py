"""``openvista bundle``: exit codes, and one line where something is wrong."""

import sys
from pathlib import Path

import pytest

from openvista.cli.main import main


def openvista(*arguments: str) -> int:
    """The exit code of a command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["openvista", *arguments])
        patch.setattr("signal.signal", lambda *_: None)
        patch.setattr("logging.captureWarnings", lambda _: None)
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


def test_export_and_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPENVISTA_HOME", str(tmp_path / "home"))
    assert openvista("bundle", "export", "starter", str(tmp_path / "bundle")) == 0
    assert openvista("bundle", "export", "starter", str(tmp_path / "bundle")) == 2
    assert openvista("bundle", "import", str(tmp_path / "bundle"), "--name", "again") == 0
    assert openvista("bundle", "import", str(tmp_path / "bundle"), "--name", "again") == 2
    assert openvista("bundle", "import", str(tmp_path / "nothing")) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line]
    assert [line.startswith("openvista: error: ") for line in errors] == [True, True, True]
    assert (tmp_path / "home/models/again/card.json").is_file()
