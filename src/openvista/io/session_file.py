"""Session files (``.ovsession``) and session logs (``.json``) on disk. What they mean is a session's matter.

A session file is a zip archive of ``manifest.json`` and arrays in NumPy's own format, ``arrays/<name>.npy``.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openvista.errors import SessionError
from openvista.io.atomic import replacing, write_text
from openvista.io.npy import DAMAGE, read_array, refuse_bomb

SESSION_SUFFIX = ".ovsession"
_MANIFEST = "manifest.json"
_LEVEL = 4
"""Of compression: logits hardly shrink further."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class SessionContents:
    """What a session file holds.

    Attributes:
        manifest: JSON object.
        arrays: by name.
    """

    manifest: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


def write_session(contents: SessionContents, path: str | Path) -> Path:
    """Write a session file, whole or not at all. Equal contents give equal files.

    Raises:
        OutputError: it cannot be written there.
    """
    path = Path(path)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        manifest = json.dumps(contents.manifest, ensure_ascii=False, indent=1).encode()
        archive.writestr(zipfile.ZipInfo(_MANIFEST, _EPOCH), manifest, zipfile.ZIP_DEFLATED, _LEVEL)
        for name, array in sorted(contents.arrays.items()):
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
            info = zipfile.ZipInfo(f"arrays/{name}.npy", _EPOCH)
            archive.writestr(info, stream.getvalue(), zipfile.ZIP_DEFLATED, _LEVEL)
    return path


def read_session(path: str | Path) -> SessionContents:
    """Read a session file.

    Raises:
        SessionError: it is missing, damaged, or something else.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_bomb(archive)
            manifest = json.loads(archive.read(_MANIFEST))
            names = [name for name in archive.namelist() if name.startswith("arrays/")]
            arrays = {name[len("arrays/") : -len(".npy")]: read_array(archive.read(name)) for name in names}
    except FileNotFoundError:
        raise SessionError(f"{path}: there is no such session file; check the path") from None
    except DAMAGE as error:
        raise SessionError(f"{path}: not a session file, or damaged ({error}); save the session again") from None
    if not isinstance(manifest, dict):
        raise SessionError(
            f"{path}: not a session file, or damaged (its manifest is no object); save the session again"
        )
    return SessionContents(manifest, arrays)


def write_log(log: Mapping[str, Any], path: str | Path) -> Path:
    """Write a session log as JSON, whole or not at all.

    Raises:
        OutputError: it cannot be written there.
    """
    path = Path(path)
    write_text(path, json.dumps(log, ensure_ascii=False, indent=1) + "\n")
    return path


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """The events of a log, or of a session file.

    Raises:
        SessionError: it is missing, damaged, or has no list of events.
    """
    path = Path(path)
    if path.suffix == SESSION_SUFFIX:
        content: Any = read_session(path).manifest
    else:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SessionError(f"{path}: there is no such log; check the path") from None
        except (OSError, ValueError) as error:
            raise SessionError(f"{path}: not a log in JSON ({error})") from None
    events = content.get("events") if isinstance(content, dict) else content
    if not isinstance(events, list) or not all(isinstance(event, dict) and "action" in event for event in events):
        raise SessionError(f"{path}: not a log: it needs a list 'events' of objects with an 'action'")
    return events
