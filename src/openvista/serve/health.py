"""Is it alive, is it ready, how is it doing."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.responses import Response

from openvista.serve.problems import body, problems
from openvista.serve.service import TheService

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """Also what NIM's clients expect."""

    status: str


@router.get("/v1/health/live")
async def live() -> Health:
    """200 as soon as the process answers. Needs no token."""
    return Health(status="live")


@router.get("/v1/health/ready", responses=problems(503))
async def ready(service: TheService) -> Health:
    """200 when questions are answered, 503 while models load and while the server stops. Needs no token."""
    service.engine.require_ready()
    return Health(status="ready")


@router.get("/metrics", responses=problems() | body("text/plain", "numbers for Prometheus"), response_class=Response)
async def metrics(service: TheService) -> Response:
    """Requests, jobs, queues, sessions, memory."""
    return Response(service.metrics.page(), media_type=CONTENT_TYPE_LATEST)
