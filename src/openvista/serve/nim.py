"""NVIDIA's VISTA-3D NIM, version 1.0.0, as its clients know it; what goes beyond is marked as ours.

Differences, on purpose: unknown keys inside ``prompts`` are refused instead of ignored (``labels`` is taken as
``classes``, a known mistake); unknown classes give 422 with suggestions; answers say in headers what was found.
"""

import io
import json
import zipfile
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from openvista._version import __version__
from openvista.errors import ModelError, ServiceError
from openvista.prompts import Click
from openvista.serve.headers import attachment
from openvista.serve.oneshot import Question, Result
from openvista.serve.problems import body, form, problems
from openvista.serve.scans import ScanRecord
from openvista.serve.schemas import MAX_CLICKS, Voxel
from openvista.serve.service import Owner, Service, TheService
from openvista.serve.uploads import scan_from_form, scan_from_path, scan_from_url
from openvista.structures import present_ids

router = APIRouter(prefix="/v1", tags=["NIM"])

Extension = Literal[".nii.gz", ".nii", ".nrrd", ".seg.nrrd", ".mha"]
_FILE_LIFE = timedelta(hours=1)
_WARNING = "X-OpenVISTA-Warning"

Places = Annotated[list[Voxel], Field(max_length=MAX_CLICKS)]


class Signed(BaseModel):
    """Ours: clicks that include, and clicks that exclude."""

    model_config = ConfigDict(extra="forbid")

    positive: Places = []
    negative: Places = []


class Prompts(BaseModel):
    """What to segment. Nothing at all means everything."""

    model_config = ConfigDict(extra="forbid")

    classes: list[int | str] | None = Field(default=None, max_length=400, description="names or ids")
    labels: list[int | str] | None = Field(
        default=None, max_length=400, description="a common mistake for classes; taken as it"
    )
    points: dict[str, Places | Signed] | None = Field(
        default=None, max_length=132, description="class name or id -> [x, y, z] voxels of the image as stored"
    )
    point_labels: dict[str, list[Literal[0, 1]]] | None = Field(
        default=None, max_length=132, description="ours: same keys as points; 1 includes, 0 excludes"
    )


class Output(BaseModel):
    """How the result comes."""

    model_config = ConfigDict(extra="allow")

    extension: Extension = ".nii.gz"
    dtype: str | None = Field(default=None, max_length=20, description="accepted; ids are stored as uint8 or uint16")
    raw: bool = Field(default=False, description="ours: the file itself instead of a zip with it")


class Inference(BaseModel):
    """The request."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "image": "case.nii.gz",
                    "prompts": {"classes": ["liver", "spleen"], "points": {"spleen": [[123, 212, 151]]}},
                    "output": {"extension": ".nrrd", "dtype": "uint8"},
                }
            ]
        },
    )

    image: str = Field(min_length=1, max_length=4096, description="address, path under an allowed folder, or file id")
    prompts: Prompts | None = None
    output: Output | None = None
    local_working_dir: str | None = Field(
        default=None, description="accepted and ignored: this server writes into no folder"
    )


class File(BaseModel):
    """Ours: an uploaded file."""

    id: str
    image: str = Field(description="what to give as image")


class Info(BaseModel):
    name: str
    version: str
    labels: dict[str, str] = Field(description="id -> name")


@router.post(
    "/vista3d/inference",
    responses=problems(403, 404, 413, 422, 429, 503, 504) | body("application/zip", "a zip with one segmentation"),
    response_class=Response,
)
async def inference(asked: Inference, request: Request, service: TheService, owner: Owner) -> Response:
    """Segment a CT by class names and points, in one request."""
    question = to_question(asked.prompts or Prompts())
    if question.clicks and "point" not in service.engine.model(None).card.branches:
        name = service.engine.model(None).card.name
        raise ModelError(f"model {name!r} answers class prompts only, not points; leave 'points' out")
    record, kept = await _find_image(service, asked.image, owner)
    try:
        answered = await service.oneshots.ask(request, record, None, question, "nim")
    finally:
        if not kept:
            await service.remove_scan(record.id)
    return await _pack(service, answered, asked, record.name)


@router.post(
    "/files", status_code=201, responses=problems(413, 415, 422, 429), openapi_extra=form("file", several=True)
)
async def upload(request: Request, service: TheService, owner: Owner) -> File:
    """Ours: upload an image; it is kept for an hour. NIM itself can only fetch."""
    record = await scan_from_form(service, request, owner, expires_in=_FILE_LIFE)
    return File(id=record.id, image=record.id)


@router.get("/vista3d/info", responses=problems(503))
async def info(service: TheService) -> Info:
    """The classes that can be asked for."""
    model = service.engine.model(None)
    labels = {str(item.id): item.name for item in model.vocabulary.classes()}
    return Info(name=model.card.name, version=__version__, labels=labels)


@router.get("/license", responses=problems(503) | body("text/plain", "licences"), response_class=Response)
async def licence(service: TheService) -> PlainTextResponse:
    """The licence of this server, and of each model's weights."""
    lines = [f"OpenVISTA {__version__}: Apache-2.0"]
    lines += [f"weights of {model.card.name}: {model.card.licence}" for model in service.engine.models.values()]
    return PlainTextResponse("\n".join(lines) + "\n")


