"""Scans in: upload, path, address. Scans out: facts, image."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from openvista.serve.headers import with_etag
from openvista.serve.problems import body, form, problems
from openvista.serve.sandbox import SeriesChoice
from openvista.serve.scans import ScanRecord
from openvista.serve.schemas import ChangeScan, FromPath, FromSeries, FromUrl, ScanInfo, ScanList
from openvista.serve.service import Owner, TheService
from openvista.serve.uploads import scan_from_form, scan_from_path, scan_from_url

router = APIRouter(prefix="/api/v1/scans", tags=["scans"])

_FIELDS = {
    "name": "what to call it; default: the file's name",
    "series": "which DICOM series, if there are several: UID or its beginning, number, description",
    "fill_gaps": "true: interpolate slices that are missing from a DICOM series, else refused (missing-slices)",
}


@router.post(
    "",
    status_code=201,
    responses=problems(413, 415, 422, 429),
    openapi_extra=form("file", several=True, fields=_FIELDS),
)
async def upload(request: Request, service: TheService, owner: Owner) -> ScanInfo:
    """Upload a CT: one NIfTI, NRRD or MHA file; or DICOM as a zip, a multi-frame file, or slices as several files."""
    return scan_info(await scan_from_form(service, request, owner))


@router.post("/from-path", status_code=201, responses=problems(404, 413, 422, 429))
async def from_path(asked: FromPath, service: TheService, owner: Owner) -> ScanInfo:
    """Register a CT that lies under one of the server's allowed folders."""
    return scan_info(await scan_from_path(service, asked.path, asked.name, owner, _choice(asked)))


@router.post("/from-url", status_code=201, responses=problems(413, 422, 429, 504))
async def from_url(asked: FromUrl, service: TheService, owner: Owner) -> ScanInfo:
    """Fetch a CT from an allowed host."""
    return scan_info(await scan_from_url(service, asked.url, asked.name, owner, _choice(asked)))


@router.get("", responses=problems())
async def listed(service: TheService, owner: Owner) -> ScanList:
    """Your scans, newest first. Without an owner (cookie or X-OpenVISTA-Owner) nothing is listed."""
    return ScanList(scans=[scan_info(record) for record in service.scans.owned_by(owner)])


@router.get("/{scan_id}", responses=problems(404))
async def facts(scan_id: str, service: TheService, owner: Owner) -> ScanInfo:
    """What is known about a scan."""
    return scan_info(service.scans.get(scan_id, owner))


@router.get(
    "/{scan_id}/image",
    responses=problems(404)
    | body("application/gzip", "the CT in HU as gzip NIfTI, its voxels in the order of its file"),
    response_class=Response,
)
async def image(scan_id: str, request: Request, service: TheService, owner: Owner) -> Response:
    """The CT itself, as the server understood it."""
    record = service.scans.get(scan_id, owner)
    path = await run_in_threadpool(service.scans.image_file, record)
    answer = FileResponse(path, media_type="application/gzip", filename=f"{record.name}.nii.gz")
    return with_etag(request, answer, record.digest[:32])


@router.patch("/{scan_id}", responses=problems(404, 422, 507))
async def change(scan_id: str, asked: ChangeScan, service: TheService, owner: Owner) -> ScanInfo:
    """Rename a scan, or say in the work list whether it is open, done, or to be reviewed."""
    service.scans.get(scan_id, owner)
    given = asked.model_dump(exclude_none=True)
    return scan_info(await run_in_threadpool(service.scans.change, scan_id, **given))


@router.delete("/{scan_id}", status_code=204, responses=problems(404))
async def remove(scan_id: str, service: TheService, owner: Owner) -> None:
    """Delete a scan and its sessions."""
    service.scans.get(scan_id, owner)
    await service.remove_scan(scan_id)


def _choice(asked: FromSeries) -> SeriesChoice:
    return SeriesChoice(asked.series, asked.fill_gaps)


def scan_info(record: ScanRecord) -> ScanInfo:
    """A record as the API shows it; fields that the API does not know are left out."""
    grid = record.grid
    return ScanInfo(**vars(record), spacing=grid.spacing, axis_codes=grid.axis_codes, sha256=record.digest)
