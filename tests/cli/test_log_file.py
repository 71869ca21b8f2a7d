"""``--log-file``: every command has it; times, levels, what went wrong; the terminal shows what it showed before."""

import logging

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from openvista.cli.console import say, set_up_logging
from openvista.cli.log_file import LogFile, is_open
from openvista.cli.main import COMMANDS, app
from openvista.errors import OpenVistaError, OutputError


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"serve"}))
def test_every_command_has_it(name):
    command = get_command(app).commands[name].load()
    for one in getattr(command, "commands", {"": command}).values():
        assert [parameter.opts for parameter in one.params].count(["--log-file"]) == 1


def test_commands_begin_and_end_in_it_and_errors_are_there(tmp_path):
    log = tmp_path / "log.txt"
    assert CliRunner().invoke(app, ["classes", "liver", "--log-file", str(log)]).exit_code == 0
    done = CliRunner().invoke(app, ["datalist", "check", str(tmp_path / "none.json"), "--log-file", str(log)])
    assert isinstance(done.exception, OpenVistaError)
    assert not is_open()
    lines = [line.split(" ", 1)[1] for line in log.read_text().splitlines()]
    assert [line.split(", ")[0].split(" after")[0] for line in lines] == [
        "INFO openvista classes: begins",
        "INFO openvista classes: ends",
        "INFO openvista datalist check: begins",
        f"ERROR openvista datalist check: {done.exception}",
        "INFO openvista datalist check: ends",
    ]


def test_the_file_has_decisions_and_the_terminal_only_what_it_shows_otherwise(tmp_path, capsys):
    with LogFile(tmp_path / "log.txt", "openvista test"):
        set_up_logging(0, quiet=True)
        logging.getLogger("openvista.inference").info("a decision")
        logging.getLogger("openvista.inference").warning("a warning")
        logging.getLogger("openvista.io.nifti").warning("an odd header")
        logging.getLogger("pydicom").error("value of a header")
        say("warning", "said by a command")
    shown, written = capsys.readouterr().err, (tmp_path / "log.txt").read_text()
    assert "an odd header" in shown
    assert "said by a command" in shown
    assert "a decision" not in shown
    assert "a warning" not in shown
    for words in ("INFO a decision", "WARNING a warning", "WARNING an odd header", "WARNING said by a command"):
        assert written.count(words) == 1
    assert "value of a header" not in written
    logging.getLogger("openvista.inference").warning("after it")
    assert "after it" not in (tmp_path / "log.txt").read_text()


def test_what_ended_a_command_is_named(tmp_path):
    with pytest.raises(ZeroDivisionError), LogFile(tmp_path / "log.txt", "openvista test"):
        raise ZeroDivisionError
    assert "ERROR openvista test: ended by ZeroDivisionError" in (tmp_path / "log.txt").read_text()


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match=r"--log-file .*: cannot be written"):
        LogFile(tmp_path / "missing" / "log.txt", "openvista test")
