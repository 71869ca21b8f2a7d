"""Which scans a cohort has: folders, patterns, data lists, CSV files, buckets."""

import csv
import glob
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from openvista.cohort.case import CohortCase
from openvista.cohort.storage import file_system, full_uri, is_remote, local_path, reaching
from openvista.datalist import read_datalist
from openvista.errors import InputError
from openvista.io.paths import DICOM_FORMATS, DICOM_SUFFIXES, image_suffix, may_be_dicom, scan_name, sidecar_path
from openvista.pacs.dicomweb import is_address, parse_address

_PATTERN = "*?["
_IMAGE_COLUMNS = ("image", "path", "uri", "scan")
_LOOKED_AT = 3
"""Files without a telling name that are opened to see whether a folder holds DICOM."""


@dataclass(frozen=True)
class _Found:
    """A scan before its id is settled.

    Attributes:
        uri: path or address.
        name: where it lies, from the folder that was given; "" for a scan that was named itself.
        id: what a CSV file calls it.
        series: as in CohortCase.
        identity: as in CohortCase, where listing has told it.
    """

    uri: str
    name: str = ""
    id: str = ""
    series: str | None = None
    identity: str = ""


def find_cases(inputs: Sequence[str], output: str, series: str | None = None) -> list[CohortCase]:
    """The scans that the arguments of a command mean, in order of their ids; each scan once.

    Args:
        inputs: folders (with all below them), scans, patterns, data lists (``.json``), CSV files with a column
            ``image`` and perhaps ``id`` and ``series``, or addresses of any of them in a bucket; addresses of series or
            studies in a PACS (DICOMweb), which may stand in a CSV file, too.
        output: where results go; a folder there is not searched.
        series: which DICOM series, where a CSV file does not say it.

    Raises:
        InputError: nothing is there, or there is no scan in it; ids that could leave the output folder.
        DataListError: a list that cannot be read.
    """
    found: dict[tuple[str, str | None], _Found] = {}
    for text in inputs:
        if is_address(text):
            scans = [_in_pacs(text)]
        elif is_remote(text):
            with reaching(text):
                scans = list(_remote_scans(text))
        else:
            scans = list(_local_scans(text, output))
        if not scans:
            raise InputError(f"{text}: no scan is there; give a folder, a pattern, a data list or a CSV file")
        for scan in scans:
            found.setdefault((scan.uri, scan.series), scan)
    named = _with_ids(list(found.values()))
    return [
        CohortCase(case_id, scan.uri, scan.identity or _identity(scan.uri), scan.series or series)
        for case_id, scan in sorted(named.items())
    ]


def _in_pacs(text: str, case_id: str = "", series: str | None = None) -> _Found:
    """A series or study, called like its UID; it is looked up when its turn has come."""
    address = parse_address(text)
    return _Found(text, address.series or address.study, case_id, series)


def _local_scans(text: str, output: str) -> Iterator[_Found]:
    path = local_path(text)
    if path.is_dir():
        skipped = None if is_remote(output) else Path(os.path.abspath(local_path(output)))
        yield from _walk(path, skipped)
    elif path.suffix.lower() in (".json", ".csv") and path.is_file():
        yield from _listed(path)
    elif path.exists():
        yield _Found(os.path.abspath(path))
    elif any(letter in text for letter in _PATTERN):
        for match in sorted(glob.glob(str(path), recursive=True)):
            yield _Found(os.path.abspath(match))
    else:
        raise InputError(f"{text}: there is no such file or folder; check the path")


def _walk(root: Path, skipped: Path | None) -> Iterator[_Found]:
    """Every image, zip and folder of slices below a folder; neither hidden ones nor results of ours."""
    for parent, folders, names in os.walk(root):
        folder = Path(parent)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and (skipped is None or Path(os.path.abspath(folder / name)) != skipped)
        )
        files = [folder / name for name in sorted(names) if not name.startswith(".") and not _is_dicom_result(name)]
        for file in files:
            if (image_suffix(file) or file.suffix.lower() == ".zip") and not _is_result(file):
                yield _Found(os.path.abspath(file), file.relative_to(root).as_posix())
        if _holds_dicom(files):
            name = folder.relative_to(root).as_posix()
            yield _Found(os.path.abspath(folder), os.path.basename(os.path.abspath(root)) if name == "." else name)
            if any(file.name.upper() == "DICOMDIR" for file in files):
                folders.clear()  # what lies below belongs to it


def _holds_dicom(files: Sequence[Path]) -> bool:
    if any(file.suffix.lower() in DICOM_SUFFIXES or file.name.upper() == "DICOMDIR" for file in files):
        return True
    unknown = [file for file in files if not file.suffix or file.suffix[1:].isdecimal()]
    return any(may_be_dicom(file) for file in unknown[:_LOOKED_AT])


def _is_dicom_result(name: str) -> bool:
    return name.lower().endswith(tuple(DICOM_FORMATS.values()))


def _is_result(file: Path) -> bool:
    return scan_name(file).endswith("_seg") and sidecar_path(file).exists()


