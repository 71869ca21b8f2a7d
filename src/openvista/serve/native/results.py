"""What comes out of a session: label map, masks, table, history, files. And label maps that go in."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from openvista.io.session_file import write_session
from openvista.scan import Segmentation
from openvista.serve.etags import answer_with_etag, has_it, not_modified
from openvista.serve.kept_session import KeptSession
from openvista.serve.native.sessions import ObjectId, TheSession, WithLabels, changed
from openvista.serve.problems import body, form, problems
from openvista.serve.schemas import Change, ExportFormat, History, Table
from openvista.serve.service import Service, TheService
from openvista.serve.uploads import labels_from_form
from openvista.serve.workspace import Workspace

router = APIRouter(prefix="/api/v1/sessions/{session_id}", tags=["results"])

_NIFTI = body("application/gzip", "gzip NIfTI on the scan's own grid, with names and colours inside")
_FILE = body("application/octet-stream", "the file")


@router.get("/segmentation", responses=problems(404, 429, 503) | _NIFTI, response_class=Response)
async def segmentation(kept: TheSession, service: TheService, request: Request) -> Response:
    """The label map: the value of a voxel is the id of the object on top of it."""
    revision = await service.sessions.change(kept, lambda workspace: workspace.revision)
    if has_it(request, tag := f"{kept.id}-{revision}"):
        return not_modified(tag)
    return await _nifti(service, kept, request, Workspace.segmentation, "")


@router.get("/objects/{object_id}/mask", responses=problems(404, 422, 429, 503) | _NIFTI, response_class=Response)
async def mask(object_id: ObjectId, kept: TheSession, service: TheService, request: Request) -> Response:
    """One object as 0 and 1, whatever lies over it."""
    return await _nifti(service, kept, request, lambda workspace: workspace.object_mask(object_id), f"-{object_id}")


@router.get("/export", responses=problems(404, 422, 429, 503) | _FILE, response_class=Response)
async def export(
    kept: TheSession,
    service: TheService,
    request: Request,
    format: Annotated[ExportFormat, Query()] = ExportFormat.NII_GZ,
) -> Response:
    """A file to keep: the label map, or the whole session with its history."""
    name = f"{service.scans.of_session(kept.scan_id).name}_seg"
    if format is ExportFormat.OVSESSION:
        return await _send(service, kept, request, _write_session, name.removesuffix("_seg"), format)
    return await _send(service, kept, request, _writer(Workspace.segmentation), name, format)


@router.get("/table", responses=problems(404, 429, 503))
async def table(kept: TheSession, service: TheService) -> Table:
    """Volume and HU of every structure of the label map."""
    return await service.sessions.change(
        kept, lambda workspace: Table(revision=workspace.revision, rows=workspace.table())
    )


@router.get("/history", responses=problems(404, 429, 503))
async def history(kept: TheSession, service: TheService) -> History:
    """Everything that was asked, undone or not."""
    return await service.sessions.change(kept, lambda workspace: History(events=workspace.history()))


@router.post("/segmentation", responses=problems(404, 413, 415, 422, 429, 503), openapi_extra=form("file"))
async def start_from(request: Request, kept: TheSession, service: TheService, labels: WithLabels = True) -> Change:
    """Objects from a label map on the scan's grid, to be corrected by clicks."""
    existing = await labels_from_form(service, request)
    return await changed(service, kept, lambda workspace: workspace.start_from(existing), labels)


Make = Callable[[Workspace], Segmentation]
Write = Callable[[Workspace, Path], int]
"""Writes a file and tells the revision that it shows."""


def _writer(make: Make) -> Write:
    def write(workspace: Workspace, path: Path) -> int:
        make(workspace).save(path)
        return workspace.revision

    return write


def _write_session(workspace: Workspace, path: Path) -> int:
    write_session(workspace.pack(), path)
    return workspace.revision


async def _nifti(service: Service, kept: KeptSession, request: Request, make: Make, suffix: str) -> Response:
    async with service.sandbox.scratch() as folder:
        path = folder / "labels.nii.gz"
        revision = await service.sessions.change(kept, lambda workspace: _writer(make)(workspace, path))
        return answer_with_etag(request, path.read_bytes(), f"{kept.id}{suffix}-{revision}", "application/gzip")


async def _send(
    service: Service, kept: KeptSession, request: Request, write: Write, name: str, ending: ExportFormat
) -> Response:
    async with service.sandbox.scratch() as folder:
        path = folder / f"export.{ending.value}"
        revision = await service.sessions.change(kept, lambda workspace: write(workspace, path))
        tag = f"{kept.id}-{ending.value}-{revision}"
        return answer_with_etag(request, path.read_bytes(), tag, "application/octet-stream", f"{name}.{ending.value}")
