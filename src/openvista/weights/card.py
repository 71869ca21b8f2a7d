"""The card of a model: what it is, what it knows, where it came from, which weights are its. Needs no torch."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openvista._version import __version__
from openvista.anatomy.catalogue import LAST_OFFICIAL_ID, ONE_PIECE_IDS
from openvista.anatomy.ctmr import EVERYTHING, FAMILY, known_modality
from openvista.anatomy.vocabulary import Vocabulary
from openvista.errors import ModelError, OutputError
from openvista.plausibility import ClassRanges, Plausibility

if TYPE_CHECKING:
    from openvista.network.presets import Family, Preset

CARD_FILE = "card.json"
PICKLES = (".pt", ".pth", ".ckpt")
SAFETENSORS = ".safetensors"
"""What weights files are called."""
_BRANCHES = ("automatic", "point")
_FAMILIES = ("ct", FAMILY)
_NEWER: Mapping[str, Any] = {"challenge": {}, "ranges": {}, "family": "ct"}
"""Fields that a card leaves out where they are as usual, so that versions that do not know them read it."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What ``card.json`` says.

    Attributes:
        name: what users call the model.
        filters, blocks_per_level, window, spacing, hu_window, class_rows, last_supported_class, branches, family:
            the preset's fields, see :class:`openvista.network.Preset` (window in voxels, spacing in mm, X Y Z).
        classes: official class ids (1..132) the model was trained on.
        extra_classes: own class ids (above 132) and their names.
        extra_aliases: further names for any of these ids: {id: (name, ...)}.
        one_piece: those of ``extra_classes`` that are one connected thing in the body (a brainstem, not ribs).
        challenge: how images of the CVPR 2025 challenge are shown to a model that was trained on them: "percentiles" of
            the grey values that become the ends of ``hu_window``, and whether to "resample" them to ``spacing``
            ("never", "auto", "always"); empty for other models.
        ranges: what training saw of each class, see :class:`openvista.plausibility.ClassRanges`; empty where nobody
            knows, as for official weights.
        licence: of the weights.
        provenance: free form: data, recipe, command, origin.
        metrics: free form: what was measured, on what.
        weights_sha256: of the weights file, in hex; written by ``save_model``.
        created_with: version of OpenVISTA that wrote the card.

    Raises:
        ModelError: a field is missing, unknown or impossible.
    """

    name: str
    filters: int
    blocks_per_level: tuple[int, ...]
    window: tuple[int, int, int]
    spacing: tuple[float, float, float]
    hu_window: tuple[float, float]
    class_rows: int
    last_supported_class: int
    branches: tuple[str, ...]
    family: "Family" = "ct"
    classes: tuple[int, ...] = ()
    extra_classes: Mapping[int, str] = field(default_factory=dict)
    extra_aliases: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    one_piece: tuple[int, ...] = ()
    challenge: Mapping[str, Any] = field(default_factory=dict)
    ranges: Mapping[int, ClassRanges] = field(default_factory=dict)
    licence: str = "not stated"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""
    created_with: str = __version__

    def __post_init__(self) -> None:
        check_name(self.name)
        levels = len(self.blocks_per_level)
        _require(self.filters > 0, "filters", self.filters, "a positive number")
        _require(levels > 0 and min(self.blocks_per_level) > 0, "blocks_per_level", self.blocks_per_level, "positive")
        multiple = 2 ** (levels - 1)
        fits = len(self.window) == 3 and all(side > 0 and side % multiple == 0 for side in self.window)
        _require(fits, "window", self.window, f"three multiples of {multiple}")
        _require(len(self.spacing) == 3 and min(self.spacing) > 0, "spacing", self.spacing, "three positive mm")
        rising = len(self.hu_window) == 2 and self.hu_window[0] < self.hu_window[1]
        _require(rising, "hu_window", self.hu_window, "a lower and a higher HU")
        known = bool(self.branches) and set(self.branches) <= set(_BRANCHES)
        _require(known, "branches", self.branches, f"some of {', '.join(_BRANCHES)}")
        _require(self.family in _FAMILIES, "family", self.family, f"one of {', '.join(_FAMILIES)}")
        clicks = self.family == FAMILY and "point" in self.branches
        _require(not clicks, "branches", self.branches, "automatic alone: its training left clicks out")
        self._check_classes()
        self._check_challenge()

    def _check_challenge(self) -> None:
        low, high = self.challenge.get("percentiles", (1, 99))
        known = set(self.challenge) <= {"percentiles", "resample"} and 0 <= low < high <= 100
        known = known and self.challenge.get("resample", "auto") in ("never", "auto", "always")
        _require(known, "challenge", dict(self.challenge), "two percentiles, and resample: never, auto or always")

    def _check_classes(self) -> None:
        official = all(0 < id_ <= LAST_OFFICIAL_ID for id_ in self.classes)
        _require(official, "classes", self.classes, f"ids 1..{LAST_OFFICIAL_ID}")
        own = all(LAST_OFFICIAL_ID < id_ < self.class_rows for id_ in self.extra_classes)
        limits = f"ids {LAST_OFFICIAL_ID + 1}..{self.class_rows - 1}"
        _require(own, "extra_classes", tuple(self.extra_classes), limits)
        known = set(self.class_ids)
        aliases = all(id_ in known for id_ in self.extra_aliases)
        _require(aliases, "extra_aliases", dict(self.extra_aliases), "names of ids the model knows")
        _require(set(self.one_piece) <= set(self.extra_classes), "one_piece", self.one_piece, "ids of extra_classes")
        _require(set(self.ranges) <= known, "ranges", tuple(self.ranges), "of ids the model knows")

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Every id the model answers to as a class prompt, rising."""
        return tuple(sorted({*self.classes, *self.extra_classes}))

    def vocabulary(self, modality: str | None = None) -> Vocabulary:
        """The classes that the model knows, by any of their names.

        Args:
            modality: of family "ctmr", what "all" is for: one of :data:`openvista.anatomy.ctmr.MODALITIES`.

        Raises:
            AnatomyError: one of its own has an unusable name, or that of another class.
            ModelError: a modality for a model that knows CT alone.
            InputError: there is no such modality.
        """
        everything: Sequence[int] | None = None
        if self.family == FAMILY:
            everything = EVERYTHING[known_modality(modality)] if modality else ()
        elif modality:
            raise ModelError(f"model {self.name!r} knows CT alone: leave the modality {modality!r} out")
        return Vocabulary(
            self.class_ids, self.extra_classes, self.extra_aliases, model_name=self.name, everything=everything
        )

    @property
    def one_piece_ids(self) -> frozenset[int]:
        """Classes that are one connected thing: the official ones, and the model's own that say so."""
        return frozenset((*ONE_PIECE_IDS, *self.one_piece))

    @property
    def plausibility(self) -> Plausibility | None:
        """What is likely of the structures it finds; ``None`` where the card has no ranges."""
        return Plausibility(self.ranges, self.hu_window) if self.ranges else None

    @classmethod
    def from_preset(cls, preset: "Preset", *, name: str | None = None, **rest: Any) -> "ModelCard":
        """The card of a network of this preset; ``rest`` are the other fields of the card."""
        sizes = {key: value for key, value in asdict(preset).items() if key != "name"}
        return cls(name=preset.name if name is None else name, **sizes, **_cleaned(rest))

    def preset(self) -> "Preset":
        """The preset to build the network with."""
        from openvista.network.presets import Preset  # here, because the package openvista.network needs torch

        return Preset(**{spec.name: getattr(self, spec.name) for spec in fields(Preset)})

    def with_weights(self, sha256: str) -> "ModelCard":
        """The same card for a weights file with this checksum, written by this version."""
        return replace(self, weights_sha256=sha256, created_with=__version__)

    def to_json(self) -> str:
        """The text of ``card.json``; :meth:`from_json` gives the same card back."""
        content = asdict(self)
        for field_, usual in _NEWER.items():
            if content[field_] == usual:
                del content[field_]
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """A card from the text of ``card.json``.

        Raises:
            ModelError: not JSON, or a field is missing, unknown or impossible.
        """
        try:
            content = json.loads(text)
        except ValueError as error:
            raise ModelError(f"not JSON ({error})") from None
        if not isinstance(content, dict):
            raise ModelError(f"a card is a JSON object, not a {type(content).__name__}")
        names = {spec.name for spec in fields(cls)}
        needed = {spec.name for spec in fields(cls) if spec.default is MISSING and spec.default_factory is MISSING}
        if unknown := sorted(set(content) - names):
            raise ModelError(f"unknown field {unknown[0]!r}")
        if missing := sorted(needed - set(content)):
            raise ModelError(f"field {missing[0]!r} is missing")
        try:
            return cls(**_cleaned(content))
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"a field has the wrong type ({error})") from None


