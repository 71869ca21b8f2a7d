"""A scan arrives: by form, by path, or from an address; it is read, checked and kept. Every interface uses this."""

import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from openvista.errors import ServiceError
from openvista.geometry.grid import Grid
from openvista.io.paths import image_suffix, scan_name
from openvista.prepare import affordable_grid
from openvista.scan import Segmentation
from openvista.serve.fetch import fetch
from openvista.serve.paths import confined, safe_name
from openvista.serve.sandbox import SeriesChoice
from openvista.serve.sandbox_child import VOXELS_FILE
from openvista.serve.scans import ScanRecord
from openvista.serve.service import Service

_MOST_FILES = 5000
_MOST_FIELDS = 20
_FIELD_BYTES = 1 << 20
_YES = ("1", "true", "yes", "on")
_HEAD_BYTES = 400
"""Of a file, to see what it is."""


@dataclass(frozen=True)
class Upload:
    """What a form brought.

    Attributes:
        source: the file; or the folder of slices, when there were several files.
        name: what the client calls it, without folders.
        fields: the form's other fields.
        others: single files of other fields, by field.
    """

    source: Path | None
    name: str
    fields: dict[str, str]
    others: dict[str, Path] = field(default_factory=dict)

    @property
    def ending(self) -> str:
        """Of the file as it was written."""
        return "" if self.source is None else "".join(self.source.name.partition(".")[1:])

    def only_file(self, kind: str, field: str = "file") -> Path:
        """The file, where a folder of slices will not do.

        Raises:
            ServiceError: 422, none came, or several.
        """
        if self.source is None or self.source.is_dir():
            raise ServiceError(f"send one {kind}, as field {field!r}", code="no-file")
        return self.source


# --- scans and label maps -----------------------------------------------------------------------------------------


async def scan_from_form(
    service: Service,
    request: Request,
    owner: str | None,
    field: str = "file",
    expires_in: timedelta | None = None,
) -> ScanRecord:
    """Keep the scan that a form brings.

    Raises:
        ServiceError: 422 no file or not a scan, 413, 415, 429.
    """
    async with service.sandbox.scratch() as folder:
        upload = await receive_form(request, folder, (field,))
        return await scan_from_upload(service, upload, folder, owner, expires_in, field)


async def scan_from_upload(
    service: Service, upload: Upload, folder: Path, owner: str | None, expires_in: timedelta | None, field: str = "file"
) -> ScanRecord:
    """Keep the scan that was written to disk already.

    Raises:
        ServiceError: 422 no file or not a scan, 413, 429.
    """
    if upload.source is None:
        raise ServiceError(f"the form brings no file; send it as field {field!r}", code="no-file")
    name = upload.fields.get("name") or ("" if upload.source.is_dir() else _display_name(upload.name))
    choice = SeriesChoice(upload.fields.get("series") or None, upload.fields.get("fill_gaps", "").lower() in _YES)
    return await _keep(service, upload.source, folder, (name, owner, expires_in), choice)


async def scan_from_path(
    service: Service, path: str, name: str | None, owner: str | None, choice: SeriesChoice | None = None
) -> ScanRecord:
    """Keep a copy of the scan at a path under an allowed folder.

    Raises:
        ServiceError: 403, 404 not there or not allowed; 422 not a scan; 413, 429.
    """
    source = await run_in_threadpool(confined, path, service.settings.roots)
    return await keep_file(service, source, name or _display_name(source.name), owner, None, choice)


async def scan_from_url(
    service: Service, url: str, name: str | None, owner: str | None, choice: SeriesChoice | None = None
) -> ScanRecord:
    """Keep the scan at an address, if addresses there are allowed.

    Raises:
        ServiceError: as :func:`openvista.serve.fetch.fetch`; 422 not a scan; 429.
    """
    async with service.sandbox.scratch() as folder:
        raw = folder / "fetched"
        original = await fetch(url, raw, service.settings)
        with raw.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        source = raw.with_name(f"00000{_ending_of(original, head)}")
        raw.rename(source)
        return await _keep(service, source, folder, (name or _display_name(original), owner, None), choice)


async def keep_file(
    service: Service,
    path: Path,
    name: str,
    owner: str | None,
    expires_in: timedelta | None,
    choice: SeriesChoice | None = None,
) -> ScanRecord:
    """Keep a copy of a scan that lies where we put it, or where the operator did.

    Raises:
        ServiceError: 422 not a scan, 413, 429.
    """
    async with service.sandbox.scratch() as folder:
        return await _keep(service, path, folder, (name, owner, expires_in), choice)


async def keep_packed(
    service: Service, source: Path, folder: Path, grid: Grid, owner: str | None, expires_in: timedelta | None
) -> ScanRecord:
    """Keep the scan that is a packed array of nnInteractive's protocol, and whose grid came beside it.

    Raises:
        ServiceError: 422 damaged or not a scan, 413, 429.
    """
    return await _keep(service, source, folder, ("image", owner, expires_in), None, grid)


async def _keep(
    service: Service,
    source: Path,
    folder: Path,
    about: tuple[str, str | None, timedelta | None],
    choice: SeriesChoice | None,
    grid: Grid | None = None,
) -> ScanRecord:
    """Read and keep it; without a name it is called like its series."""
    name, owner, expires_in = about
    called = name and safe_name(name) + "".join(source.name.partition(".")[1:])  # with the ending, as its user knows it
    kind = "scan" if grid is None else "packed-scan"
    parsed, facts = await service.sandbox.read(source, folder, kind, choice, grid, called, owner)
    name = safe_name(name or facts["name"])
    await run_in_threadpool(_refuse_too_large, service, parsed, facts, name)
    return await run_in_threadpool(service.scans.add, parsed, facts, name, owner, expires_in)


