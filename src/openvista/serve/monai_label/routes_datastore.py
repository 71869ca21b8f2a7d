"""``/datastore/``: images and labels that annotators share."""

import shutil
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response

from openvista.errors import ServiceError
from openvista.scan import Segmentation
from openvista.serve.monai_label.datastore import SESSION_LIFE
from openvista.serve.monai_label.interface import MonaiLabel, TheInterface
from openvista.serve.monai_label.translate import read_params
from openvista.serve.problems import body, form, problems
from openvista.serve.sandbox_child import VOXELS_FILE
from openvista.serve.uploads import Upload, keep_file, read_labels, receive_form
from openvista.weights.card import sha256_of

router = APIRouter(prefix="/datastore", tags=["MONAI Label"])

Id = Annotated[str, Query(min_length=1, max_length=200)]
Tag = Annotated[str, Query(max_length=60)]
_FINAL = "final"
_PARAMS = {"params": "JSON object with what to note about it"}
_INFO = form("", fields={"info": "JSON object"}, required=False)
_FILE = body("application/octet-stream", "the file")


class Listing(str, Enum):
    """How much of the datastore is told."""

    STATS = "stats"
    ALL = "all"
    TRAIN = "train"


@router.get("/", responses=problems(404))
async def listing(interface: TheInterface, output: Listing = Listing.STATS) -> JSONResponse:
    """Counts, everything, or the pairs of image and final label."""
    store = interface.store.datastore
    if output is Listing.ALL:
        return JSONResponse(await run_in_threadpool(store.listing))
    if output is Listing.TRAIN:
        pairs = await run_in_threadpool(store.pairs)
        return JSONResponse([{"image": image.name, "label": label.name} for _, image, label, _ in pairs])
    return JSONResponse(await run_in_threadpool(store.status))


@router.put("/", responses=problems(404, 409, 413, 415, 422, 429), openapi_extra=form("file", fields=_PARAMS))
@router.put("/image", responses=problems(404, 409, 413, 415, 422, 429), openapi_extra=form("file", fields=_PARAMS))
async def add_image(
    request: Request, interface: TheInterface, image: Annotated[str, Query(max_length=200)] = ""
) -> dict[str, str]:
    """Add an image; it is read first, and never replaces another. Slicer sends the same one before every label."""
    store = interface.store
    async with interface.service.sandbox.scratch() as folder:
        upload = await receive_form(request, folder, ("file",))
        zipped = await run_in_threadpool(_zipped, upload, folder)
        source, ending = (zipped, ".zip") if zipped is not None else (_one_file(upload, "file"), upload.ending)
        record = await keep_file(interface.service, source, upload.name, None, SESSION_LIFE)
        await interface.service.remove_scan(record.id)
        wanted = image or record.name
        if await store.has_same(wanted, record):
            return {"image": wanted}
        info = read_params(upload.fields.get("params"))
        image_id = await run_in_threadpool(store.datastore.add_image, wanted, source, ending, info)
    return {"image": image_id}


@router.delete("/", responses=problems(403, 404, 422))
@router.delete("/image", responses=problems(403, 404, 422))
async def remove_image(id: Id, interface: TheInterface) -> dict[str, Any]:
    """Delete an uploaded image and its labels."""
    await run_in_threadpool(interface.store.datastore.remove_image, id)
    return {}


@router.get("/image", responses=problems(404, 422) | _FILE, response_class=FileResponse)
async def get_image(image: Id, interface: TheInterface) -> FileResponse:
    """The file of an image."""
    return _file(await run_in_threadpool(interface.store.datastore.image, image))


