"""``/info/``, ``/infer/{model}``, ``/session/``: a question with its scan, and the answer as each client reads it."""

import time
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response

from openvista._version import __version__
from openvista.dicom_slices import DicomSlices
from openvista.errors import ServiceError
from openvista.serve.guard import without_ticket
from openvista.serve.headers import attachment, with_etag
from openvista.serve.monai_label import translate
from openvista.serve.monai_label.datastore import SESSION_LIFE
from openvista.serve.monai_label.interface import MonaiLabel, TheInterface
from openvista.serve.monai_label.models import ListedModel, find_listed, listed_models
from openvista.serve.monai_label.pacs_source import is_uid
from openvista.serve.problems import body, form, problems
from openvista.serve.scans import ScanRecord
from openvista.serve.uploads import Upload, receive_form, scan_from_form, scan_from_upload

router = APIRouter(tags=["MONAI Label"])

_LONGEST_SECONDS = 24 * 3600
Id = Annotated[str, Query(max_length=200)]


class OutputKind(str, Enum):
    """What comes back."""

    ALL = "all"
    IMAGE = "image"
    JSON = "json"
    DICOM_SEG = "dicom_seg"


@router.get("/info/", responses=problems(503))
async def info(interface: TheInterface) -> dict[str, Any]:
    """What a client builds its panels from. There is no key 'config', which would tell Slicer that we are too old."""
    models = listed_models(interface.service)
    main = next(iter(models.values()))
    return {
        "name": "OpenVISTA",
        "description": "VISTA3D: class prompts and clicks on 3D CT",
        "version": __version__,
        "labels": [item.name for item in main.model.vocabulary.classes()],
        "models": {name: listed.describe() for name, listed in models.items()},
        "trainers": interface.training.offered(),
        "strategies": {
            "first": {"description": "the first image without label"},
            "random": {"description": "any image without label"},
        },
        "scoring": {},
        "train_stats": interface.training.statistics(),
        "datastore": await run_in_threadpool(interface.store.datastore.status),
    }


_ANSWER = body("multipart/form-data", "parts 'params' (JSON) and 'image' (label map); or one of them, see 'output'")


@router.post(
    "/infer/{model}",
    responses=problems(404, 413, 415, 422, 429, 502, 503) | _ANSWER,
    response_class=Response,
    openapi_extra=form("file", fields={"params": "JSON object; see docs/serving.md"}, required=False),
)
async def infer(
    model: str,
    request: Request,
    interface: TheInterface,
    image: Id = "",
    session_id: Id = "",
    output: OutputKind | None = None,
) -> Response:
    """Segment an uploaded file, a session's scan, or an image of the datastore."""
    listed = find_listed(interface.service, model)
    async with interface.service.sandbox.scratch() as folder:
        upload = await receive_form(request, folder, ("file", "label"))
        params = translate.read_params(upload.fields.get("params"))
        ending = translate.wanted_ending(params)
        asked = translate.to_question(listed, params)
        if "label" in upload.others:
            raise ServiceError("scribbles as a label map are not taken; send clicks", code="params")
        record, kept = await _find_scan(interface, upload, folder, session_id, image)
        by_id = kept and not session_id
        slices = await run_in_threadpool(_series_of, interface, record, listed, image) if by_id else None
        question = asked.question if slices is None else translate.question_on_scan(asked.question, slices)
        try:
            found = await interface.service.oneshots.ask(
                request, record, listed.model.card.name, question, f"monai-{listed.kind}"
            )
        finally:
            if not kept:
                await interface.service.remove_scan(record.id)
        segmentation = await run_in_threadpool(translate.numbered, found.segmentation, asked.single)
        told = translate.params_of(segmentation, found.seconds, found.notes)
        if output is OutputKind.JSON:
            return JSONResponse(told)
        if output is OutputKind.DICOM_SEG:  # with the engine's own ids, which say what each structure is
            saved = await run_in_threadpool(found.segmentation.save, folder / "answer.dcm", "dicom-seg")
            return Response(saved.read_bytes(), media_type="application/dicom")
        if ending == ".nrrd" and params.get("result_compress") is False:
            labels = segmentation.labels if slices is None else translate.labels_in_series(segmentation, slices)
            dtype = params.get("result_dtype")
            content = await run_in_threadpool(translate.raw_nrrd, labels, segmentation.grid.affine, dtype)
        else:
            content = await run_in_threadpool(translate.label_file, segmentation, folder, ending)
    if output is OutputKind.IMAGE:
        headers = {"Content-Disposition": attachment(f"{record.name}{ending}")}
        return Response(content, media_type="application/octet-stream", headers=headers)
    packed, media = translate.multipart(told, content, ending)
    return Response(packed, headers={"Content-Type": media})


