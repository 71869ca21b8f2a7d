"""``openvista mcp``: what it refuses before it serves. What it serves: tests/agents, tests/services/test_mcp.py."""

import pytest

pytest.importorskip("mcp")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no folder may be used: give --root FOLDER"),
        (("--root", "none"), "--root none: there is no such folder"),
        (("--root", ".", "--model", "nosuch"), "nosuch"),
        (("--root", ".", "--http", "--port", "0"), "port"),
    ],
)
def test_wrong_input_is_one_line(openvista_here, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = openvista_here("mcp", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_the_help_teaches(openvista_here):
    text = openvista_here("mcp", "--help").stdout
    for word in ("--root /data/ct", "--http", "docs/agents.md", "--model"):
        assert word in text
