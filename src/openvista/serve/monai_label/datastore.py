"""A folder of images and labels that annotators share, in MONAI Label's layout; and its images as scans of ours.

``labels/<tag>/<id>.<ending>`` for labels; images in ``images/`` if there is such a folder, else beside ``labels/``.
What is known about them is in ``openvista_datastore.json``. An id is a file name without its ending; characters that
file names should not have, which Slicer's volume names do (``3: CT Chest 1.25``), are written as ``%3A``.
"""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool

from openvista.errors import ServiceError
from openvista.io import replacing, scan_name
from openvista.io.paths import image_suffix
from openvista.serve.guard import without_ticket
from openvista.serve.monai_label.pacs_source import PacsSource, is_uid
from openvista.serve.sandbox_child import DETACHED
from openvista.serve.scans import ScanRecord
from openvista.serve.service import Service
from openvista.serve.uploads import keep_file

_INDEX_FILE = "openvista_datastore.json"
_ID = re.compile(r"[^\x00-\x20\x7f.%][^\x00-\x1f\x7f]{0,119}")
_TAG = re.compile(r"[^\W_][\w .+=@,()-]{0,59}")
_UNUSUAL = re.compile(r"[^\w .+=@,()-]")
"""In a file name: a slash, and whatever a shell or a header would trip over."""
_LONGEST_NAME = 200
"""Bytes of a file name without its ending."""
_MOST_IMAGES = 100_000
SESSION_LIFE = timedelta(hours=1)
"""After the last question about a scan."""


