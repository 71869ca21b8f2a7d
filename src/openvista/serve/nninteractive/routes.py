"""The addresses of nnInteractive's protocol, below ``/nninteractive``: that is what its clients are given as server."""

import importlib.util
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import APIRouter, Depends, Header, Request
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from openvista._version import __version__
from openvista.errors import MissingExtraError, ModelError, ServiceError
from openvista.inference.progress import Report
from openvista.model import Model
from openvista.prompts import Click
from openvista.serve.nninteractive.leases import LIVENESS_SECONDS, Lease, Leases
from openvista.serve.nninteractive.messages import (
    AskBbox,
    AskPoint,
    Autozoom,
    ImageMeta,
    ImageProperties,
    MaskMeta,
    SegMeta,
    TargetBuffer,
)
from openvista.serve.nninteractive.packed import read_header
from openvista.serve.nninteractive.segmenting import (
    META_HEADER,
    box_clicks,
    changed_voxels,
    mask_clicks,
    no_change,
    point_clicks,
    predict,
    reset,
    start_from,
    undo,
    wait_for_prediction,
)
from openvista.serve.problems import body, problems
from openvista.serve.sandbox_child import VOXELS_FILE
from openvista.serve.service import Service, TheService
from openvista.serve.uploads import keep_packed
from openvista.serve.workspace import Workspace

router = APIRouter(prefix="/nninteractive", tags=["nnInteractive"])

PROTOCOL = "2.6.0"
"""Release of nninteractive-client whose protocol this is."""
_THICKNESS = [2, 2, 2]  # voxels of a scribble, as nnInteractive's own models prefer it
_OCTETS = "application/octet-stream"
_CHANGED = body(_OCTETS, "the changed box, packed; X-Meta says where")
_PACKED = {"requestBody": {"required": True, "content": {_OCTETS: {"schema": {"type": "string", "format": "binary"}}}}}

Meta = TypeVar("Meta", bound=BaseModel)


def _leases_of(request: Request) -> Leases:
    leases: Leases = request.app.state.leases
    return leases


TheLeases = Annotated[Leases, Depends(_leases_of)]
Token = Annotated[str | None, Header(alias="X-Lease-Token", max_length=200)]
MetaText = Annotated[str | None, Header(alias=META_HEADER, description="JSON: the arguments")]


async def lease_of(leases: TheLeases, token: Token = None) -> Lease:
    """The lease that a request names."""
    return leases.find(token)


TheLease = Annotated[Lease, Depends(lease_of)]


# --- who works here -----------------------------------------------------------------------------------------------


@router.get("/healthz", responses=problems())
async def healthz() -> dict[str, bool]:
    """Whether there is a server."""
    return {"ok": True}


@router.get("/capabilities", responses=problems(422, 503))
async def capabilities(service: TheService) -> dict[str, Any]:
    """What is understood, which model answers, and its licence."""
    card = _clicking_model(service).card
    return {
        "supported_interactions": dict.fromkeys(("points", "bbox2d", "bbox3d", "scribble", "lasso"), True),
        "channel_mapping": {},
        "num_interaction_channels": 0,
        "supports_initial_label": True,
        "supports_zero_shot_label_refinement": False,
        "supports_undo": True,
        "preferred_scribble_thickness": _THICKNESS,
        "interaction_decay": 1.0,
        "do_autozoom": True,
        "inference_session_version": PROTOCOL,
        "license": f"{card.licence} (model {card.name}, OpenVISTA {__version__})",
        "model": card.name,
    }


@router.post("/claim", responses=problems(422, 501, 503))
async def claim(service: TheService, leases: TheLeases) -> dict[str, Any]:
    """A place to work: one image, one object at a time. The token goes into X-Lease-Token."""
    _clicking_model(service)
    if importlib.util.find_spec("blosc2") is None:
        missing = MissingExtraError("blosc2", "nninteractive", "serve nnInteractive's clients")
        raise ServiceError(str(missing), status=501, code="extra")
    lease = await leases.claim()
    return {
        "lease_token": lease.token,
        "idle_timeout_seconds": leases.idle_seconds,
        "liveness_timeout_seconds": LIVENESS_SECONDS,
        "max_sessions": leases.most,
    }


@router.post("/release", responses=problems())
async def release(leases: TheLeases, token: Token = None) -> dict[str, bool]:
    """Give the place back; image and session are deleted."""
    await leases.end(token)
    return {"released": True}


@router.post("/heartbeat", responses=problems(410))
async def heartbeat(lease: TheLease, leases: TheLeases) -> dict[str, float]:
    """The client is there, though idle."""
    return {"remaining_seconds": leases.remaining_seconds(lease)}


