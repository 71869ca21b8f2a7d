"""The scans a server keeps: on disk, one folder each, mapped into memory when asked for."""

import json
import logging
import shutil
import threading
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from openvista.dicom_slices import DicomSlices
from openvista.errors import needs_extra
from openvista.geometry.grid import Grid
from openvista.io import replacing, write_scan
from openvista.scan import NiftiGeometry, Scan
from openvista.serve.ids import find_owned, list_owned, new_id, no_such, require_room
from openvista.serve.sandbox_child import SLICES_FILE, VOXELS_FILE

logger = logging.getLogger(__name__)

_RECORD_FILE = "record.json"
_IMAGE_FILE = "image.nii.gz"


@dataclass(frozen=True)
class ScanRecord:
    """What is known about a kept scan without opening it.

    Attributes:
        id: unguessable.
        owner: hash of the owner's secret; ``None`` when whoever knows the id may use it.
        name: what its owner calls it.
        created, expires: when it came, and when it is deleted even if in use; ``None`` for the server's own rule.
        shape, affine, dtype: of its voxels.
        hu_range: lowest and highest HU.
        digest: SHA-256 of voxels, shape, type and affine.
        warnings: what does not look like CT, as code and message.
        geometry: how a NIfTI source says where voxels lie: {field: (dtype, values)}.
        from_dicom: whether its slices are kept, so that it can be exported as DICOM.
        state: ``"open"``, ``"review"`` or ``"done"``, in its owner's work list.
    """

    id: str
    owner: str | None
    name: str
    created: datetime
    shape: tuple[int, int, int]
    affine: list[list[float]]
    dtype: str
    hu_range: tuple[float, float]
    digest: str
    expires: datetime | None = None
    warnings: list[dict[str, str]] = field(default_factory=list)
    geometry: dict[str, list[Any]] | None = None
    from_dicom: bool = False
    state: str = "open"

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""
        return Grid(self.shape, np.array(self.affine))


_RECORD = TypeAdapter(ScanRecord)


