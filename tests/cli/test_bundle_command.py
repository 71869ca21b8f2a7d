"""``openvista bundle``: exit codes, and one line where something is wrong."""

from pathlib import Path

import pytest


def test_export_and_import(openvista_here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENVISTA_HOME", str(tmp_path / "home"))
    for command, refused in (
        (["export", "starter", tmp_path / "bundle"], False),
        (["export", "starter", tmp_path / "bundle"], True),
        (["import", tmp_path / "bundle", "--name", "again"], False),
        (["import", tmp_path / "bundle", "--name", "again"], True),
        (["import", tmp_path / "nothing"], True),
    ):
        done = openvista_here("bundle", *command)
        assert done.returncode == (2 if refused else 0), command
        if refused:
            (line,) = done.stderr.splitlines()
            assert line.startswith("openvista: error: ")
    assert (tmp_path / "home/models/again/card.json").is_file()
