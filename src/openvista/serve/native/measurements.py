"""Measurements that somebody drew in a session: kept beside it, measured by the server on the scan's own voxels."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from openvista.io import replacing
from openvista.serve.kept_session import KeptSession
from openvista.serve.native.sessions import TheSession
from openvista.serve.problems import problems
from openvista.serve.schemas import Request
from openvista.serve.service import TheService
from openvista.serve.workspace import Workspace
from openvista.session.measuring import MeasuredValues, Measurement, measure

router = APIRouter(prefix="/api/v1/sessions/{session_id}/measurements", tags=["results"])

_FILE = "measurements.json"
_MOST = 500


class KeptMeasurement(BaseModel):
    """A measurement and what it says."""

    drawn: Measurement
    measured: MeasuredValues


class MeasurementList(BaseModel):
    measurements: list[KeptMeasurement]


class SetMeasurements(Request):
    """All of the session's measurements, in order; those left out are deleted."""

    measurements: Annotated[list[Measurement], Field(max_length=_MOST)]


@router.get("", responses=problems(404))
async def listed(kept: TheSession) -> MeasurementList:
    """The session's measurements. They are no part of its history, nor of its exported file."""
    return await run_in_threadpool(_read, _path(kept))


@router.put("", responses=problems(404, 422, 429, 503, 507))
async def replace(asked: SetMeasurements, kept: TheSession, service: TheService) -> MeasurementList:
    """Put these in the place of all measurements, and measure them."""

    def keep(workspace: Workspace) -> MeasurementList:
        scan = workspace.session.scan
        measured = [KeptMeasurement(drawn=one, measured=measure(scan, one)) for one in asked.measurements]
        result = MeasurementList(measurements=measured)
        with replacing(_path(kept)) as temporary:
            temporary.write_text(result.model_dump_json(), encoding="utf-8")
        return result

    return await service.sessions.change(kept, keep)


def _path(kept: KeptSession) -> Path:
    return kept.folder / _FILE


def _read(path: Path) -> MeasurementList:
    if not path.exists():
        return MeasurementList(measurements=[])
    return MeasurementList.model_validate_json(path.read_bytes())
