"""``/proxy/dicom/``: OHIF reads the PACS through this server, so that it needs neither its address nor its password."""

import re
from collections.abc import AsyncIterator
from enum import Enum

import httpx
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from openvista.errors import ServiceError
from openvista.pacs.credentials import find_credentials
from openvista.pacs.dicomweb import check_base
from openvista.serve.service import TheService

router = APIRouter(tags=["MONAI Label"])

_PATH = re.compile(r"(studies|series|instances)(/[A-Za-z0-9][A-Za-z0-9.,_-]*)*")
_TOLD = ("content-type", "content-length", "etag", "last-modified")
_ASKED = ("accept", "if-none-match", "range")
_TIMEOUT = httpx.Timeout(180, connect=20)


class Transaction(str, Enum):
    """Which of DICOMweb's services OHIF means. The PACS has one address for all."""

    QIDO = "qido"
    WADO = "wado"


@router.get("/proxy/dicom/{kind}/{path:path}", include_in_schema=False)
async def pass_on(kind: Transaction, path: str, request: Request, service: TheService) -> Response:
    """What the PACS answers. Only reading, only this PACS, and no redirects.

    Raises:
        ServiceError: 404 no PACS, or no address of DICOMweb; 413 too large; 502, it cannot be reached.
    """
    base = service.settings.dicomweb
    if base is None:
        raise ServiceError("this server has no PACS; start it with --dicomweb", status=404, code="no-pacs")
    path = path.rstrip("/")
    if not _PATH.fullmatch(path):
        raise ServiceError("there is no such DICOMweb address", status=404, code="not-found")
    headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
    headers["Accept-Encoding"] = "identity"
    credentials = find_credentials(check_base(base))
    if credentials.header is not None:
        headers["Authorization"] = credentials.header
    client = httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=_TIMEOUT)
    try:
        url = httpx.URL(f"{base.rstrip('/')}/{path}").copy_with(query=request.scope["query_string"])
        answer = await client.send(client.build_request("GET", url, headers=headers), stream=True)
    except httpx.HTTPError as error:
        await client.aclose()
        message = f"the PACS cannot be reached: {type(error).__name__}"
        raise ServiceError(message, status=502, code="pacs") from None
    return await _relay(client, answer, service.settings.upload_bytes)


async def _relay(client: httpx.AsyncClient, answer: httpx.Response, most_bytes: int) -> Response:
    claimed = answer.headers.get("content-length", "0")
    refused = answer.is_redirect or answer.status_code in (401, 403)
    if refused or (claimed.isdigit() and int(claimed) > most_bytes):
        await answer.aclose()
        await client.aclose()
        if refused:  # our credentials are the operator's affair; a browser must not ask its user for them
            raise ServiceError(f"the PACS refuses ({answer.status_code})", status=502, code="pacs")
        raise ServiceError("the PACS sends more than this server takes", status=413, code="too-large")
    headers = {name: answer.headers[name] for name in _TOLD if name in answer.headers}
    return StreamingResponse(_bounded(client, answer, most_bytes), answer.status_code, headers)


async def _bounded(client: httpx.AsyncClient, answer: httpx.Response, most_bytes: int) -> AsyncIterator[bytes]:
    """The body; broken off where it is larger than it may be."""
    count = 0
    try:
        async for chunk in answer.aiter_raw():
            count += len(chunk)
            if count > most_bytes:
                raise ServiceError("the PACS sends more than this server takes", status=413, code="too-large")
            yield chunk
    finally:
        await answer.aclose()
        await client.aclose()
