"""A session beside another segmentation of its scan: a file, or another session. Neither is changed."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from openvista.geometry.box import Box
from openvista.metrics.agreement import StructureAgreement
from openvista.scan import Segmentation
from openvista.serve.native.sessions import TheSession
from openvista.serve.problems import form, problems
from openvista.serve.schemas import LabelBox
from openvista.serve.service import Owner, TheService
from openvista.serve.uploads import labels_from_form
from openvista.serve.workspace import Workspace, pack_box

router = APIRouter(prefix="/api/v1/sessions/{session_id}", tags=["results"])


class SessionComparison(BaseModel):
    """The session is the first, what it was compared with the second."""

    revision: int = Field(description="of the session when it was compared")
    rows: list[StructureAgreement] = Field(description="volumes in ml, distances in mm; null for what cannot be said")
    labels: LabelBox | None = Field(description="the second one's voxels, values as second_id; null without any")


@router.post(
    "/comparison",
    responses=problems(404, 413, 415, 422, 429, 503),
    openapi_extra=form("file", required=False),
)
async def compare(
    request: Request,
    kept: TheSession,
    service: TheService,
    owner: Owner,
    session: Annotated[str | None, Query(max_length=64, description="another session, instead of a file")] = None,
) -> SessionComparison:
    """Dice, volumes and 95 % Hausdorff distance of every structure, as the two label maps have it.

    The other segmentation comes as a file (what can be imported: label map, DICOM SEG, RTSTRUCT), or is a session of
    yours on the same grid. Names decide which structures belong together.
    """
    revision, own = await service.sessions.change(kept, _state)
    if session is None:
        other = await labels_from_form(service, request, own.grid)
    else:
        _, other = await service.sessions.change(service.sessions.get(session, owner), _state)

    def measure() -> SessionComparison:
        rows = own.compare(other)
        box = Box.around(other.labels > 0)
        return SessionComparison(
            revision=revision, rows=rows, labels=None if box is None else pack_box(other.labels, box)
        )

    return await run_in_threadpool(measure)


def _state(workspace: Workspace) -> tuple[int, Segmentation]:
    return workspace.revision, workspace.session.segmentation()
