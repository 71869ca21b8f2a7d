"""Which models are on this machine, and where. Needs no torch, so that listing them is quick."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from openvista.errors import ModelError
from openvista.weights.card import CARD_FILE, PICKLES, SAFETENSORS, ModelCard, read_card
from openvista.weights.sources import OFFICIAL

logger = logging.getLogger(__name__)

WEIGHTS_FILE = "model.safetensors"
EMBEDDED = Path(__file__).parent / "starter"
"""The model that comes with the package."""


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk: a folder with ``card.json`` and ``model.safetensors``, or a checkpoint file as it is."""

    path: Path
    card: ModelCard

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.path if self.is_checkpoint else self.path / WEIGHTS_FILE

    @property
    def is_checkpoint(self) -> bool:
        """It is a checkpoint file of some naming, with a card that was made for it."""
        return self.path.suffix in (*PICKLES, SAFETENSORS) and self.path.is_file()

    @property
    def embedded(self) -> bool:
        """It came with the package."""
        return self.path == EMBEDDED


def home_folder(home: Path | None = None) -> Path:
    """Where OpenVISTA keeps downloaded and imported models.

    ``home`` if given, else the environment's ``OPENVISTA_HOME``, else the platform's cache folder.
    """
    if home is not None:
        return home
    if "OPENVISTA_HOME" in os.environ:
        return Path(os.environ["OPENVISTA_HOME"]).expanduser()
    return platformdirs.user_cache_path("openvista", appauthor=False, opinion=False)


def models_folder(home: Path | None = None) -> Path:
    """The folder of the user's models, one folder each."""
    return home_folder(home) / "models"


def open_folder(path: Path) -> ModelFolder:
    """The model in this folder; its weights are not read yet.

    Raises:
        ModelError: it has no valid card or no weights.
    """
    folder = ModelFolder(path, read_card(path / CARD_FILE))
    if not folder.weights.is_file():
        raise ModelError(f"{path} has a card but no {WEIGHTS_FILE}: import or download the model again")
    return folder


def available_models(home: Path | None = None) -> list[ModelFolder]:
    """The embedded model and the user's, sorted by name. A damaged one is left out with a warning."""
    try:
        candidates = sorted(path.parent for path in models_folder(home).glob(f"[!.]*/{CARD_FILE}"))
    except OSError as error:
        raise ModelError(f"cannot list the models in {models_folder(home)}: {error}") from None
    if (EMBEDDED / CARD_FILE).is_file():
        candidates.insert(0, EMBEDDED)
    found = []
    for path in candidates:
        try:
            found.append(open_folder(path))
        except ModelError as error:
            logger.warning("left out: %s", error)
    return found


def find_model(name_or_path: str | Path, home: Path | None = None) -> ModelFolder:
    """A model by the name of its folder or card, or by the path of its folder or of a checkpoint file.

    Raises:
        WeightsError: the file is not a usable checkpoint.
        ModelError: there is none; the message lists those that exist and says how to get an official one.
    """
    path = Path(name_or_path).expanduser()
    if (path / CARD_FILE).is_file():
        return open_folder(path)
    if path.is_file():
        if path.suffix not in (*PICKLES, SAFETENSORS):
            raise ModelError(f"{path} is a file, but no checkpoint, which ends in {', '.join((*PICKLES, SAFETENSORS))}")
        from openvista.weights.official import checkpoint_card  # needs torch, which listing models does without

        return ModelFolder(path, checkpoint_card(path))
    name = str(name_or_path)
    if name == EMBEDDED.name and (EMBEDDED / CARD_FILE).is_file():
        return open_folder(EMBEDDED)
    own = models_folder(home) / name
    if path.name == name and (own / CARD_FILE).is_file():
        return open_folder(own)
    for folder in available_models(home):
        if folder.card.name == name:
            return folder
    raise ModelError(_not_found(name, home))


def _not_found(name: str, home: Path | None) -> str:
    if name in OFFICIAL:
        return (
            f"the weights of {name} are not on this machine: run `openvista models download {name}`, "
            f"or `openvista models import FILE --name {name}` with a file you have"
        )
    here = ", ".join(folder.card.name for folder in available_models(home)) or "none"
    return (
        f"no model {name!r}: there is {here} here, and `openvista models download NAME` gets {', '.join(OFFICIAL)}; "
        "or give the path of a model folder or of a checkpoint file"
    )