@router.get("/lease_status", responses=problems(410))
async def lease_status(lease: TheLease, leases: TheLeases) -> dict[str, float]:
    """How long the lease lasts if nothing is done."""
    return {"remaining_seconds": leases.remaining_seconds(lease), "idle_timeout_seconds": leases.idle_seconds}


# --- what is worked on --------------------------------------------------------------------------------------------


@router.post("/set_image", responses=problems(410, 413, 422, 429, 503), openapi_extra=_PACKED)
async def set_image(
    request: Request, service: TheService, lease: TheLease, leases: TheLeases, meta: MetaText = None
) -> dict[str, list[int]]:
    """The CT in HU, packed: one channel and three axes."""
    asked = _read_meta(ImageMeta, meta)
    model = _clicking_model(service).card.name
    async with service.sandbox.scratch() as folder:
        source = await _receive(request, folder)
        shape = await run_in_threadpool(_shape_of, source, service.settings.voxels)
        if len(shape) != 4 or shape[0] != 1:
            raise ServiceError(f"the image has shape {shape}: send one channel and three axes", code="scan")
        grid = (asked.image_properties or ImageProperties()).grid((shape[1], shape[2], shape[3]))
        record = await keep_packed(service, source, folder, grid, lease.owner, leases.scan_life)
    async with AsyncExitStack() as without_session:
        without_session.push_async_callback(service.remove_scan, record.id)
        kept = await service.sessions.create(service.scans.get(record.id, lease.owner), model, lease.owner)
        without_session.pop_all()
    await leases.hold(lease, kept, record.shape)
    leases.session_of(lease)
    return {"original_image_shape": list(shape)}


@router.post("/set_target_buffer", responses=problems(410, 422))
async def set_target_buffer(asked: TargetBuffer, lease: TheLease, leases: TheLeases) -> dict[str, Any]:
    """The client has an empty buffer now: the next answer tells the whole object."""
    leases.session_of(lease)
    if asked.shape != lease.shape:
        raise ServiceError(f"the buffer has shape {asked.shape}, the image {lease.shape}", code="input")
    lease.revision = -1
    return {}


@router.post("/set_do_autozoom", responses=problems(410, 422))
async def set_do_autozoom(asked: Autozoom, lease: TheLease) -> dict[str, Any]:
    """Whether masks go on into neighbouring windows."""
    lease.grow = None if asked.do_autozoom else False
    return {}


# --- prompts ------------------------------------------------------------------------------------------------------


class Segmenting:
    """What a route needs that works in a lease's session.

    Attributes:
        lease, leases, service: of the request.
    """

    def __init__(self, service: TheService, lease: TheLease, leases: TheLeases) -> None:
        self.lease, self.leases, self.service = lease, leases, service

    async def answer(self, clicks: list[Click], run: bool) -> Response:
        """Keep a prompt, and answer all that wait unless the client asks for that later."""
        wait_for_prediction(self.lease, clicks)
        if not run:
            return self._answer(*no_change(ran=False))
        with ExitStack() as unanswered:
            unanswered.callback(self._forget, clicks)
            answer = await self.predict()
            unanswered.pop_all()
        return answer

    def _forget(self, clicks: list[Click]) -> None:
        """A prompt that could not be answered does not wait for the next one."""
        self.lease.pending[:] = [prompt for prompt in self.lease.pending if prompt is not clicks]

    async def predict(self) -> Response:
        """Answer all that wait."""
        kept = self.leases.session_of(self.lease)

        def work(workspace: Workspace, progress: Report) -> tuple[dict[str, str], bytes]:
            ran = predict(self.lease, workspace, progress)
            return changed_voxels(self.lease, workspace) if ran else no_change(ran=False)

        found = await self.service.sessions.compute(kept, kept.new_job("nninteractive"), work)
        return self._answer(*found)

    async def quick(self, work: Callable[[Workspace], bool]) -> Response:
        """Do something that needs no network; its result says whether to tell what has changed."""
        kept = self.leases.session_of(self.lease)

        def change(workspace: Workspace) -> tuple[dict[str, str], bytes]:
            return changed_voxels(self.lease, workspace) if work(workspace) else no_change(ran=False)

        return self._answer(*await self.service.sessions.change(kept, change))

    async def mask(self, request: Request) -> NDArray[np.bool_]:
        """The mask in a request's body."""
        self.leases.session_of(self.lease)
        sandbox = self.service.sandbox
        async with sandbox.scratch() as folder:
            source = await _receive(request, folder)
            shape = await run_in_threadpool(_shape_of, source, int(np.prod(self.lease.shape)))
            if len(shape) != 3:
                raise ServiceError(f"the mask has shape {shape}: send three axes", code="array")
            parsed, _ = await sandbox.read(source, folder, "packed-mask", asker=self.lease.owner)
            mask: NDArray[np.bool_] = await run_in_threadpool(np.load, parsed / VOXELS_FILE, allow_pickle=False)
        return mask

    def _answer(self, headers: dict[str, str], content: bytes) -> Response:
        self.leases.session_of(self.lease)  # used until now
        return Response(content, media_type=_OCTETS, headers=headers)


