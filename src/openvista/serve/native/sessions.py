"""Sessions: open, look, close; objects; undo."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from openvista.serve.kept_session import KeptSession
from openvista.serve.problems import form, problems
from openvista.serve.sandbox_child import SESSION_FILE
from openvista.serve.schemas import AskEdit, Change, ChangeObject, NewObject, OpenSession, SessionInfo, SessionList
from openvista.serve.service import Owner, Service, TheService
from openvista.serve.uploads import receive_form
from openvista.serve.workspace import Workspace

router = APIRouter(prefix="/api/v1/sessions", tags=["sessions"])

ObjectId = Annotated[int, Path(ge=1, le=65535)]
WithLabels = Annotated[bool, Query(description="send the changed voxels along")]


def session_of(session_id: str, service: TheService, owner: Owner) -> KeptSession:
    """The session in the address, if its owner asks."""
    return service.sessions.get(session_id, owner)


TheSession = Annotated[KeptSession, Depends(session_of)]


@dataclass(frozen=True)
class Editing:
    """What a route needs that changes the session in its address."""

    kept: TheSession
    service: TheService
    labels: WithLabels = True

    async def do(self, work: Callable[[Workspace], list[str]]) -> Change:
        """Do something quick and tell what it has changed."""
        return await self.service.sessions.change(self.kept, lambda workspace: self.change(workspace, work))

    def change(self, workspace: Workspace, work: Callable[[Workspace], list[str]]) -> Change:
        """The same, for whoever has the workspace."""
        since = workspace.revision
        notes = work(workspace)
        return _change_of(self.kept, workspace, since, notes, self.labels)


TheEditing = Annotated[Editing, Depends()]


@router.post("", status_code=201, responses=problems(404, 422, 429, 503))
async def open_session(asked: OpenSession, service: TheService, owner: Owner) -> SessionInfo:
    """Begin a session on a scan. Nothing is computed yet."""
    scan = service.scans.get(asked.scan_id, owner)
    return await session_info(service, await service.sessions.create(scan, asked.model, owner))


@router.post("/import", status_code=201, responses=problems(404, 413, 415, 422, 429, 503), openapi_extra=form("file"))
async def import_session(
    request: Request, scan_id: str, service: TheService, owner: Owner, model: str | None = None
) -> SessionInfo:
    """Go on with a session that was exported as ``.ovsession``, on the same scan and model."""
    scan = service.scans.get(scan_id, owner)
    async with service.sandbox.scratch() as folder:
        upload = await receive_form(request, folder, ("file",))
        source = upload.only_file("session file")
        checked, _ = await service.sandbox.read(source, folder, "session", name=upload.name, asker=owner)
        return await session_info(service, await service.sessions.create(scan, model, owner, checked / SESSION_FILE))


@router.get("", responses=problems())
async def listed(service: TheService, owner: Owner) -> SessionList:
    """Your sessions, newest first. Without an owner (cookie or X-OpenVISTA-Owner) nothing is listed."""
    return SessionList(sessions=[await session_info(service, kept) for kept in service.sessions.owned_by(owner)])


@router.get("/{session_id}", responses=problems(404, 429, 503))
async def look(kept: TheSession, service: TheService) -> SessionInfo:
    """Objects, prompts, what can be undone."""
    return await session_info(service, kept)


@router.delete("/{session_id}", status_code=204, responses=problems(404))
async def close(kept: TheSession, service: TheService) -> None:
    """Delete a session; what runs in it is stopped."""
    await service.sessions.remove(kept)


@router.post("/{session_id}/objects", responses=problems(404, 422, 429, 503))
async def new_object(asked: NewObject, editing: TheEditing) -> Change:
    """A new, empty object that no class describes (zero-shot). It is the last of the session's objects."""
    return await editing.do(lambda workspace: workspace.new_object(asked))


@router.patch("/{session_id}/objects/{object_id}", responses=problems(404, 422, 429, 503))
async def change_object(object_id: ObjectId, asked: ChangeObject, editing: TheEditing) -> Change:
    """Rename, recolour, lock, hide, or move an object."""
    return await editing.do(lambda workspace: workspace.change(object_id, asked))


@router.delete("/{session_id}/objects/{object_id}", responses=problems(404, 422, 429, 503))
async def remove_object(object_id: ObjectId, editing: TheEditing) -> Change:
    """Take an object away; undo brings it back."""
    return await editing.do(lambda workspace: workspace.remove(object_id))


@router.post("/{session_id}/edits", responses=problems(404, 422, 429, 503))
async def edit(asked: AskEdit, editing: TheEditing) -> Change:
    """Change a mask by hand: paint, erase, fill, smooth, combine, ... No network is asked."""
    return await editing.do(lambda workspace: workspace.edit(asked))


@router.post("/{session_id}/undo", responses=problems(404, 409, 429, 503))
async def undo(editing: TheEditing) -> Change:
    """Take back the last change, as often as there is one."""
    return await editing.do(Workspace.undo)


@router.post("/{session_id}/redo", responses=problems(404, 409, 429, 503))
async def redo(editing: TheEditing) -> Change:
    """Take back the last undo."""
    return await editing.do(Workspace.redo)


@router.get("/{session_id}/changes", responses=problems(404, 422, 429, 503))
async def changes(
    kept: TheSession,
    service: TheService,
    since: Annotated[int, Query(ge=-1, description="the revision you have; -1 for none: the whole label map")],
) -> Change:
    """What may differ from the label map you have."""
    return await service.sessions.change(kept, lambda workspace: _change_of(kept, workspace, since, [], True))


def _change_of(kept: KeptSession, workspace: Workspace, since: int, notes: list[str], labels: bool) -> Change:
    """What has changed since a revision, for whoever asked for it."""
    return Change(
        session=_info(kept, workspace),
        since=since,
        labels=workspace.label_box(since) if labels else None,
        warnings=notes,
    )


async def session_info(service: Service, kept: KeptSession) -> SessionInfo:
    """A session as the API shows it; brought back from disk if need be."""
    return await service.sessions.change(kept, lambda workspace: _info(kept, workspace))


def _info(kept: KeptSession, workspace: Workspace) -> SessionInfo:
    job = kept.active_job
    return SessionInfo(
        id=kept.id,
        scan_id=kept.scan_id,
        model=kept.model,
        created=kept.created,
        revision=workspace.revision,
        saved_revision=kept.saved_revision,
        can_undo=workspace.session.can_undo,
        can_redo=workspace.session.can_redo,
        objects=workspace.objects(),
        active_job=None if job is None else job.info(),
    )
