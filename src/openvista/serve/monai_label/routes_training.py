"""``/activelearning/``, ``/train/``, ``/auth/``: the annotators' daily work around inference."""

import asyncio
import random
import time
from datetime import datetime, timezone
from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request
from starlette.concurrency import run_in_threadpool

from openvista.errors import ServiceError
from openvista.serve.guard import same_secret, with_ticket
from openvista.serve.monai_label.interface import TheInterface
from openvista.serve.problems import problems
from openvista.weights.card import sha256_of

router = APIRouter(tags=["MONAI Label"])

Params = Annotated[dict[str, Any] | None, Body()]
_WRONG_PASSWORD_SECONDS = 1.0


class Strategy(str, Enum):
    """Which image comes next."""

    FIRST = "first"
    RANDOM = "random"


# --- what to annotate next ----------------------------------------------------------------------------------------


@router.post("/activelearning/{strategy}", responses=problems(404, 422))
async def next_image(strategy: Strategy, interface: TheInterface, params: Params = None) -> dict[str, Any]:
    """The next image without final label; ``{}`` when all are done.

    Where a token is needed the id carries a ticket: Slicer fetches the image by it without the token.
    """
    store = interface.store.datastore
    waiting = await run_in_threadpool(store.unlabelled)
    if not waiting:
        return {}
    image_id = waiting[0] if strategy is Strategy.FIRST else random.choice(waiting)
    path = await run_in_threadpool(store.image, image_id)
    token = interface.service.settings.token
    ticketed = image_id
    if token is not None:
        ticketed = with_ticket(image_id, token.get_secret_value(), datetime.now(timezone.utc))
    return {
        **store.entry(image_id).get("info", {}),
        "id": ticketed,
        "name": path.name,
        "path": path.name,
        "checksum": f"SHA256:{await run_in_threadpool(sha256_of, path)}",
        "weight": 1,
        "ts": int(time.time()),
    }


# --- training -----------------------------------------------------------------------------------------------------


@router.get("/train/", responses=problems(404))
async def train_status(interface: TheInterface, check_if_running: bool = False, all: bool = False) -> dict[str, Any]:
    """The fine-tuning job; 404 when there is none, which clients rely on."""
    return interface.training.status(running_only=check_if_running)


@router.post("/train/{model}", responses=problems(403, 404, 422, 429, 503))
async def train(
    model: Annotated[str, Path(max_length=200)],
    interface: TheInterface,
    params: Params = None,
    run_sync: bool = False,
    enqueue: bool = False,
) -> dict[str, Any]:
    """Fine-tune on the datastore's final labels, in a process of its own. One job at a time."""
    return await interface.training.start(model, params or {})


@router.post("/train/", responses=problems(403, 404, 422, 429, 503))
async def train_default(interface: TheInterface, params: Params = None) -> dict[str, Any]:
    """As with the default model's name."""
    return await interface.training.start("vista3d", params or {})


@router.delete("/train/", responses=problems(404))
async def train_stop(interface: TheInterface) -> dict[str, Any]:
    """Stop the job."""
    return await run_in_threadpool(interface.training.stop)


# --- log in -------------------------------------------------------------------------------------------------------


@router.get("/auth/")
async def auth(interface: TheInterface) -> dict[str, Any]:
    """Whether a log-in is needed. Needs no token."""
    return {"enabled": interface.service.settings.token is not None, "client_id": "openvista", "realm": "openvista"}


@router.post(
    "/auth/token",
    responses=problems(415, 422),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "required": ["password"],
                        "properties": {"username": {"type": "string"}, "password": {"type": "string"}},
                    }
                }
            },
        }
    },
)
async def log_in(request: Request, interface: TheInterface) -> dict[str, Any]:
    """For Slicer's log-in: any user name, and the server's token as password."""
    token = interface.service.settings.token
    if token is None:
        return {"access_token": None, "token_type": None}
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise ServiceError("send a form (application/x-www-form-urlencoded)", status=415, code="media-type")
    given = (await request.form()).get("password")
    if not isinstance(given, str) or not same_secret(given, token.get_secret_value()):
        await asyncio.sleep(_WRONG_PASSWORD_SECONDS)
        raise ServiceError("the password is the server's token", status=401, code="token")
    return {"access_token": token.get_secret_value(), "token_type": "bearer"}


@router.get("/auth/token/valid", responses=problems())
async def valid(interface: TheInterface) -> dict[str, str]:
    """200 when the token that came with the request is right."""
    return {"username": "openvista"}