def _refuse_too_large(service: Service, parsed: Path, facts: dict[str, Any], name: str) -> None:
    """Say at once what no model of this server could prepare.

    Raises:
        GridError: its model grid has more voxels than this server takes, or there is no memory for it.
    """
    grid = Grid(np.load(parsed / VOXELS_FILE, mmap_mode="r").shape, np.array(facts["affine"]))
    for spacing in service.spacings:
        affordable_grid(grid, spacing, name, torch.device("cpu"), service.settings.voxels)


async def labels_from_form(service: Service, request: Request, scan_grid: Grid) -> Segmentation:
    """The labels of a scan that a form brings in its field ``file``.

    Raises:
        ServiceError: 422 no file or not a label map, 413, 415.
    """
    async with service.sandbox.scratch() as folder:
        upload = await receive_form(request, folder, ("file",))
        return await read_labels(service, upload.only_file("label map"), folder, upload.name, scan_grid)


async def read_labels(
    service: Service, source: Path, folder: Path, name: str, scan_grid: Grid | None = None
) -> Segmentation:
    """An untrusted label map with its names; DICOM objects are put on the scan's grid.

    ``name`` is what its user calls the file.

    Raises:
        ServiceError: 422 not a label map, 413.
    """
    parsed, facts = await service.sandbox.read(source, folder, "labels", scan_grid=scan_grid, name=name)
    labels = await run_in_threadpool(np.load, parsed / VOXELS_FILE, allow_pickle=False)
    x, y, z = labels.shape
    names = {int(key): str(name) for key, name in facts["names"].items()}
    return Segmentation(labels, Grid((x, y, z), np.array(facts["affine"])), names)


def _display_name(filename: str) -> str:
    return scan_name(Path(safe_name(filename).removesuffix(".zip")))


# --- forms --------------------------------------------------------------------------------------------------------


async def receive_form(request: Request, folder: Path, file_fields: tuple[str, ...]) -> Upload:
    """Write a form's files into a folder, under names of our own.

    Args:
        request: its body is multipart; :class:`openvista.serve.guard.BodyLimit` bounds it.
        folder: existing and empty.
        file_fields: names of fields that may bring files; only the first may bring several.

    Raises:
        ServiceError: 415 another kind of body; 422 a file in a field that takes none.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ServiceError("send a form (multipart/form-data) with the file", status=415, code="media-type")
    form = await request.form(max_files=_MOST_FILES, max_fields=_MOST_FIELDS, max_part_size=_FIELD_BYTES)
    try:
        return await run_in_threadpool(_store, form, folder, file_fields)
    finally:
        await form.close()


def _store(form: FormData, folder: Path, file_fields: tuple[str, ...]) -> Upload:
    files = [(key, value) for key, value in form.multi_items() if isinstance(value, UploadFile)]
    fields = {key: value for key, value in form.multi_items() if isinstance(value, str)}
    main, others = list[UploadFile](), dict[str, Path]()
    for index, (key, file) in enumerate(files):
        if key not in file_fields or key in others:
            here = f"; use {file_fields[0]!r}" if file_fields else ""
            raise ServiceError(f"no file is taken in field {safe_name(key, 'without name')!r}{here}")
        if key == file_fields[0]:
            main.append(file)
        else:
            others[key] = _save(file, folder, index)
    if not main:
        return Upload(None, "", fields, others)
    if len(main) == 1:
        return Upload(_save(main[0], folder, len(files)), safe_name(main[0].filename or ""), fields, others)
    slices = folder / "slices"
    slices.mkdir()
    for index, file in enumerate(main):
        _save(file, slices, index)
    return Upload(slices, "series", fields, others)


def _save(file: UploadFile, folder: Path, index: int) -> Path:
    """The file under a number, with the ending that its content asks for when its own name has none that we know."""
    head = file.file.read(_HEAD_BYTES)
    file.file.seek(0)
    target = folder / f"{index:05d}{_ending_of(file.filename or '', head)}"
    with target.open("wb") as out:
        shutil.copyfileobj(file.file, out, 1 << 20)
    return target


def _ending_of(name: str, head: bytes) -> str:
    """The ending of a file name, if it is one that we read; else what the file's first bytes say."""
    lower = name.lower()
    others = (".zip", ".dcm", ".ovsession")
    known = image_suffix(Path(lower)) or next((ending for ending in others if lower.endswith(ending)), "")
    return known or _ending_by_content(head)


def _ending_by_content(head: bytes) -> str:
    """``".unknown"`` when it is none of ours."""
    if head[:4] == b"PK\x03\x04":
        return ".zip"
    if head[:2] == b"\x1f\x8b":
        return ".nii.gz"
    if head[:4] == b"NRRD":
        return ".nrrd"
    if head[344:347] in (b"n+1", b"ni1") or head[4:7] in (b"n+2", b"ni2"):
        return ".nii"
    if head[:10] == b"ObjectType":
        return ".mha"
    return ".dcm" if head[128:132] == b"DICM" else ".unknown"