class ScanStore:
    """All scans of a server.

    Args:
        folder: ours alone; scans of an earlier run in it are kept.
        most, most_owned: how many, in all and of one user.
    """

    def __init__(self, folder: Path, most: int, most_owned: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._most, self._most_owned = most, most_owned
        self._lock = threading.Lock()
        self._records: dict[str, ScanRecord] = {}
        self._used: dict[str, datetime] = {}
        for path in sorted(folder.glob(f"*/{_RECORD_FILE}")):
            self._restore(path)

    def _restore(self, path: Path) -> None:
        try:
            record = _RECORD.validate_json(path.read_bytes())
        except (OSError, ValueError):
            logger.warning("a kept scan is damaged and is deleted")
            shutil.rmtree(path.parent, ignore_errors=True)
            return
        self._records[record.id] = record
        self._used[record.id] = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)

    def add(
        self, parsed: Path, facts: dict[str, Any], name: str, owner: str | None, expires_in: timedelta | None = None
    ) -> ScanRecord:
        """Take over what the reading process wrote.

        Raises:
            ServiceError: 429, the server keeps as many as it may.
        """
        require_room(self._records.values(), owner, self._most, self._most_owned, "scans")
        voxels = np.load(parsed / VOXELS_FILE, mmap_mode="r", allow_pickle=False)
        now = datetime.now(timezone.utc)
        record = ScanRecord(
            id=new_id(),
            owner=owner,
            name=name,
            created=now,
            shape=(voxels.shape[0], voxels.shape[1], voxels.shape[2]),
            affine=facts["affine"],
            dtype=voxels.dtype.str,
            hu_range=(facts["hu_range"][0], facts["hu_range"][1]),
            digest=_digest(voxels, facts["affine"]),
            expires=None if expires_in is None else now + expires_in,
            warnings=facts["warnings"],
            geometry=facts["geometry"],
            from_dicom=(parsed / SLICES_FILE).exists(),
        )
        del voxels
        folder = self._folder / record.id
        folder.mkdir()
        shutil.move(str(parsed / VOXELS_FILE), folder / VOXELS_FILE)
        if record.from_dicom:
            shutil.move(str(parsed / SLICES_FILE), folder / SLICES_FILE)
        self._write(record)
        with self._lock:
            self._records[record.id] = record
            self._used[record.id] = now
        return record

    def _write(self, record: ScanRecord) -> None:
        with replacing(self._folder / record.id / _RECORD_FILE) as temporary:
            temporary.write_text(json.dumps(asdict(record), default=str), encoding="utf-8")

    def change(self, scan_id: str, **parts: str) -> ScanRecord:
        """Another ``name`` or ``state``.

        Raises:
            ServiceError: 404, there is none.
            OutputError: it cannot be written.
        """
        self.of_session(scan_id)
        with self._lock:
            if scan_id not in self._records:
                raise no_such("scan")
            record = replace(self._records[scan_id], **parts)  # type: ignore[arg-type]  # mypy knows no field by name
            self._write(record)
            self._records[scan_id] = record
        return record

    def get(self, scan_id: str, owner: str | None) -> ScanRecord:
        """A scan of this owner.

        Raises:
            ServiceError: 404, there is none, or it is somebody else's.
        """
        return self.of_session(find_owned(self._records, scan_id, owner, "scan").id)

    def of_session(self, scan_id: str) -> ScanRecord:
        """A scan whose session somebody may use.

        Raises:
            ServiceError: 404, there is none.
        """
        with self._lock:
            record = self._records.get(scan_id)
            if record is None or _is_over(record):
                raise no_such("scan")
            self._used[scan_id] = datetime.now(timezone.utc)
            return record

    def prolong(self, scan_id: str, life: timedelta) -> ScanRecord:
        """A scan that is deleted after a while, used now: its time begins anew.

        Raises:
            ServiceError: 404, there is none.
        """
        record = replace(self.of_session(scan_id), expires=datetime.now(timezone.utc) + life)
        with self._lock:
            self._records[scan_id] = record
        return record

    def owned_by(self, owner: str | None) -> list[ScanRecord]:
        """The scans of an owner, newest first; none for nobody."""
        with self._lock:
            return list_owned(self._records.values(), owner)

    def load(self, record: ScanRecord) -> Scan:
        """The scan, its voxels mapped from disk: the system keeps in memory what is looked at, and drops it under need.

        Raises:
            ServiceError: 404, it was deleted meanwhile.
        """
        try:
            voxels = np.load(self._folder / record.id / VOXELS_FILE, mmap_mode="c", allow_pickle=False)
        except FileNotFoundError:
            raise no_such("scan") from None
        dicom = _slices(self._folder / record.id / SLICES_FILE)
        return Scan(np.asarray(voxels), record.grid, record.name, None, _geometry(record), dicom)

    def image_file(self, record: ScanRecord) -> Path:
        """The scan as gzip NIfTI, made when first asked for."""
        path = self._folder / record.id / _IMAGE_FILE
        if not path.exists():
            write_scan(self.load(record), path)
        return path

    def remove(self, scan_id: str) -> None:
        """Delete a scan; nothing happens when it is gone already."""
        with self._lock:
            self._records.pop(scan_id, None)
            self._used.pop(scan_id, None)
        shutil.rmtree(self._folder / scan_id, ignore_errors=True)

    def unused_since(self, moment: datetime, needed: set[str]) -> list[str]:
        """Scans to delete: past their own time, or not asked for since a moment and not needed by a session."""
        with self._lock:
            return [
                key
                for key, record in self._records.items()
                if _is_over(record) or (record.expires is None and self._used[key] < moment and key not in needed)
            ]

    def __contains__(self, scan_id: str) -> bool:
        return scan_id in self._records

    def __len__(self) -> int:
        return len(self._records)


def _is_over(record: ScanRecord) -> bool:
    return record.expires is not None and record.expires < datetime.now(timezone.utc)


def _digest(voxels: np.ndarray[Any, Any], affine: list[list[float]]) -> str:
    """SHA-256 over what a scan is: type, shape, affine, and voxels with x fastest."""
    digest = sha256(json.dumps([voxels.dtype.str, voxels.shape, affine]).encode())
    for slab_XY in np.moveaxis(voxels, 2, 0):
        digest.update(slab_XY.tobytes(order="F"))
    return digest.hexdigest()


def _geometry(record: ScanRecord) -> NiftiGeometry | None:
    if record.geometry is None:
        return None
    return {key: np.array(values, dtype=np.dtype(kind)) for key, (kind, values) in record.geometry.items()}


def _slices(path: Path) -> DicomSlices | None:
    if not path.exists():
        return None
    with needs_extra("pydicom", "dicom", "read DICOM"):
        from openvista.io.dicom.kept import read_slices

    return read_slices(path)
