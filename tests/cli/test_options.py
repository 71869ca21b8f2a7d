"""Options: a letter has one meaning in all commands, and lists are given in one way."""

import pytest
import typer
from typer.testing import CliRunner

from openvista.cli.main import COMMANDS, app
from openvista.cli.options import chosen_profile, joined
from openvista.inference.profiles import BEST, BUNDLE

HIDDEN_LETTERS = {("serve", "-p")}
"""Letters of before that are still understood, but listed nowhere: ``serve -p`` was the port, ``-p`` is the profile."""


def all_commands() -> dict[str, typer.core.TyperCommand]:
    """Every command by the words it is called with, groups followed."""
    found, waiting = {}, [(name, stand_in.load()) for name, stand_in in typer.main.get_command(app).commands.items()]
    while waiting:
        words, command = waiting.pop()
        found[words] = command
        waiting += [(f"{words} {name}", sub) for name, sub in getattr(command, "commands", {}).items()]
    return found


def letters(hidden: bool) -> list[tuple[str, str, set[str]]]:
    """(command, letter, its long names) of all options that are, or are not, hidden."""
    rows = []
    for words, command in [*all_commands().items(), ("", typer.main.get_command(app))]:
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.hidden == hidden:
                long = {name for name in parameter.opts if name.startswith("--")}
                rows += [(words, name, long) for name in parameter.opts if not name.startswith("--")]
    return rows


def test_a_letter_has_one_meaning():
    meanings: dict[str, set[str]] = {}
    for words, letter, long in letters(hidden=False):
        meanings[letter] = meanings.get(letter, long) & long
        assert meanings[letter], f"{letter} of 'openvista {words}' ({', '.join(long)}) means something else elsewhere"
    assert {"-o", "-m", "-d", "-p", "-c", "-v", "-q", "-V"} <= set(meanings)


def test_letters_of_before_are_understood_and_not_shown():
    assert {(words, letter) for words, letter, _ in letters(hidden=True)} == HIDDEN_LETTERS


def test_the_port_may_still_be_given_by_its_letter(monkeypatch):
    pytest.importorskip("fastapi")
    asked = {}
    monkeypatch.setattr("openvista.serve.settings.make_settings", asked.update)  # no settings: it ends here
    for words, port in (["-p", "9000"], 9000), (["--port", "9001"], 9001), ([], None):
        CliRunner().invoke(app, ["serve", *words])
        assert asked["port"] == port


def test_everywhere_is_laid_over_any_profile():
    assert chosen_profile("best", False, None, None) is BEST
    assert chosen_profile("best", False, None, None, everywhere=True) == BEST.override(everywhere=True) != BEST
    assert chosen_profile("bundle", False, None, None, everywhere=True) is BUNDLE
    commands = all_commands()
    for words in ("segment", "batch run"):
        assert "--everywhere" in {name for one in commands[words].params for name in one.opts}


def test_all_commands_are_walked():
    assert set(COMMANDS) < set(all_commands())
    assert {"models convert", "datalist check", "evaluate compare", "cvpr predict"} <= set(all_commands())


@pytest.mark.parametrize(
    ("values", "text"),
    [(None, ""), ([], ""), (["liver"], "liver"), (["liver", "spleen"], "liver,spleen"), (["a,b", "c"], "a,b,c")],
)
def test_lists_are_repeated_or_have_commas(values, text):
    assert joined(values) == text