TheSegmenting = Annotated[Segmenting, Depends()]
_ANSWERS = problems(410, 422, 429, 503) | _CHANGED
_ANSWERS_TO_MASKS = problems(410, 413, 422, 429, 503) | _CHANGED


@router.post("/add_point_interaction", responses=_ANSWERS, response_class=Response)
async def add_point(asked: AskPoint, here: TheSegmenting) -> Response:
    """A point in the object, or outside it."""
    here.leases.session_of(here.lease)
    clicks = point_clicks(asked.coordinates, here.lease, asked.include_interaction)
    return await here.answer(clicks, asked.run_prediction)


@router.post("/add_bbox_interaction", responses=_ANSWERS, response_class=Response)
async def add_bbox(asked: AskBbox, here: TheSegmenting) -> Response:
    """A box around the object, or around what does not belong to it."""
    here.leases.session_of(here.lease)
    clicks = box_clicks(list(asked.bbox_coords), here.lease, asked.include_interaction)
    return await here.answer(clicks, asked.run_prediction)


@router.post("/add_scribble_interaction", responses=_ANSWERS_TO_MASKS, response_class=Response, openapi_extra=_PACKED)
async def add_scribble(request: Request, here: TheSegmenting, meta: MetaText = None) -> Response:
    """A stroke, as a packed mask."""
    return await _add_mask("scribble", request, here, meta)


@router.post("/add_lasso_interaction", responses=_ANSWERS_TO_MASKS, response_class=Response, openapi_extra=_PACKED)
async def add_lasso(request: Request, here: TheSegmenting, meta: MetaText = None) -> Response:
    """A closed contour on a slice, as a packed mask of its inside."""
    return await _add_mask("lasso", request, here, meta)


async def _add_mask(kind: str, request: Request, here: Segmenting, meta: str | None) -> Response:
    asked = _read_meta(MaskMeta, meta)
    mask = await here.mask(request)
    box = None if asked.interaction_bbox is None else list(asked.interaction_bbox)
    clicks = await run_in_threadpool(mask_clicks, kind, mask, box, here.lease, asked.include_interaction)
    return await here.answer(clicks, asked.run_prediction)


@router.post(
    "/add_initial_seg_interaction", responses=_ANSWERS_TO_MASKS, response_class=Response, openapi_extra=_PACKED
)
async def add_initial_seg(request: Request, here: TheSegmenting, meta: MetaText = None) -> Response:
    """A mask to start from, instead of what was asked before; it is the answer already."""
    asked = _read_meta(SegMeta, meta)
    mask = await here.mask(request)

    def work(workspace: Workspace) -> bool:
        start_from(here.lease, workspace, mask)
        return asked.run_prediction

    return await here.quick(work)


@router.post("/predict", responses=_ANSWERS, response_class=Response)
async def run(here: TheSegmenting) -> Response:
    """Answer the prompts that wait."""
    return await here.predict()


@router.post("/undo", responses=_ANSWERS, response_class=Response)
async def take_back(here: TheSegmenting) -> Response:
    """Take back the last prompt, as often as there is one."""
    return await here.quick(lambda workspace: undo(here.lease, workspace))


@router.post("/reset_interactions", responses=problems(410, 422, 429, 503))
async def reset_interactions(here: TheSegmenting) -> dict[str, Any]:
    """The next object on the same image."""
    kept = here.leases.session_of(here.lease)
    await here.service.sessions.change(kept, lambda workspace: reset(here.lease, workspace))
    return {}


# --- inside -------------------------------------------------------------------------------------------------------


def _clicking_model(service: Service) -> Model:
    """The first of the server's models that answers clicks.

    Raises:
        ModelError: there is none.
    """
    for model in service.engine.models.values():
        if "point" in model.card.branches:
            return model
    raise ModelError("no model of this server answers clicks; start it with one that does")


async def _receive(request: Request, folder: Path) -> Path:
    """The body in a file; :class:`openvista.serve.guard.BodyLimit` bounds it."""
    path = folder / "array.packed"
    with path.open("wb") as file:
        async for piece in request.stream():
            await run_in_threadpool(file.write, piece)
    return path


def _shape_of(path: Path, most_voxels: int) -> tuple[int, ...]:
    with path.open("rb") as file:
        return read_header(file, most_voxels).shape


def _read_meta(kind: type[Meta], text: str | None) -> Meta:
    try:
        return kind.model_validate_json(text or "{}")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ServiceError(f"{META_HEADER} {where}: {first['msg']}", code="request") from None
