import pytest

from openvista.errors import PromptError
from openvista.session.handle import SessionObject
from small_sessions import bright_session, two_balls


def test_a_handle_tells_what_the_object_is_now_and_refuses_once_it_is_gone():
    session = bright_session(two_balls())
    handle = session.new_object("node")
    assert isinstance(handle, SessionObject)
    session.click((10, 12, 14), handle, grow=False)
    session.change(handle, name="lymph node")
    assert (handle.name, len(handle.clicks), bool(handle.mask[10, 12, 14])) == ("lymph node", 1, True)
    session.remove(handle)
    for read in (lambda: handle.name, lambda: handle.clicks, lambda: handle.mask, lambda: handle.state):
        with pytest.raises(PromptError, match="no object"):
            read()
