"""Prompts: what needs the network. Wait for the answer, or get a job and follow its events."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query, Response
from starlette.responses import JSONResponse, StreamingResponse

from openvista.errors import ModelError
from openvista.inference.progress import Report
from openvista.serve.kept_session import KeptSession
from openvista.serve.native.sessions import TheSession, WithLabels, change_of
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
from openvista.serve.service import Service, TheService
from openvista.serve.workspace import Workspace

router = APIRouter(prefix="/api/v1/sessions/{session_id}", tags=["prompts"])

Prompt = TypeVar("Prompt", AskClasses, AskClicks, AskBox, AskLasso, AskScribble)


class PromptOptions:
    """Options of every prompt."""

    def __init__(
        self,
        labels: WithLabels = True,
        wait: Annotated[bool, Query(description="false: answer 202 with the job at once")] = True,
    ) -> None:
        self.labels, self.wait = labels, wait


Options = Annotated[PromptOptions, Depends(PromptOptions)]
_ANSWERS = problems(404, 409, 422, 429, 503) | {
    200: {"model": Change, "description": "what has changed"},
    202: {"model": JobInfo, "description": "accepted; with wait=false"},
}


@router.post("/classes", responses=_ANSWERS, response_model=Change)
async def classes(asked: AskClasses, kept: TheSession, service: TheService, options: Options) -> Response:
    """Segment by name. The scan is encoded once; a class asked for later answers from what is kept."""
    return await _ask(service, kept, "classes", options, Workspace.segment, asked)


@router.post("/clicks", responses=_ANSWERS, response_model=Change)
async def clicks(asked: AskClicks, kept: TheSession, service: TheService, options: Options) -> Response:
    """Clicks on one object: answered together and undone together."""
    return await _ask(service, kept, "clicks", options, Workspace.clicks, asked)


@router.post("/boxes", responses=_ANSWERS, response_model=Change)
async def boxes(asked: AskBox, kept: TheSession, service: TheService, options: Options) -> Response:
    """A box around an object, or around what does not belong to it."""
    return await _ask(service, kept, "box", options, Workspace.box, asked)


@router.post("/lassos", responses=_ANSWERS, response_model=Change)
async def lassos(asked: AskLasso, kept: TheSession, service: TheService, options: Options) -> Response:
    """A contour on a slice."""
    return await _ask(service, kept, "lasso", options, Workspace.lasso, asked)


@router.post("/scribbles", responses=_ANSWERS, response_model=Change)
async def scribbles(asked: AskScribble, kept: TheSession, service: TheService, options: Options) -> Response:
    """A stroke."""
    return await _ask(service, kept, "scribble", options, Workspace.scribble, asked)


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
async def events(kept: TheSession, service: TheService) -> Response:
    """Progress and changes as they happen."""
    return kept.streams.open(lambda: service.engine.draining or kept.gone)


async def _ask(
    service: Service,
    kept: KeptSession,
    kind: str,
    options: PromptOptions,
    answer: Callable[[Workspace, Prompt, Report], list[str]],
    asked: Prompt,
) -> Response:
    """Queue a prompt, and wait for what it changes or tell the job.

    Raises:
        ModelError: it needs clicks, and the model has no point branch.
        ServiceError: 404, 409, 429, 503.
    """
    if kind != "classes" and "point" not in service.engine.model(kept.model).card.branches:
        raise ModelError(f"model {kept.model!r} answers class prompts only, not clicks; open the session with another")

    def run(workspace: Workspace, progress: Report) -> Change:
        since = workspace.revision
        notes = answer(workspace, asked, progress)
        return change_of(kept, workspace, since, notes, options.labels)

    job = kept.new_job(kind)
    if not options.wait:
        service.sessions.start(kept, job, run)
        return JSONResponse(job.info().model_dump(mode="json"), 202)
    change = await service.sessions.compute(kept, job, run)
    return Response(change.model_dump_json(), media_type="application/json")
