from importlib import import_module

import pytest

from openvista.errors import MissingExtraError, first_line, needs_extra


def test_a_missing_package_says_how_to_get_it() -> None:
    message = r"is needed to fly: pip install 'openvista\[wings\]'"
    with pytest.raises(MissingExtraError, match=message) as caught, needs_extra("no_such_package", "wings", "fly"):
        import_module("no_such_package")
    assert isinstance(caught.value.__cause__, ImportError)


def test_other_errors_pass() -> None:
    with pytest.raises(ValueError, match="other"), needs_extra("torch", "all", "run"):
        raise ValueError("other")


@pytest.mark.parametrize(
    ("error", "line"), [(ValueError("one\ntwo"), "one"), (OSError("\n late\n"), "late"), (KeyError(), "KeyError")]
)
def test_first_line(error: Exception, line: str) -> None:
    assert first_line(error) == line
