import comm
import pytest

from small_widgets import Browser


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    """Widgets that are made from now on talk to it."""
    started = Browser()
    monkeypatch.setattr(comm, "create_comm", started.create_comm)
    return started