def _listed(path: Path, base: str = "") -> Iterator[_Found]:
    """The scans of a data list or CSV file; relative ones start from ``base``, else from where the list lies."""
    if path.suffix.lower() == ".json":
        for case in read_datalist(path, must_exist=False).every_case:
            yield _Found(os.path.abspath(case.image))
        return
    for row in _rows(path):
        uri = row[next(column for column in _IMAGE_COLUMNS if column in row)]
        case_id, series = row.get("id") or row.get("case_id") or "", row.get("series") or None
        if is_address(uri):
            yield _in_pacs(uri, case_id, series)
            continue
        if not is_remote(uri):
            place = local_path(uri)
            uri = f"{base}/{uri}" if base and not place.is_absolute() else os.path.abspath(path.parent / place)
        yield _Found(uri, id=case_id, series=series)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = {str(name).strip().lower() for name in reader.fieldnames or ()}
            if not columns & set(_IMAGE_COLUMNS):
                raise InputError(f"{path}: no column {' or '.join(_IMAGE_COLUMNS)}; the first line names the columns")
            rows = [{str(key).strip().lower(): (value or "").strip() for key, value in row.items()} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV in UTF-8: {error}") from None
    return [row for row in rows if any(row.get(column) for column in _IMAGE_COLUMNS)]


def _remote_scans(text: str) -> Iterator[_Found]:
    """As :func:`_local_scans`, of a bucket: files are known by their names alone."""
    system, path = file_system(text)
    if PurePosixPath(path).suffix.lower() in (".json", ".csv"):
        with tempfile.TemporaryDirectory(prefix="openvista-") as folder:
            local = Path(folder) / PurePosixPath(path).name
            system.get_file(path, str(local))
            if local.suffix.lower() == ".json":
                raise InputError(f"{text}: a data list in a bucket is not read; give a CSV file with a column image")
            yield from _listed(local, text.rpartition("/")[0])
        return
    pattern = any(letter in path for letter in _PATTERN)
    listed = system.glob(path, detail=True) if pattern else system.find(path, detail=True)
    root = path.partition("*")[0].rpartition("/")[0] if pattern else path.rstrip("/")
    slices: dict[str, list[dict[str, Any]]] = {}
    for name, info in sorted(listed.items()):
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in DICOM_SUFFIXES:
            slices.setdefault(name.rpartition("/")[0], []).append(info)
        elif image_suffix(Path(name)) or suffix == ".zip":
            relative = name.removeprefix(root).lstrip("/") or PurePosixPath(name).name
            yield _Found(full_uri(system, name), relative, identity=_remote_identity([info]))
    for folder, infos in slices.items():
        relative = folder.removeprefix(root).lstrip("/") or PurePosixPath(folder).name
        yield _Found(full_uri(system, folder), relative, identity=_remote_identity(infos))


def _remote_identity(infos: Iterable[dict[str, Any]]) -> str:
    parts = [f"{info.get('size')}:{info.get('ETag') or info.get('etag') or info.get('created')}" for info in infos]
    return parts[0] if len(parts) == 1 else hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _identity(uri: str) -> str:
    """Sizes and times of a scan's files, so that a changed scan is noticed without reading it; "" if it is missing."""
    if is_remote(uri):
        return ""
    path = local_path(uri)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    try:
        facts = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    except OSError:
        return ""
    if len(facts) == 1:
        return f"{facts[0][1]}:{facts[0][2]}"
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _with_ids(found: list[_Found]) -> dict[str, _Found]:
    """An id for each: its name without the ending, with it where two would share one, numbered where that is not
    enough. Ids of a CSV file are taken as they are."""
    alone = [scan.uri for scan in found if not scan.name and not scan.id]
    common = (
        os.path.commonpath([os.path.dirname(uri) for uri in alone]) if alone and not any(map(is_remote, alone)) else ""
    )
    named = [scan if scan.name or scan.id else replace(scan, name=_name_of(scan.uri, common)) for scan in found]
    short = [scan.id or _without_ending(scan.name) for scan in named]
    shared = {name for name, count in Counter(short).items() if count > 1}
    ids: dict[str, _Found] = {}
    for scan, name in sorted(zip(named, short, strict=True), key=lambda pair: (pair[1], pair[0].uri)):
        if scan.id and name in shared:
            raise InputError(f"id {scan.id!r} belongs to {short.count(name)} scans; give each scan its own")
        base = scan.name if name in shared else name
        case_id, number = base, 2
        while case_id in ids:
            case_id, number = f"{base}-{number}", number + 1
        ids[_checked(case_id)] = scan
    return ids


def _name_of(uri: str, common: str) -> str:
    return os.path.relpath(uri, common).replace(os.sep, "/") if common else PurePosixPath(uri).name


def _without_ending(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(scan_name(Path(path.name))))


def _checked(case_id: str) -> str:
    parts = PurePosixPath(case_id).parts
    if not parts or case_id.startswith("/") or ".." in parts or "\\" in case_id or not case_id.isprintable():
        raise InputError(f"id {case_id!r} cannot name a result; use letters, digits and / between folders")
    return case_id
