"""Prompts: what needs the network. Wait for the answer, or get a job and follow its events."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.responses import JSONResponse, StreamingResponse

from openvista.errors import ModelError
from openvista.inference.progress import Report
from openvista.serve.kept_session import KeptSession
from openvista.serve.native.sessions import TheService, TheSession, WithLabels, change_of
from openvista.serve.problems import body, problems
from openvista.serve.schemas import (
    AskBox,
    AskClasses,
    AskClicks,
    AskLasso,
    AskScribble,
    Cancelled,
    Change,
    JobInfo,
)
from openvista.serve.service import Service
from openvista.serve.workspace import Workspace

router = APIRouter(prefix="/api/v1/sessions/{session_id}", tags=["prompts"])

Ask = Callable[[Workspace, Report], list[str]]


class How:
    """Options of every prompt."""

    def __init__(
        self,
        labels: WithLabels = True,
        wait: Annotated[bool, Query(description="false: answer 202 with the job at once")] = True,
    ) -> None:
        self.labels, self.wait = labels, wait


HowTo = Annotated[How, Depends(How)]
_ANSWERS = problems(404, 409, 422, 429, 503) | {
    200: {"model": Change, "description": "what has changed"},
    202: {"model": JobInfo, "description": "accepted; with wait=false"},
}


@router.post("/classes", responses=_ANSWERS, response_model=Change)
async def classes(asked: AskClasses, kept: TheSession, service: TheService, how: HowTo) -> Response:
    """Segment by name. The scan is encoded once; a class asked for later answers from what is kept."""
    return await _ask(service, kept, "classes", how, lambda workspace, progress: workspace.segment(asked, progress))


@router.post("/clicks", responses=_ANSWERS, response_model=Change)
async def clicks(asked: AskClicks, kept: TheSession, service: TheService, how: HowTo) -> Response:
    """Clicks on one object: answered together and undone together."""
    _require_clicks(service, kept)
    return await _ask(service, kept, "clicks", how, lambda workspace, progress: workspace.clicks(asked, progress))


@router.post("/boxes", responses=_ANSWERS, response_model=Change)
async def boxes(asked: AskBox, kept: TheSession, service: TheService, how: HowTo) -> Response:
    """A box around an object, or around what does not belong to it."""
    _require_clicks(service, kept)
    return await _ask(service, kept, "box", how, lambda workspace, progress: workspace.box(asked, progress))


@router.post("/lassos", responses=_ANSWERS, response_model=Change)
async def lassos(asked: AskLasso, kept: TheSession, service: TheService, how: HowTo) -> Response:
    """A contour on a slice."""
    _require_clicks(service, kept)
    return await _ask(service, kept, "lasso", how, lambda workspace, progress: workspace.lasso(asked, progress))


@router.post("/scribbles", responses=_ANSWERS, response_model=Change)
async def scribbles(asked: AskScribble, kept: TheSession, service: TheService, how: HowTo) -> Response:
    """A stroke."""
    _require_clicks(service, kept)
    return await _ask(service, kept, "scribble", how, lambda workspace, progress: workspace.scribble(asked, progress))


@router.get("/jobs/{job_id}", responses=problems(404))
async def job(job_id: str, kept: TheSession) -> JobInfo:
    """How far a job is; the session's last 32 are known."""
    return kept.job(job_id).info()


@router.post("/cancel", responses=problems(404))
async def cancel(kept: TheSession) -> Cancelled:
    """Stop what runs and what waits in this session; what was done before stays."""
    return Cancelled(cancelled=kept.cancel_all())


@router.get(
    "/events",
    responses=problems(404, 429) | body("text/event-stream", "events 'job' (JobInfo) and 'change' ({revision})"),
    response_class=StreamingResponse,
)
async def events(kept: TheSession, service: TheService, request: Request) -> StreamingResponse:
    """Progress and changes as they happen."""
    stream = kept.streams.open(lambda: service.engine.draining or kept.gone)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _ask(service: Service, kept: KeptSession, kind: str, how: How, ask: Ask) -> Response:
    def run(workspace: Workspace, progress: Report) -> Change:
        since = workspace.revision
        notes = ask(workspace, progress)
        return change_of(kept, workspace, since, notes, how.labels)

    job = kept.new_job(kind)
    if not how.wait:
        service.sessions.start(kept, job, run)
        return JSONResponse(job.info().model_dump(mode="json"), 202)
    change = await service.sessions.compute(kept, job, run)
    return Response(change.model_dump_json(), media_type="application/json")


def _require_clicks(service: Service, kept: KeptSession) -> None:
    """A model without point branch answers no clicks, whatever else is wrong with them.

    Raises:
        ModelError: it has none.
    """
    if "point" not in service.engine.model(kept.model).card.branches:
        raise ModelError(f"model {kept.model!r} answers class prompts only, not clicks; open the session with another")