class Datastore:
    """The folder.

    Args:
        folder: existing; the operator's own.
        most: how many images may be in it before no more are taken; ``None`` for any number.
    """

    def __init__(self, folder: Path, most: int | None = None) -> None:
        self.folder = folder
        self._most = most
        self._lock = threading.RLock()

    # --- images -------------------------------------------------------------------------------------------------

    def images(self) -> dict[str, Path]:
        """Every image by id, in order of id. Links that lead out of the folder are left out."""
        root = self.folder.resolve()
        found: dict[str, Path] = {}
        for path in sorted(self._image_folder().iterdir())[:_MOST_IMAGES]:
            ending = _ending_of(path)
            if ending and path.is_file() and path.resolve().is_relative_to(root):
                found.setdefault(_id_of(path), path)
        return found

    def image(self, image_id: str) -> Path:
        """The file of an image.

        Raises:
            ServiceError: 404.
        """
        path = self.images().get(_checked_id(image_id))
        if path is None:
            raise ServiceError("there is no such image in the datastore", status=404, code="not-found")
        return path

    def add_image(self, image_id: str, source: Path, ending: str, info: dict[str, Any]) -> str:
        """Keep an image that was checked.

        Raises:
            ServiceError: 409, there is one of that id, which nobody may replace; 422, unusable id; 429, no room.
        """
        image_id = _checked_id(image_id)
        with self._lock:
            images = self.images()
            if image_id in images:
                message = f"there is another image {image_id!r} already; give this one another name"
                raise ServiceError(message, status=409, code="exists")
            if self._most is not None and len(images) >= self._most:
                message = f"this server keeps {self._most} images; start it with --datastore FOLDER for more"
                raise ServiceError(message, status=429, code="full")
            with replacing(self._image_folder() / f"{_file_name(image_id)}{ending}") as temporary:
                shutil.copyfile(source, temporary)
            self._update(image_id, lambda entry: entry.update(info=info, uploaded=True))
        return image_id

    def remove_image(self, image_id: str) -> None:
        """Delete an image that was uploaded, and its labels. What the operator put there stays.

        Raises:
            ServiceError: 404; 403, it was not uploaded.
        """
        with self._lock:
            path = self.image(image_id)
            if not self.entry(image_id).get("uploaded"):
                raise ServiceError("only uploaded images can be deleted", status=403, code="not-uploaded")
            for tag in self.tags(image_id):
                self.remove_label(image_id, tag)
            path.unlink(missing_ok=True)
            with self._index(write=True) as index:
                index.pop(_checked_id(image_id), None)

    # --- labels -------------------------------------------------------------------------------------------------

    def label(self, image_id: str, tag: str) -> Path:
        """The file of a label.

        Raises:
            ServiceError: 404.
        """
        folder = self.folder / "labels" / _checked_tag(tag)
        wanted = _checked_id(image_id)
        found = [path for path in folder.glob("*") if path.is_file() and _id_of(path) == wanted]
        if not found or not found[0].resolve().is_relative_to(self.folder.resolve()):
            raise ServiceError("there is no such label in the datastore", status=404, code="not-found")
        return found[0]

    def tags(self, image_id: str) -> list[str]:
        """Which labels an image has."""
        folders = sorted(path for path in (self.folder / "labels").glob("*") if path.is_dir())
        wanted = _checked_id(image_id)
        return [path.name for path in folders if any(_id_of(file) == wanted for file in path.iterdir())]

    def save_label(self, image_id: str, tag: str, source: Path, ending: str, info: dict[str, Any]) -> str:
        """Keep a label that was checked, instead of an earlier one.

        Raises:
            ServiceError: 404, no such image; 422, unusable tag.
        """
        image_id, tag = _checked_id(image_id), _checked_tag(tag)
        with self._lock:
            self.image(image_id)
            folder = self.folder / "labels" / tag
            folder.mkdir(parents=True, exist_ok=True)
            target = folder / f"{_file_name(image_id)}{ending}"
            old = [path for path in folder.iterdir() if _id_of(path) == image_id and path != target]
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)
            for path in old:
                path.unlink(missing_ok=True)
            self._update(image_id, lambda entry: entry.setdefault("labels", {}).update({tag: info}))
        return image_id

    def remove_label(self, image_id: str, tag: str) -> None:
        """Delete a label.

        Raises:
            ServiceError: 404.
        """
        with self._lock:
            self.label(image_id, tag).unlink(missing_ok=True)
            self._update(image_id, lambda entry: entry.get("labels", {}).pop(tag, None))

    # --- what is known ------------------------------------------------------------------------------------------

    def entry(self, image_id: str) -> dict[str, Any]:
        """What is noted about an image."""
        with self._index() as index:
            return dict(index.get(_checked_id(image_id), {}))

    def update_info(self, image_id: str, info: dict[str, Any], tag: str | None = None) -> None:
        """Note something about an image, or about one of its labels.

        Raises:
            ServiceError: 404.
        """
        if tag is None:
            self.image(image_id)
            self._update(image_id, lambda entry: entry.setdefault("info", {}).update(info))
        else:
            self.label(image_id, tag)
            self._update(image_id, lambda entry: entry.setdefault("labels", {}).setdefault(tag, {}).update(info))

    def unlabelled(self) -> list[str]:
        """Images without a final label, in order of id."""
        done = {_id_of(path) for path in (self.folder / "labels" / "final").glob("*")}
        return [image_id for image_id in self.images() if image_id not in done]

    def status(self) -> dict[str, Any]:
        """How many images, how many done."""
        images = self.images()
        tags = {
            path.name: sum(1 for _ in path.iterdir()) for path in (self.folder / "labels").glob("*") if path.is_dir()
        }
        return {"total": len(images), "completed": len(images) - len(self.unlabelled()), "label_tags": tags}

    def listing(self) -> dict[str, Any]:
        """Everything, as MONAI Label's own index has it."""
        with self._index() as index:
            known = dict(index)
        objects: dict[str, Any] = {}
        for image_id, path in self.images().items():
            entry = known.get(image_id, {})
            labels = {
                tag: {"ext": _ending_of(self.label(image_id, tag)), "info": entry.get("labels", {}).get(tag, {})}
                for tag in self.tags(image_id)
            }
            objects[image_id] = {"image": {"ext": _ending_of(path), "info": entry.get("info", {})}, "labels": labels}
        return {"name": "OpenVISTA", "description": "images and labels of this server", "objects": objects}

    def pairs(self) -> list[tuple[str, Path, Path, dict[str, Any]]]:
        """Id, image, final label and what is known about it, of everything that is done."""
        pairs = []
        waiting = set(self.unlabelled())
        for image_id, path in self.images().items():
            if image_id not in waiting:
                info = self.entry(image_id).get("labels", {}).get("final", {})
                pairs.append((image_id, path, self.label(image_id, "final"), info))
        return pairs

    def _image_folder(self) -> Path:
        inner = self.folder / "images"
        return inner if inner.is_dir() else self.folder

    def _update(self, image_id: str, change: Callable[[dict[str, Any]], object]) -> None:
        with self._index(write=True) as index:
            entry = index.setdefault(_checked_id(image_id), {})
            change(entry)
            entry["ts"] = int(time.time())

    @contextmanager
    def _index(self, write: bool = False) -> Iterator[dict[str, Any]]:
        path = self.folder / _INDEX_FILE
        with self._lock:
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                content = {}
            index: dict[str, Any] = content.get("objects", {}) if isinstance(content, dict) else {}
            yield index
            if write:
                with replacing(path) as temporary:
                    temporary.write_text(json.dumps({"objects": index}, indent=1), encoding="utf-8")


