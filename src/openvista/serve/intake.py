"""How strangers' files come in: form to folder, kind by content, and the process that reads them."""

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from openvista.errors import ServiceError
from openvista.io.paths import image_suffix
from openvista.serve.confine import safe_name
from openvista.serve.guard import new_id
from openvista.serve.parse import SESSION_FILE, ParseRequest
from openvista.serve.reader import Reader
from openvista.serve.settings import Settings

_MOST_FILES = 5000
_MOST_FIELDS = 20
_FIELD_BYTES = 1 << 20


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
        return "" if self.source is None else self.source.name.partition(".")[1] + self.source.name.partition(".")[2]


class Workshop:
    """Makes folders for what comes in, reads it, and clears up.

    Args:
        folder: ours alone; emptied at the start, since what lies there belongs to requests of an earlier life.
        settings: the limits.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder = folder
        self._settings = settings
        self._reader = Reader()
        self._one = asyncio.Lock()  # files read at the same time would add up their memory

    def new_folder(self) -> Path:
        """An empty folder that nobody else uses; the caller removes it."""
        folder = self._folder / new_id()
        folder.mkdir()
        return folder

    async def parse(self, source: Path, scratch: Path, *, kind: str = "scan") -> tuple[Path, dict[str, Any]]:
        """Read a file, or a folder of slices, in a process with limits.

        Args:
            source: what came in.
            scratch: a folder of ours, for what is needed on the way and for the result.
            kind: what it should be; see :class:`ParseRequest`.

        Returns:
            A folder with the array, and the facts; see :mod:`openvista.serve.parse`.

        Raises:
            ServiceError: 422 not a scan, 413 too large, 504 too slow.
        """
        output, unpacked = scratch / "output", scratch / "unpacked"
        output.mkdir()
        unpacked.mkdir()
        limits = self._settings
        request = ParseRequest(
            source=str(source),
            output=str(output),
            scratch=str(unpacked),
            voxels=limits.voxels,
            unpacked_bytes=8 * limits.voxels + limits.upload_bytes,
            memory_bytes=limits.parse_bytes,
            cpu_seconds=int(limits.parse_seconds) + 1,
            kind=kind,
        )
        async with self._one:
            facts = await run_in_threadpool(self._reader.read, request, limits.parse_seconds)
        return output, facts

    async def check_session(self, source: Path, scratch: Path) -> Path:
        """A stranger's session file, read and written anew in a process with limits.

        Raises:
            ServiceError: 422 not a session file, 413 too large.
        """
        output, _ = await self.parse(source, scratch, kind="session")
        return output / SESSION_FILE

    def close(self) -> None:
        """End the reading process."""
        self._reader.close()


async def receive_form(request: Request, folder: Path, file_fields: tuple[str, ...]) -> Upload:
    """Write a form's files into a folder, under names of our own.

    Args:
        request: its body is multipart; :class:`openvista.serve.limits.BodyLimit` bounds it.
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
    head = file.file.read(400)
    file.file.seek(0)
    ending = known_ending(file.filename or "") or ending_of(head)
    target = folder / f"{index:05d}{ending}"
    with target.open("wb") as out:
        shutil.copyfileobj(file.file, out, 1 << 20)
    return target


def known_ending(name: str) -> str:
    """The ending of a file name, if it is one that we read."""
    lower = name.lower()
    others = (".zip", ".dcm", ".ovsession")
    return image_suffix(Path(lower)) or next((ending for ending in others if lower.endswith(ending)), "")


def ending_of(head: bytes) -> str:
    """What a file is by its first 400 bytes; ``".unknown"`` when none of ours."""
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