def _series_of(interface: MonaiLabel, record: ScanRecord, listed: ListedModel, image: str) -> DicomSlices | None:
    """The series that an image is: its voxels are counted as OHIF does. ``None`` for an image that is none.

    Raises:
        ServiceError: 422, OHIF asks about a file whose voxels may lie in another order than its series'.
    """
    slices = interface.service.scans.load(record).dicom
    if slices is None and listed.kind == "vista3d" and is_uid(without_ticket(image)):
        raise ServiceError(
            "this image is no DICOM series, so where its voxels lie in OHIF is unknown; start the server with "
            "--dicomweb ADDRESS, or put the series itself into the datastore, as UID.zip",
            code="order",
        )
    return slices


async def _find_scan(
    interface: MonaiLabel, upload: Upload, folder: Path, session_id: str, image: str
) -> tuple[ScanRecord, bool]:
    """The scan that a request is about, and whether it stays."""
    if upload.source is not None:
        return await scan_from_upload(interface.service, upload, folder, None, SESSION_LIFE), False
    if session_id:
        return interface.service.scans.prolong(interface.service.scans.get(session_id, None).id, SESSION_LIFE), True
    if image:
        return await interface.store.scan(image), True
    raise ServiceError("give an image id, a session_id, or a file", code="no-file")


@router.put(
    "/session/",
    responses=problems(413, 415, 422, 429),
    openapi_extra=form("files", several=True, fields={"params": "not used"}),
)
async def create_session(
    request: Request,
    interface: TheInterface,
    uncompress: bool = False,
    expiry: Annotated[int, Query(ge=0, description="seconds; 0 for an hour")] = 0,
) -> dict[str, Any]:
    """Upload a scan for several questions: one file, or the slices of one series. A zip is unpacked in any case."""
    life = timedelta(seconds=min(expiry, _LONGEST_SECONDS)) if expiry else SESSION_LIFE
    record = await scan_from_form(interface.service, request, None, "files", life)
    return {"session_id": record.id, "session_info": _session_info(record)}


@router.get(
    "/session/{session_id}",
    responses=problems(404) | {200: {"description": "facts, or with image=true the scan as gzip NIfTI"}},
    response_class=Response,
)
async def get_session(
    session_id: str, request: Request, interface: TheInterface, image: bool = False, update_ts: bool = False
) -> Response:
    """Is it still there; its image."""
    scans = interface.service.scans
    record = scans.get(session_id, None)
    if update_ts:
        record = scans.prolong(record.id, SESSION_LIFE)
    if not image:
        return JSONResponse(_session_info(record))
    path = await run_in_threadpool(scans.image_file, record)
    answer = FileResponse(path, media_type="application/gzip", filename=f"{record.name}.nii.gz")
    return with_etag(request, answer, record.digest[:32])


@router.delete("/session/{session_id}", responses=problems(404))
async def remove_session(session_id: str, interface: TheInterface) -> dict[str, Any]:
    """Delete an uploaded scan."""
    record = interface.service.scans.get(session_id, None)
    await interface.service.remove_scan(record.id)
    return _session_info(record)


def _session_info(record: ScanRecord) -> dict[str, Any]:
    """In MONAI Label's words; paths on our machine are our own affair."""
    created = int(record.created.timestamp())
    life = SESSION_LIFE if record.expires is None else record.expires - record.created
    return {
        "name": record.id,
        "path": "",
        "image": f"{record.name}.nii.gz",
        "meta": {"shape": list(record.shape)},
        "create_ts": created,
        "last_access_ts": int(time.time()),
        "expiry": int(life.total_seconds()),
    }