class Store:
    """A datastore, and its images as scans of ours: read once, kept for an hour after the last question.

    Where there is a PACS, an id that is a Series Instance UID is one of its series.

    Args:
        service: the server's parts.
        datastore: the folder.
    """

    def __init__(self, service: Service, datastore: Datastore) -> None:
        self.datastore = datastore
        self._service = service
        self._known: dict[tuple[str, int, int], str] = {}
        address = service.settings.dicomweb
        self._pacs = None if address is None else PacsSource(service, address, SESSION_LIFE)

    async def scan(self, image_id: str) -> ScanRecord:
        """The scan of an image.

        Raises:
            ServiceError: 404 no such image; 422, it is no scan; 502, the PACS does not give it.
        """
        if self._pacs is not None and is_uid(without_ticket(image_id)):
            return await self._pacs.scan(without_ticket(image_id))
        path = await run_in_threadpool(self.datastore.image, image_id)
        stat = path.stat()
        key = (str(path), stat.st_mtime_ns, stat.st_size)
        scans = self._service.scans
        known = self._known.get(key)
        if known is not None and known in scans:
            return scans.prolong(known, SESSION_LIFE)
        record = await keep_file(self._service, path, image_id, None, SESSION_LIFE)
        self._known = {facts: scan_id for facts, scan_id in self._known.items() if scan_id in scans}
        self._known[key] = record.id
        return record

    async def has_same(self, image_id: str, record: ScanRecord) -> bool:
        """Whether the image of this id has the voxels of a scan, at the same place.

        Raises:
            ServiceError: 422, unusable id.
        """
        try:
            return (await self.scan(image_id)).digest == record.digest
        except ServiceError as error:
            if error.status == 404:
                return False
            raise


def _checked_id(given: str) -> str:
    """An id that can be written as a file name, without the ticket that it may carry.

    Raises:
        ServiceError: 422.
    """
    image_id = without_ticket(given)
    if not _ID.fullmatch(image_id) or ".." in image_id or len(_file_name(image_id).encode()) > _LONGEST_NAME:
        raise ServiceError("an id is a name of at most 120 letters that begins with none of . % and blank", code="id")
    return image_id


def _checked_tag(given: str) -> str:
    """A tag, which is the name of a folder.

    Raises:
        ServiceError: 422.
    """
    if not _TAG.fullmatch(given) or ".." in given:
        raise ServiceError("a tag is a name of letters, digits, dots, dashes and blanks", code="tag")
    return given


def _file_name(image_id: str) -> str:
    return _UNUSUAL.sub(lambda found: quote(found.group(), safe=""), image_id)


def _ending_of(path: Path) -> str:
    """The ending of an image that we read, else ``""``."""
    ending = image_suffix(path) or (".zip" if path.suffix.lower() == ".zip" else "")
    return "" if ending in DETACHED else ending


def _id_of(path: Path) -> str:
    return unquote(scan_name(Path(path.name.removesuffix(".zip"))))
