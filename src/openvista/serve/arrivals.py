"""A scan arrives: by form, by path, or from an address; it is read, checked and kept. Every face comes through here."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from openvista.errors import ServiceError
from openvista.geometry.grid import Grid
from openvista.io.paths import scan_name
from openvista.scan import Segmentation
from openvista.serve.confine import confined, safe_name
from openvista.serve.fetch import fetch
from openvista.serve.intake import Upload, ending_of, known_ending, receive_form
from openvista.serve.parse import VOXELS_FILE
from openvista.serve.scans import ScanRecord
from openvista.serve.service import Service


@asynccontextmanager
async def scratch_folder(service: Service) -> AsyncIterator[Path]:
    """An empty folder that is gone afterwards."""
    folder = await run_in_threadpool(service.workshop.new_folder)
    try:
        yield folder
    finally:
        await run_in_threadpool(shutil.rmtree, folder, True)


async def scan_from_form(
    service: Service,
    request: Request,
    owner: str | None,
    file_fields: tuple[str, ...] = ("file",),
    expires_in: timedelta | None = None,
) -> ScanRecord:
    """Keep the scan that a form brings.

    Raises:
        ServiceError: 422 no file or not a scan, 413, 415, 429.
    """
    async with scratch_folder(service) as folder:
        upload = await receive_form(request, folder, file_fields)
        if upload.source is None:
            raise ServiceError(f"the form brings no file; send it as field {file_fields[0]!r}", code="no-file")
        return await scan_from_upload(service, upload, folder, owner, expires_in)


async def scan_from_upload(
    service: Service, upload: Upload, folder: Path, owner: str | None, expires_in: timedelta | None = None
) -> ScanRecord:
    """Keep the scan that was written to disk already; ``upload.source`` must not be ``None``."""
    if upload.source is None:
        raise ServiceError("no file came with the request", code="no-file")
    name = upload.fields.get("name") or _display_name(upload.name)
    return await _keep(service, upload.source, folder, safe_name(name), owner, expires_in)


async def scan_from_path(service: Service, path: str, name: str | None, owner: str | None) -> ScanRecord:
    """Keep a copy of the scan at a path under an allowed folder.

    Raises:
        ServiceError: 403, 404 not there or not allowed; 422 not a scan; 413, 429.
    """
    source = await run_in_threadpool(confined, path, service.settings.roots)
    async with scratch_folder(service) as folder:
        return await _keep(service, source, folder, safe_name(name or _display_name(source.name)), owner, None)


async def scan_from_url(service: Service, url: str, name: str | None, owner: str | None) -> ScanRecord:
    """Keep the scan at an address, if addresses there are allowed.

    Raises:
        ServiceError: as :func:`openvista.serve.fetch.fetch`; 422 not a scan; 429.
    """
    async with scratch_folder(service) as folder:
        raw = folder / "fetched"
        original = await fetch(url, raw, service.settings)
        head = await run_in_threadpool(_head, raw)
        source = raw.with_name(f"00000{known_ending(original) or ending_of(head)}")
        raw.rename(source)
        return await _keep(service, source, folder, safe_name(name or _display_name(original)), owner, None)


async def keep_file(
    service: Service, path: Path, name: str, owner: str | None, expires_in: timedelta | None
) -> ScanRecord:
    """Keep a copy of a scan that lies where we put it, or where the operator did.

    Raises:
        ServiceError: 422 not a scan, 413, 429.
    """
    async with scratch_folder(service) as folder:
        return await _keep(service, path, folder, safe_name(name), owner, expires_in)


async def labels_from_form(
    service: Service, request: Request, file_fields: tuple[str, ...] = ("file",)
) -> Segmentation:
    """The label map that a form brings, read in the process for strangers' files.

    Raises:
        ServiceError: 422 no file or not a label map, 413, 415.
    """
    async with scratch_folder(service) as folder:
        upload = await receive_form(request, folder, file_fields)
        if upload.source is None or upload.source.is_dir():
            raise ServiceError(f"send one label map, as field {file_fields[0]!r}", code="no-file")
        return await read_labels(service, upload.source, folder)


async def read_labels(service: Service, source: Path, folder: Path) -> Segmentation:
    """A stranger's label map with its names.

    Raises:
        ServiceError: 422 not a label map, 413.
    """
    parsed, facts = await service.workshop.parse(source, folder, kind="labels")
    labels = await run_in_threadpool(np.load, parsed / VOXELS_FILE, allow_pickle=False)
    x, y, z = labels.shape
    names = {int(key): str(name) for key, name in facts["names"].items()}
    return Segmentation(labels, Grid((x, y, z), np.array(facts["affine"])), names)


async def _keep(
    service: Service, source: Path, folder: Path, name: str, owner: str | None, expires_in: timedelta | None
) -> ScanRecord:
    parsed, facts = await service.workshop.parse(source, folder)
    return await run_in_threadpool(service.scans.add, parsed, facts, name, owner, expires_in)


def _display_name(filename: str) -> str:
    return scan_name(Path(safe_name(filename).removesuffix(".zip")))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(400)
