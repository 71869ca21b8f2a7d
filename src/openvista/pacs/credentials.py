"""Who we are to a DICOMweb server: from the environment or the system's keyring, never from a command line or a log."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from openvista.errors import InputError

TOKEN_VARIABLE = "OPENVISTA_DICOMWEB_TOKEN"
USER_VARIABLE = "OPENVISTA_DICOMWEB_USER"
PASSWORD_VARIABLE = "OPENVISTA_DICOMWEB_PASSWORD"
_TOKEN_USER = "token"
"""User name under which a keyring keeps a token instead of a password."""


@dataclass(frozen=True)
class Credentials:
    """What goes into the header ``Authorization``.

    Attributes:
        header: its value; ``None`` for a server that asks nobody.
    """

    header: str | None = field(default=None, repr=False)

    @classmethod
    def bearer(cls, token: str) -> "Credentials":
        """A token (RFC 6750)."""
        return cls(f"Bearer {token}")

    @classmethod
    def basic(cls, user: str, password: str) -> "Credentials":
        """User name and password (RFC 7617)."""
        return cls("Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii"))


def find_credentials(host: str, environment: Mapping[str, str] = os.environ) -> Credentials:
    """Those of the environment; else what the keyring has for the service ``openvista:<host>``; else none.

    Args:
        host: name of the server, without port.
        environment: where to look first.

    Raises:
        InputError: a variable that cannot be used, or only one of user and password.
    """
    token = environment.get(TOKEN_VARIABLE, "")
    user, password = environment.get(USER_VARIABLE, ""), environment.get(PASSWORD_VARIABLE, "")
    for name, value in ((TOKEN_VARIABLE, token), (USER_VARIABLE, user), (PASSWORD_VARIABLE, password)):
        if not value.isprintable():
            raise InputError(f"{name} holds characters that no header can carry; set it anew")
    if token:
        return Credentials.bearer(token)
    if bool(user) != bool(password):
        raise InputError(f"set both {USER_VARIABLE} and {PASSWORD_VARIABLE}, or neither")
    return Credentials.basic(user, password) if user else _from_keyring(host)


def _from_keyring(host: str) -> Credentials:
    """What the system's keyring has; some keyrings must be asked by user name, and are asked for a token."""
    if find_spec("keyring") is None:
        return Credentials()
    import keyring
    from keyring.errors import KeyringError

    service = f"openvista:{host}"
    try:
        found = keyring.get_credential(service, None)
        token = keyring.get_password(service, _TOKEN_USER) if found is None else None
    except KeyringError:  # no keyring is open here, as on most servers
        return Credentials()
    if token is not None:
        return Credentials.bearer(token)
    if found is None:
        return Credentials()
    if found.username == _TOKEN_USER:
        return Credentials.bearer(found.password)
    return Credentials.basic(found.username, found.password)
