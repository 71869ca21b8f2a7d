"""Credentials: where they come from, and that nothing shows them."""

import pytest

from openvista.errors import InputError
from openvista.pacs.credentials import Credentials, find_credentials


def test_the_environment():
    assert find_credentials("pacs.example", {}).header is None
    assert find_credentials("pacs.example", {"OPENVISTA_DICOMWEB_TOKEN": "abc"}).header == "Bearer abc"
    both = {"OPENVISTA_DICOMWEB_USER": "Aladdin", "OPENVISTA_DICOMWEB_PASSWORD": "open sesame"}
    assert find_credentials("pacs.example", both).header == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617


@pytest.mark.parametrize("lone", ["OPENVISTA_DICOMWEB_USER", "OPENVISTA_DICOMWEB_PASSWORD"])
def test_half_of_a_pair_is_refused(lone):
    with pytest.raises(InputError, match="both"):
        find_credentials("pacs.example", {lone: "secret"})


def test_what_no_header_can_carry_is_refused_without_being_shown():
    with pytest.raises(InputError, match="OPENVISTA_DICOMWEB_TOKEN") as refused:
        find_credentials("pacs.example", {"OPENVISTA_DICOMWEB_TOKEN": "secret\r\nX: y"})
    assert "secret" not in str(refused.value)


def test_they_are_not_shown():
    assert "secret" not in repr(Credentials.bearer("secret"))
