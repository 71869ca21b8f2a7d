"""Prepared cases in a folder: read once, mapped into memory ever after, shared by all processes.

A case is found again by what it was made of: its files (path, size, time of change), spacing, HU window, and what the
run takes from its labels. Anything else is prepared anew.
"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from openvista.datalist import AnyCase, Case
from openvista.io.atomic import output_error
from openvista.network import Preset
from openvista.train.cases import KnownRange, LabelUse, TrainingCase

_LAYOUT = 2
"""Of the files in the folder, and how they are made of a case; raise it when either changes."""


def case_key(case: AnyCase, preset: Preset, use: LabelUse) -> str:
    """What a prepared case is called: a digest of everything it depends on."""
    label = case.label if isinstance(case, Case) else None
    content = {
        "layout": _LAYOUT,
        "files": [file_key(path) for path in (case.image, label, case.pseudo_label, case.supervoxels)],
        "annotated": sorted(case.annotated) if isinstance(case, Case) else [],
        "label_slices": sorted(case.label_slices.items()) if isinstance(case, Case) else [],
        "reliable": case.pseudo_label_reliable,
        "spacing": preset.spacing,
        "hu_window": preset.hu_window,
        "use": [sorted(use.classes.items()), sorted(use.range_limited), sorted(use.pseudo), use.supervoxels],
    }
    if use.absent:
        content["absent"] = sorted(use.absent)
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def cached_case(folder: Path, key: str, make: Callable[[], TrainingCase]) -> TrainingCase:
    """The case of this key: from the folder if it is there, else made and put there.

    Raises:
        OutputError: the folder cannot be written.
    """
    place = folder / key
    if not (place / "case.json").is_file():
        _write(make(), place)
    return _read(place)


def file_key(path: Path | None) -> list[Any]:
    """Path, size and time of change of a file, or of all below the folder of a series; nothing for ``None``."""
    if path is None:
        return []
    states = [file.stat() for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path.stat()]
    size, changed = sum(state.st_size for state in states), max((state.st_mtime_ns for state in states), default=0)
    return [str(path.resolve()), size, changed]


def _write(case: TrainingCase, place: Path) -> None:
    """Write a case in a folder of another name, which then takes its place: another process may do the same."""
    temporary = place.with_name(f".{secrets.token_hex(4)}-{place.name}")
    try:
        temporary.mkdir(parents=True)
        for name, array in _arrays(case).items():
            np.save(temporary / f"{name}.npy", array.numpy())
        about = {
            "name": case.name,
            "annotated": case.annotated,
            "known": {class_id: asdict(known) for class_id, known in case.known.items()},
            "spacing": case.spacing,
            "pseudo": sorted(case.pseudo),
        }
        (temporary / "case.json").write_text(json.dumps(about))
        if not place.exists():
            temporary.rename(place)
    except OSError as error:
        if not (place / "case.json").is_file():
            raise output_error(place, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _arrays(case: TrainingCase) -> dict[str, Tensor]:
    places = [torch.nn.functional.pad(found, (1, 0), value=class_id) for class_id, found in case.places.items()]
    arrays = {
        "image": case.image_XYZ,
        "labels": case.labels_XYZ,
        "places": torch.cat([torch.zeros(0, 4, dtype=torch.int16), *places]),
    }
    return arrays if case.supervoxels_XYZ is None else arrays | {"supervoxels": case.supervoxels_XYZ}


def _read(place: Path) -> TrainingCase:
    about = json.loads((place / "case.json").read_text())
    places_M4 = torch.from_numpy(np.load(place / "places.npy"))
    supervoxels = place / "supervoxels.npy"
    return TrainingCase(
        name=about["name"],
        image_XYZ=_mapped(place / "image.npy"),
        labels_XYZ=_mapped(place / "labels.npy"),
        annotated=tuple(about["annotated"]),
        known={int(class_id): KnownRange(**known) for class_id, known in about["known"].items()},
        spacing=tuple(about["spacing"]),
        supervoxels_XYZ=_mapped(supervoxels) if supervoxels.exists() else None,
        pseudo=frozenset(about["pseudo"]),
        places={class_id: places_M4[places_M4[:, 0] == class_id, 1:] for class_id in about["annotated"]},
    )


def _mapped(file: Path) -> Tensor:
    """A file as a tensor that is read when it is used."""
    return torch.from_numpy(np.load(file, mmap_mode="c"))
