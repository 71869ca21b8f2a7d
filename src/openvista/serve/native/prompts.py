"""Prompts: what needs the network. Wait for the answer, or get a job and follow its events."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query, Response
from starlette.responses import JSONResponse, StreamingResponse

from openvista.errors import ModelError
from openvista.inference.progress import Report
from openvista.serve.native.sessions import Editing, TheSession
from openvista.serve.problems import body, problems
from openvista.serve.schemas import AskBox, AskClasses, AskClicks, AskLasso, AskScribble, Cancelled, Change, JobInfo
from openvista.serve.service import TheService
from openvista.serve.workspace import Workspace

router = APIRouter(prefix="/api/v1/sessions/{session_id}", tags=["prompts"])

Prompt = TypeVar("Prompt", AskClasses, AskClicks, AskBox, AskLasso, AskScribble)


@dataclass(frozen=True)
class Prompting(Editing):
    """What a route needs that asks the network."""

    wait: Annotated[bool, Query(description="false: answer 202 with the job at once")] = True

    async def ask(self, kind: str, answer: Callable[[Workspace, Prompt, Report], list[str]], asked: Prompt) -> Response:
        """Queue a prompt, and wait for what it changes or tell the job.

        Raises:
            ModelError: it needs clicks, and the model has no point branch.
            ServiceError: 404, 409, 429, 503.
        """
        kept, sessions = self.kept, self.service.sessions
        if kind != "classes" and "point" not in self.service.engine.model(kept.model).card.branches:
            message = f"model {kept.model!r} answers class prompts only, not clicks; open the session with another"
            raise ModelError(message)

        job = kept.new_job(kind)

        def run(workspace: Workspace, progress: Report) -> Change:
            change = self.change(workspace, lambda workspace: answer(workspace, asked, progress))
            job.warnings = change.warnings
            return change

        if not self.wait:
            sessions.start(kept, job, run)
            return JSONResponse(job.info().model_dump(mode="json"), 202)
        change = await sessions.compute(kept, job, run)
        return Response(change.model_dump_json(), media_type="application/json")


ThePrompting = Annotated[Prompting, Depends()]
_ANSWERS = problems(404, 409, 422, 429, 503) | {
    200: {"model": Change, "description": "what has changed"},
    202: {"model": JobInfo, "description": "accepted; with wait=false"},
}


@router.post("/classes", responses=_ANSWERS, response_model=Change)
async def classes(asked: AskClasses, prompting: ThePrompting) -> Response:
    """Segment by name. The scan is encoded once; a class asked for later answers from what is kept."""
    return await prompting.ask("classes", Workspace.segment, asked)


@router.post("/clicks", responses=_ANSWERS, response_model=Change)
async def clicks(asked: AskClicks, prompting: ThePrompting) -> Response:
    """Clicks on one object: answered together and undone together."""
    return await prompting.ask("clicks", Workspace.clicks, asked)


@router.post("/boxes", responses=_ANSWERS, response_model=Change)
async def boxes(asked: AskBox, prompting: ThePrompting) -> Response:
    """A box around an object, or around what does not belong to it."""
    return await prompting.ask("box", Workspace.box, asked)


@router.post("/lassos", responses=_ANSWERS, response_model=Change)
async def lassos(asked: AskLasso, prompting: ThePrompting) -> Response:
    """A contour on a slice."""
    return await prompting.ask("lasso", Workspace.lasso, asked)


@router.post("/scribbles", responses=_ANSWERS, response_model=Change)
async def scribbles(asked: AskScribble, prompting: ThePrompting) -> Response:
    """A stroke."""
    return await prompting.ask("scribble", Workspace.scribble, asked)


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
