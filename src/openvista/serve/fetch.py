"""Fetching a scan from an address that a client named, without being sent where only we can reach.

Off unless hosts are allowed. Every address, the first and each redirect's, is checked anew: scheme, host name, and all
IP addresses that the name resolves to. The connection then goes to the IP address that was checked, so that a second
look-up cannot give another one (DNS rebinding); the certificate is still checked against the name.
"""

import asyncio
import fnmatch
import ipaddress
import socket
from pathlib import Path

import httpx

from openvista.errors import ServiceError
from openvista.serve.settings import MEGABYTE, Settings

_MOST_REDIRECTS = 4
_REDIRECTS = (301, 302, 303, 307, 308)
_CONNECT_SECONDS = 10
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


async def fetch(url: str, target: Path, settings: Settings) -> str:
    """Write what lies at an address into a file.

    Returns:
        The last part of the path it came from: its file name.

    Raises:
        ServiceError: 403 not allowed, 413 too large, 504 too slow, 422 not an address or not to be had.
    """
    if not settings.url_hosts:
        raise ServiceError(
            "this server fetches nothing; it was started without --url-host", status=403, code="urls-off"
        )
    try:
        return await asyncio.wait_for(_follow(url, target, settings), settings.url_seconds)
    except (TimeoutError, asyncio.TimeoutError):
        message = f"the address did not deliver within {settings.url_seconds:g} s"
        raise ServiceError(message, status=504, code="url-slow") from None
    except httpx.HTTPError as error:
        message = f"the address cannot be fetched: {type(error).__name__}"
        raise ServiceError(message, status=422, code="url") from None


async def _follow(url: str, target: Path, settings: Settings) -> str:
    # no proxy from the environment, which would resolve names behind our back
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=_CONNECT_SECONDS) as client:
        for _ in range(_MOST_REDIRECTS + 1):
            checked, ip = await _check(url, settings)
            request = client.build_request(
                "GET",
                checked.copy_with(host=ip),
                headers={"Host": checked.netloc.decode(), "Accept-Encoding": "identity"},
                extensions={"sni_hostname": checked.host},
            )
            answer = await client.send(request, stream=True)
            try:
                if answer.status_code in _REDIRECTS and "location" in answer.headers:
                    url = str(checked.join(answer.headers["location"]))
                    continue
                await _save(answer, target, settings)
                return checked.path.rsplit("/", 1)[-1]
            finally:
                await answer.aclose()
    raise ServiceError(f"more than {_MOST_REDIRECTS} redirects; give the final address", status=422, code="url")


async def _check(url: str, settings: Settings) -> tuple[httpx.URL, str]:
    """An address that we may ask, and the IP address to connect to for it.

    Raises:
        ServiceError: we may not, or it is none.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ServiceError(f"not an address: {error}", status=422, code="url") from None
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise ServiceError("give an http or https address without user name", status=422, code="url")
    host = parsed.host.lower().rstrip(".")
    if not any(fnmatch.fnmatchcase(host, pattern.lower()) for pattern in settings.url_hosts):
        raise ServiceError(f"addresses at {host} are not allowed; see --url-host", status=403, code="url-host")
    ips = await _resolve(host, parsed.port or (443 if parsed.scheme == "https" else 80))
    if not settings.url_private and not all(map(_is_public, ips)):
        raise ServiceError(f"{host} is a private address; see --url-private", status=403, code="url-private")
    return parsed, ips[0]


async def _resolve(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ServiceError(f"{host} is not known", status=422, code="url") from None
    return [str(item[4][0]) for item in found]


def _is_public(ip: str) -> bool:
    """Whether an IP address is public; for an IPv4 address inside an IPv6 one, whether the inner one is."""
    address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(ip.split("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = inner or address
    return address.is_global and not address.is_multicast and not address.is_reserved


async def _save(answer: httpx.Response, target: Path, settings: Settings) -> None:
    if answer.status_code != 200:
        raise ServiceError(f"the address answers {answer.status_code}", status=422, code="url")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise ServiceError("the address sends compressed transfers; it must send the file", status=422, code="url")
    count = 0
    with target.open("wb") as file:
        async for chunk in answer.aiter_raw(MEGABYTE):
            count += len(chunk)
            if count > settings.upload_bytes:
                message = f"the file is larger than the {settings.upload_mb} MB this server takes"
                raise ServiceError(message, status=413, code="too-large")
            file.write(chunk)
