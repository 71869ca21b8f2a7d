"""What to do with a series that arrives: a YAML file of rules, and where results go.

::

    destinations:
      archive: {title: PACS, host: pacs.example, port: 104}        # C-STORE
      web: {dicomweb: https://pacs.example/dicom-web}              # STOW-RS
    rules:                                                         # the first that fits is obeyed
      - name: thorax
        when: {modality: CT, body_part: [CHEST, THORAX], description: ["*lung*", "*thorax*"]}
        model: vista3d
        classes: [lung, heart]
        formats: [dicom-seg, dicom-rtstruct]
        send_to: [archive]
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from openvista.errors import InputError, RecipeError
from openvista.pacs.dicom_results import check_formats
from openvista.pacs.dicomweb import check_base
from openvista.train.yaml_keys import read_yaml_keys


class _Keys(BaseModel):
    """Keys of the file: unknown ones are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Destination(_Keys):
    """Where results go: a DICOM node, or a DICOMweb service.

    Attributes:
        title, host, port: of a node that takes C-STORE.
        dicomweb: address of a service that takes STOW-RS.
    """

    title: str = Field("", max_length=16)
    host: str = ""
    port: int = Field(104, ge=1, le=65535)
    dicomweb: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Destination":
        if (self.dicomweb is None) != bool(self.title and self.host):
            raise ValueError("give title, host and port of a DICOM node, or dicomweb, the address of a service")
        if self.dicomweb is not None:
            try:
                check_base(self.dicomweb)
            except InputError as error:
                raise ValueError(str(error)) from None
        return self


Patterns = tuple[str, ...]


class Condition(_Keys):
    """What a series must be. Each is one pattern or several, of which one must fit: ``*`` and ``?`` are placeholders,
    capitals do not matter. What is not given always fits.

    Attributes:
        modality: Modality.
        body_part: Body Part Examined.
        description: Series Description.
        sender: AE title of the node that sent it.
    """

    modality: Patterns = ("CT",)
    body_part: Patterns = ("*",)
    description: Patterns = ("*",)
    sender: Patterns = ("*",)

    @field_validator("*", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    def fits(self, facts: "SeriesFacts") -> bool:
        """Whether a series is meant."""
        pairs = (
            (self.modality, facts.modality),
            (self.body_part, facts.body_part),
            (self.description, facts.description),
            (self.sender, facts.sender),
        )
        return all(_one_fits(patterns, value) for patterns, value in pairs)


class SeriesFacts(_Keys):
    """What rules ask about a series.

    Attributes:
        modality, body_part, description: of its first instance; "" where missing.
        sender: AE title of the node that sent it.
    """

    modality: str = ""
    body_part: str = ""
    description: str = Field("", repr=False)
    sender: str = ""


class Rule(_Keys):
    """What to do with a series.

    Attributes:
        name: for logs.
        when: which series.
        model: name, folder or checkpoint file.
        classes: names or ids; all that the model knows if empty.
        profile: how to compute.
        fill_gaps: interpolate missing slices instead of refusing the series.
        formats: of results, see :data:`openvista.pacs.dicom_results.FORMATS`.
        send_to: names of destinations.
    """

    name: str = Field(min_length=1, max_length=64)
    when: Condition = Condition()
    model: str = "starter"
    classes: tuple[str | int, ...] = ()
    profile: str = "best"
    fill_gaps: bool = False
    formats: tuple[str, ...] = ("dicom-seg",)
    send_to: tuple[str, ...] = Field(min_length=1)

    @field_validator("classes", "formats", "send_to", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | int) else value

    @field_validator("formats")
    @classmethod
    def _can_be_stored(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("at least one is needed")
        try:
            return check_formats(value)
        except InputError as error:
            raise ValueError(str(error)) from None


class Rules(_Keys):
    """The whole file.

    Attributes:
        destinations: by name.
        rules: in order; the first that fits is obeyed.
    """

    destinations: dict[str, Destination] = Field(min_length=1)
    rules: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_known(self) -> "Rules":
        names = [rule.name for rule in self.rules]
        for rule in self.rules:
            if names.count(rule.name) > 1:
                raise ValueError(f"two rules are called {rule.name!r}")
            for name in rule.send_to:
                if name not in self.destinations:
                    known = ", ".join(self.destinations)
                    raise ValueError(f"rule {rule.name!r} sends to {name!r}, which is no destination; there is {known}")
        return self

    def rule_for(self, facts: SeriesFacts) -> Rule | None:
        """The first rule that fits a series."""
        return next((rule for rule in self.rules if rule.when.fits(facts)), None)


def read_rules(path: Path) -> Rules:
    """Read a file of rules.

    Raises:
        RecipeError: missing, not YAML, or wrong: one line for each mistake.
    """
    content = read_yaml_keys(path, "rules")
    try:
        return Rules.model_validate(content)
    except ValidationError as error:
        problems = [_problem(item) for item in error.errors()]
        raise RecipeError("\n".join(f"rules {path}: {problem}" for problem in problems)) from None


def _problem(item: Any) -> str:
    key = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        return f"unknown key {key!r}"
    text = str(item["msg"]).removeprefix("Value error, ")
    return f"{key}: {text}" if key else text


def _one_fits(patterns: Sequence[str], value: str) -> bool:
    return any(fnmatchcase(value.casefold(), pattern.casefold()) for pattern in patterns)