def check_name(name: str) -> str:
    """The name itself, if it can name a model and a folder.

    Raises:
        ModelError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(f"{name!r} cannot name a model: use letters, digits, dot, dash and underscore")
    return name


def as_name(text: str, otherwise: str) -> str:
    """A text without what no name of a model can have; ``otherwise`` where nothing is left of it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-_")[:64] or otherwise


def read_card(path: Path) -> ModelCard:
    """Read and check a ``card.json``.

    Raises:
        ModelError: it cannot be read or is not a valid card.
    """
    try:
        return ModelCard.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read the model card {path}: {error}") from None
    except ModelError as error:
        raise ModelError(f"{path} is not a valid model card: {error}; import the model again") from None


def write_card(card: ModelCard, path: Path) -> None:
    """Write ``card.json``; the old one stays until the new one is complete.

    Raises:
        OutputError: it cannot be written there.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(card.to_json(), encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise ModelError(f"{name} of a model card must be {expected}, not {value!r}")


def _cleaned(content: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has neither tuples nor integer keys: give both back."""
    cleaned: dict[str, Any] = dict(content)
    for key, value in content.items():
        if key in ("classes", "blocks_per_level", "window", "one_piece"):
            cleaned[key] = tuple(int(item) for item in value)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            cleaned[key] = tuple(value)
    if "extra_classes" in content:
        cleaned["extra_classes"] = {int(id_): str(name) for id_, name in content["extra_classes"].items()}
    if "ranges" in content:
        cleaned["ranges"] = {int(id_): _class_ranges(one) for id_, one in content["ranges"].items()}
    if "extra_aliases" in content:
        cleaned["extra_aliases"] = {int(id_): _names(names) for id_, names in content["extra_aliases"].items()}
    return cleaned


def _class_ranges(content: ClassRanges | Mapping[str, Any]) -> ClassRanges:
    return content if isinstance(content, ClassRanges) else ClassRanges.parsed(content)


def _names(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise ModelError(f"aliases are a list of names, not {names!r}")
    return tuple(str(name) for name in names)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
