"""What comes out of a session: label map, masks, table, history, files. And label maps that go in."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from openvista.io.paths import DICOM_FORMATS, FORMATS
from openvista.io.per_class import write_zipped
from openvista.io.session_file import write_session
from openvista.serve.headers import attachment, has_it, not_modified, with_etag
from openvista.serve.kept_session import KeptSession
from openvista.serve.native.sessions import ObjectId, TheEditing, TheSession
from openvista.serve.problems import body, form, problems
from openvista.serve.schemas import Change, ExportFormat, History, Table
from openvista.serve.service import Service, TheService
from openvista.serve.uploads import labels_from_form
from openvista.serve.workspace import Workspace

router = APIRouter(prefix="/api/v1/sessions/{session_id}", tags=["results"])

_OTHER_NAMES = {ExportFormat.OVSESSION.value: ".ovsession", ExportFormat.STL_ZIP.value: "_seg.stl.zip"}
_NIFTI = body("application/gzip", "gzip NIfTI on the scan's own grid, with names and colours inside")
_ANY_FILE = body("application/octet-stream", "the file")


@router.get("/segmentation", responses=problems(404, 429, 503) | _NIFTI, response_class=Response)
async def segmentation(kept: TheSession, service: TheService, request: Request) -> Response:
    """The label map: the value of a voxel is the id of the object on top of it."""
    revision = await service.sessions.change(kept, lambda workspace: workspace.revision)
    if has_it(request, tag := f"{kept.id}-{revision}"):
        return not_modified(tag)
    content, tag = await _file(service, kept, _save_labels)
    return with_etag(request, Response(content, media_type="application/gzip"), tag)


@router.get("/objects/{object_id}/mask", responses=problems(404, 422, 429, 503) | _NIFTI, response_class=Response)
async def mask(object_id: ObjectId, kept: TheSession, service: TheService, request: Request) -> Response:
    """One object as 0 and 1, whatever lies over it."""

    def save(workspace: Workspace, path: Path) -> None:
        workspace.object_mask(object_id).save(path)

    content, tag = await _file(service, kept, save, f"-{object_id}")
    return with_etag(request, Response(content, media_type="application/gzip"), tag)


@router.get("/export", responses=problems(404, 422, 429, 503) | _ANY_FILE, response_class=Response)
async def export(
    kept: TheSession,
    service: TheService,
    request: Request,
    format: Annotated[ExportFormat, Query()] = ExportFormat.NII_GZ,
    labelmap: Annotated[bool, Query(description="dicom-seg: a Label Map Segmentation, newer and smaller")] = False,
    keyhole: Annotated[bool, Query(description="dicom-rtstruct: contours go round holes through a channel")] = False,
) -> Response:
    """A file to keep: the label map, DICOM objects on the scan's own slices, surfaces, or the session with its history.

    DICOM needs a scan that came as DICOM. ``stl`` is one file with all surfaces, ``stl.zip`` has a file for each.
    """
    name = service.scans.of_session(kept.scan_id).name

    def save(workspace: Workspace, path: Path) -> None:
        if format is ExportFormat.OVSESSION:
            write_session(workspace.session.contents(), path)
        elif format is ExportFormat.STL_ZIP:
            write_zipped(workspace.session.segmentation(), path, "stl")
        else:
            workspace.session.segmentation().save(path, format.value, labelmap=labelmap, keyhole=keyhole)

    ending = "dcm" if format.value in DICOM_FORMATS else format.value
    content, tag = await _file(service, kept, save, f"-{format.value}-{labelmap:d}{keyhole:d}", ending)
    file_name = name + (FORMATS | _OTHER_NAMES)[format.value]
    headers = {"Content-Disposition": attachment(file_name)}
    return with_etag(request, Response(content, media_type="application/octet-stream", headers=headers), tag)


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
async def start_from(request: Request, editing: TheEditing) -> Change:
    """Objects from a label map on the scan's grid, or from DICOM labels of it, to be corrected by clicks."""
    grid = await editing.service.sessions.change(editing.kept, lambda workspace: workspace.session.scan.grid)
    existing = await labels_from_form(editing.service, request, grid)
    return await editing.do(lambda workspace: workspace.start_from(existing))


def _save_labels(workspace: Workspace, path: Path) -> None:
    workspace.session.segmentation().save(path)


async def _file(
    service: Service,
    kept: KeptSession,
    write: Callable[[Workspace, Path], object],
    suffix: str = "",
    ending: str = "nii.gz",
) -> tuple[bytes, str]:
    """A file that shows a session as it is now, and its tag.

    Args:
        service, kept: of the route.
        write: makes the file.
        suffix: what tells its tag from those of the session's other files.
        ending: of the file.
    """
    async with service.sandbox.scratch() as folder:
        path = folder / f"labels.{ending}"

        def run(workspace: Workspace) -> int:
            write(workspace, path)
            return workspace.revision

        revision = await service.sessions.change(kept, run)
        return path.read_bytes(), f"{kept.id}{suffix}-{revision}"