@router.get("/metadata", responses=problems(503))
async def metadata(service: TheService) -> dict[str, Any]:
    """Versions and models, in NIM's words."""
    models = service.engine.models.values()
    return {
        "version": __version__,
        "assetInfo": [f"{model.card.name}: sha256 {model.card.weights_sha256}" for model in models],
        "licenseInfo": {"name": "Apache-2.0", "path": "/v1/license", "content": ""},
        "modelInfo": [{"modelUrl": "", "shortName": model.card.name} for model in models],
        "repository_override": "",
    }


def to_question(prompts: Prompts) -> Question:
    """NIM's prompts in our words.

    Raises:
        ServiceError: 422, points and point_labels do not fit each other.
    """
    classes = prompts.classes if prompts.classes is not None else prompts.labels
    points = prompts.points or {}
    signs = prompts.point_labels or {}
    if unknown := set(signs) - set(points):
        raise ServiceError(f"point_labels has {sorted(unknown)[0]!r}, which points has not", code="prompt")
    clicks = {_key(key): _clicks(key, places, signs.get(key)) for key, places in points.items()}
    if not classes and not clicks:
        return Question(classes=None)
    return Question(classes=classes or (), clicks=clicks)


def _key(key: str) -> int | str:
    return int(key) if key.isdecimal() and len(key) < 6 else key


def _clicks(key: str, places: list[tuple[float, float, float]] | Signed, signs: list[Any] | None) -> list[Click]:
    if isinstance(places, Signed):
        both = [Click(place, True) for place in places.positive] + [Click(place, False) for place in places.negative]
    else:
        if signs is not None and len(signs) != len(places):
            raise ServiceError(f"{key!r} has {len(places)} points and {len(signs)} point_labels", code="prompt")
        chosen = signs if signs is not None else [1] * len(places)
        both = [Click(place, bool(sign)) for place, sign in zip(places, chosen, strict=True)]
    if not both:
        raise ServiceError(f"{key!r} has no point: give some, or leave it out", code="prompt")
    return both


async def _find_image(service: Service, image: str, owner: str | None) -> tuple[ScanRecord, bool]:
    """The scan, and whether it stays."""
    service.engine.require_ready()
    if image.lower().startswith(("http://", "https://")):
        return await scan_from_url(service, image, None, owner), False
    if image in service.scans:
        return service.scans.get(image, owner), True
    return await scan_from_path(service, image, None, owner), False


async def _pack(service: Service, answered: Result, asked: Inference, name: str) -> Response:
    output = asked.output or Output()
    segmentation = answered.segmentation
    member = f"{name}_seg{output.extension}"
    async with service.sandbox.scratch() as folder:
        path = await run_in_threadpool(segmentation.save, folder / f"result{output.extension}")
        content = await run_in_threadpool(path.read_bytes)
    headers = {
        "X-OpenVISTA-Seconds": f"{answered.seconds:.3f}",
        "X-OpenVISTA-Labels": ",".join(map(str, present_ids(segmentation.labels))),
    }
    if warnings := _warnings(asked, answered):
        headers[_WARNING] = "; ".join(warnings).encode("ascii", "replace").decode()
    if output.raw:
        headers["Content-Disposition"] = attachment(member)
        return Response(content, media_type="application/octet-stream", headers=headers)
    headers["Content-Disposition"] = attachment(f"{name}.zip")
    return Response(await run_in_threadpool(_zip, member, content), media_type="application/zip", headers=headers)


def _zip(member: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    method = zipfile.ZIP_STORED if member.endswith(".gz") else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr(member, content)
    return stream.getvalue()


def _warnings(asked: Inference, answered: Result) -> list[str]:
    found = list(answered.notes)
    if asked.prompts is not None and asked.prompts.labels is not None and asked.prompts.classes is None:
        found.append("prompts.labels was taken as prompts.classes")
    if asked.local_working_dir is not None:
        found.append("local_working_dir was ignored")
    stored, dtype = answered.segmentation.labels.dtype.name, asked.output.dtype if asked.output else None
    if dtype not in (None, stored):
        found.append(f"output.dtype was ignored: ids are stored as {stored}")
    extra = [*(asked.model_extra or {}), *((asked.output.model_extra or {}) if asked.output else {})]
    if unknown := [key for key in extra if key != "sample"]:
        found.append(f"ignored: {json.dumps(unknown)[:200]}")
    return found