@router.head("/image", responses=problems(404, 422))
async def has_image(
    image: Id, interface: TheInterface, check_sum: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """Is it there, and is it still the same (``SHA256:...``)."""
    path = await run_in_threadpool(interface.store.datastore.image, image)
    if check_sum and check_sum.rsplit(":", 1)[-1].lower() != await run_in_threadpool(sha256_of, path):
        raise ServiceError("the image is another one", status=404, code="not-found")
    return Response()


@router.get("/image/info", responses=problems(404, 422))
async def image_info(image: Id, interface: TheInterface) -> dict[str, Any]:
    """What is noted about an image."""
    await run_in_threadpool(interface.store.datastore.image, image)
    return dict(interface.store.datastore.entry(image).get("info", {}))


@router.put("/image/info", responses=problems(404, 415, 422), openapi_extra=_INFO)
async def note_image(image: Id, request: Request, interface: TheInterface) -> dict[str, Any]:
    """Note something about an image."""
    await run_in_threadpool(interface.store.datastore.update_info, image, await _noted(interface, request))
    return {}


@router.put("/label", responses=problems(404, 413, 415, 422), openapi_extra=form("label", fields=_PARAMS))
async def save_label(image: Id, request: Request, interface: TheInterface, tag: Tag = _FINAL) -> dict[str, str]:
    """Keep a label of an image; it is read first."""
    store = interface.store.datastore
    async with interface.service.sandbox.scratch() as folder:
        upload = await receive_form(request, folder, ("label",))
        source = _one_file(upload, "label")
        found = await read_labels(interface.service, source, folder, upload.name)
        await _refuse_another_shape(interface, found, image)
        info = {"names": {str(key): name for key, name in found.names.items()}}
        info |= read_params(upload.fields.get("params"))
        saved = await run_in_threadpool(store.save_label, image, tag or _FINAL, source, upload.ending, info)
    return {"image": image, "label": saved}


@router.get("/label", responses=problems(404, 422) | _FILE, response_class=FileResponse)
async def get_label(label: Id, interface: TheInterface, tag: Tag = _FINAL) -> FileResponse:
    """The file of a label."""
    return _file(await run_in_threadpool(interface.store.datastore.label, label, tag))


@router.head("/label", responses=problems(404, 422))
async def has_label(
    interface: TheInterface,
    label: Annotated[str, Query(max_length=200)] = "",
    image: Annotated[str, Query(max_length=200)] = "",
    tag: Tag = _FINAL,
) -> Response:
    """Is it there. Clients call the parameter ``label`` or ``image``."""
    await run_in_threadpool(interface.store.datastore.label, label or image, tag)
    return Response()


@router.delete("/label", responses=problems(404, 422))
async def remove_label(id: Id, interface: TheInterface, tag: Tag = _FINAL) -> dict[str, Any]:
    """Delete a label."""
    await run_in_threadpool(interface.store.datastore.remove_label, id, tag)
    return {}


@router.get("/label/info", responses=problems(404, 422))
async def label_info(label: Id, interface: TheInterface, tag: Tag = _FINAL) -> dict[str, Any]:
    """What is noted about a label."""
    await run_in_threadpool(interface.store.datastore.label, label, tag)
    return dict(interface.store.datastore.entry(label).get("labels", {}).get(tag, {}))


@router.put("/label/info", responses=problems(404, 415, 422), openapi_extra=_INFO)
async def note_label(label: Id, request: Request, interface: TheInterface, tag: Tag = _FINAL) -> dict[str, Any]:
    """Note something about a label."""
    await run_in_threadpool(interface.store.datastore.update_info, label, await _noted(interface, request), tag)
    return {}


def _zipped(upload: Upload, folder: Path) -> Path | None:
    """Slices, or the only file of a DICOM series, as one zip; ``None`` for a file of another kind."""
    if upload.source is None or not (upload.source.is_dir() or upload.ending == ".dcm"):
        return None
    source = upload.source
    if source.is_file():
        source = folder / "series-of-one"
        source.mkdir()
        shutil.move(upload.source, source)
    return Path(shutil.make_archive(str(folder / "series"), "zip", source))


def _one_file(upload: Upload, field: str) -> Path:
    source = upload.only_file("file", field)
    if upload.ending in ("", ".unknown", ".dcm"):
        raise ServiceError(f"send NIfTI, NRRD or MHA{' or DICOM' if field == 'file' else ''}", code="scan")
    return source


async def _noted(interface: MonaiLabel, request: Request) -> dict[str, Any]:
    async with interface.service.sandbox.scratch() as folder:
        upload = await receive_form(request, folder, ())
        return read_params(upload.fields.get("info"))


async def _refuse_another_shape(interface: MonaiLabel, label: Segmentation, image_id: str) -> None:
    """A label of another shape would be learned from as if it lay on the image.

    Raises:
        ServiceError: 404 there is no such image; 422 the label does not lie on its voxels.
    """
    path = await run_in_threadpool(interface.store.datastore.image, image_id)
    async with interface.service.sandbox.scratch() as folder:
        parsed, _ = await interface.service.sandbox.read(path, folder, name=image_id)
        shape = await run_in_threadpool(lambda: np.load(parsed / VOXELS_FILE, mmap_mode="r").shape)
    if label.grid.shape != shape:
        raise ServiceError(
            f"the label has shape {label.grid.shape}, and image {image_id!r} has {shape}; resample it to the image",
            code="grid",
        )


def _file(path: Path) -> FileResponse:
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)
