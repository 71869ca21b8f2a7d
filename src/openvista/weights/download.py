"""Official weights from the Hugging Face hub into the user's models folder.

The library huggingface_hub does the transfer: it resumes, honours proxies, and takes a mirror from ``HF_ENDPOINT``.
"""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

from openvista.errors import ModelError, OutputError, WeightsError, first_line
from openvista.weights.card import sha256_of
from openvista.weights.registry import ModelFolder, home_folder, models_folder
from openvista.weights.sources import OFFICIAL, HubModel

logger = logging.getLogger(__name__)

_TIMEOUT_S = 10


def official_source(name: str) -> HubModel:
    """Where an official model comes from, and its licence.

    Raises:
        ModelError: no such official model.
    """
    if name not in OFFICIAL:
        raise ModelError(f"no official model {name!r} to download: there is {', '.join(OFFICIAL)}")
    return OFFICIAL[name]


def download_model(
    name: str,
    *,
    accept_licence: bool,
    home: Path | None = None,
    revision: str = "main",
    overwrite: bool = False,
) -> ModelFolder:
    """Download an official model, check it, and import it under its name.

    An interrupted download goes on where it stopped. The card records the repository, the exact revision and the
    file's SHA-256, which must be the one the hub announces.

    Args:
        name: one of ``sources.OFFICIAL``.
        accept_licence: the user has read ``official_source(name).licence_text`` and accepts it.
        home: see :func:`openvista.weights.home_folder`.
        revision: branch, tag or commit of the repository.
        overwrite: replace the model if it is there already.

    Raises:
        ModelError: unknown name, licence not accepted, already there, or the hub cannot be reached.
        WeightsError: what came is not what was announced.
        OutputError: it cannot be stored.
    """
    source = official_source(name)
    if not accept_licence:
        raise ModelError(
            f"the licence of the weights of {name} is not accepted: read {source.page}, "
            f"then run `openvista models download {name} --accept-licence`"
        )
    if (models_folder(home) / name).exists() and not overwrite:
        raise ModelError(
            f"{name} is here already, in {models_folder(home) / name}: ask to overwrite it to get it again"
        )
    folder = home_folder(home) / "downloads" / name
    path, origin = _fetch(name, source, revision, folder)

    from openvista.weights.convert import import_checkpoint  # here, because it needs torch and fetching does not

    model = import_checkpoint(
        path,
        name,
        home,
        overwrite=overwrite,
        licence=source.licence,
        provenance={**origin, "page": source.page},
        family=source.family,
    )
    shutil.rmtree(folder, ignore_errors=True)
    return model


def _fetch(name: str, source: HubModel, revision: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """The weights file on this disk, and where it came from."""
    from huggingface_hub import HfApi, constants, hf_hub_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from None
    unreachable: tuple[type[BaseException], ...] = (OSError, *HfHubHTTPError.__bases__)
    try:
        # Asked first because it fails at once, where the download itself would retry for half a minute.
        info = HfApi().model_info(source.repository, revision=revision, files_metadata=True, timeout=_TIMEOUT_S)
        path = Path(hf_hub_download(source.repository, source.file, revision=info.sha, local_dir=folder))
    except GatedRepoError:
        raise ModelError(
            f"{source.page} asks you to log in and accept its terms: do so, set HF_TOKEN, and try again"
        ) from None
    except unreachable as error:
        raise ModelError(
            f"cannot get {source.repository} from {constants.ENDPOINT} ({first_line(error)}): check the connection or "
            "set HF_ENDPOINT to a mirror, or fetch the file elsewhere and run "
            f"`openvista models import FILE --name {name}`"
        ) from None
    announced = next(
        (file.lfs.sha256 for file in info.siblings or [] if file.rfilename == source.file and file.lfs), None
    )
    _check_announced(path, announced)
    return path, {"repository": source.repository, "revision": info.sha, "endpoint": constants.ENDPOINT}


def _check_announced(path: Path, announced: str | None) -> None:
    if announced is None:
        logger.warning("the hub announces no SHA-256 for %s: it could not be compared", path.name)
        return
    found = sha256_of(path)
    if found != announced:
        os.remove(path)
        raise WeightsError(
            f"the download of {path.name} is damaged: SHA-256 {found[:12]}..., announced {announced[:12]}...; try again"
        )
