"""Requests that wait where the server says so, and answers that are errors become ours."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from openvista.errors import ServiceError, needs_extra

if TYPE_CHECKING:
    import httpx

_LATER = (429, 503)
_LONGEST_PAUSE = 10.0
_SAFE = ("GET", "HEAD")
_TIMEOUTS = {"connect": 10.0, "read": 600.0, "write": 300.0, "pool": 10.0}
"""Seconds. A whole scan on a CPU takes minutes, and so does an upload."""


class Transport:
    """A connection to one server.

    Args:
        url: of the server.
        token: of the server, if it has one.
        owner: a secret of at least 16 characters; what is made with it is there for nobody else.
        patience: seconds to go on asking a server that is busy, starting or restarting.
    """

    def __init__(self, url: str, token: str | None, owner: str, patience: float) -> None:
        with needs_extra("httpx", "client", "ask a server"):
            import httpx
        headers = {"X-OpenVISTA-Owner": owner} | ({"Authorization": f"Bearer {token}"} if token else {})
        self.patience = patience
        self._httpx = httpx
        self._http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=httpx.Timeout(**_TIMEOUTS))

    def request(self, method: str, path: str, **choices: Any) -> "httpx.Response":
        """One request, repeated while that cannot do harm: the server refused it unread, or it changes nothing.

        Raises:
            ServiceError: the server's refusal, or that it cannot be reached.
        """
        end = time.monotonic() + self.patience
        while True:
            answer = self._once(method, path, choices)
            if isinstance(answer, ServiceError):
                error, again, pause = answer, True, 0.5
            elif answer.status_code < 400:
                return answer
            else:
                error, again, pause = refusal(answer), answer.status_code in _LATER, _pause(answer.headers)
            if not again or time.monotonic() + pause > end:
                raise error
            _rewind(choices)
            time.sleep(pause)

    def json(self, method: str, path: str, **choices: Any) -> Any:
        """As :meth:`request`, and what the answer says."""
        return self.request(method, path, **choices).json()

    def _once(self, method: str, path: str, choices: Mapping[str, Any]) -> "httpx.Response | ServiceError":
        """The answer, or why there is none if asking again can do no harm."""
        try:
            return self._http.request(method, path, **choices)
        except self._httpx.TransportError as error:
            message = f"the server cannot be reached ({type(error).__name__})"
            unreachable = ServiceError(message, status=503, code="away")
            unsent = isinstance(error, self._httpx.ConnectError | self._httpx.ConnectTimeout)
            if unsent or method in _SAFE:
                return unreachable
            raise unreachable from None  # it may have been done: the caller must look

    def close(self) -> None:
        """End the connection."""
        self._http.close()


def refusal(answer: "httpx.Response") -> ServiceError:
    """The server's refusal as an error of ours."""
    try:
        content = answer.json()
    except ValueError:
        content = {}
    content = content if isinstance(content, dict) else {}
    detail = str(content.get("detail") or f"the server answers {answer.status_code}")
    code, choices = str(content.get("code") or "http"), content.get("choices")
    return ServiceError(detail, status=answer.status_code, code=code, choices=choices)


def _pause(headers: Mapping[str, str]) -> float:
    given = headers.get("retry-after", "1")
    return min(float(given), _LONGEST_PAUSE) if given.isdigit() else 1.0


def _rewind(choices: Mapping[str, Any]) -> None:
    """Files that were read once are sent again from their beginning."""
    for _, (_, file) in choices.get("files") or ():
        file.seek(0)
