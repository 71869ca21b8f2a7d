"""Everything that can be chosen about a server: on the command line, or as ``OPENVISTA_SERVE_*`` in the environment."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from openvista.errors import InputError
from openvista.weights.registry import home_folder

MEGABYTE = 1 << 20
_BYTES_PER_VOXEL = 14  # stored as float64, converted to float32, and a mask besides: the worst case of reading
_INTERPRETER_BYTES = 1 << 30  # Python with numpy, nibabel and SimpleITK: address space, not memory in use

Words = Annotated[tuple[str, ...], NoDecode]
Folders = Annotated[tuple[Path, ...], NoDecode]


class Settings(BaseSettings):
    """The choices. Lists in the environment are separated by commas.

    Attributes:
        host, port: where to listen; anything but this machine needs a token (one is made when none is given).
        token: who has it may ask.
        allowed_hosts: further names under which browsers reach this server, for the check against DNS rebinding.
        public_url: what browsers have in their address bar where a proxy lies between, such as
            ``https://ct.hospital.example/openvista``: its origin may send, cookies are secure, its path is taken off.
        trusted_proxies: addresses and networks of proxies whose ``X-Forwarded-For`` and ``-Proto`` are believed; with a
            public address and none named, this machine.
        cors_origins: web pages of other origins that may ask, such as ``http://ohif.example:3000``. Closed by default.
        models: names or folders, loaded once per device; the first is the default.
        devices: one queue each.
        state: folder for scans and sessions, readable by this user only.
        roots: folders whose files may be registered by path; none by default.
        datastore: folder of the MONAI Label interface, shared by everyone who may ask; off by default.
        dicomweb: address of a PACS's DICOMweb service, whose series the MONAI Label interface knows by their UIDs and
            passes on to OHIF. Credentials come from the environment, see :mod:`openvista.pacs.credentials`.
        url_hosts: host names (``*.example.org``) that scans may be fetched from; none, so off, by default.
        url_private: fetch from private and loopback addresses as well. For a file server beside this one.
        upload_mb, voxels: the largest upload, and the largest scan.
        parse_seconds, parse_memory_mb: limits of a process that reads untrusted files.
        parsers: how many of these there are; everybody has one at a time, so that nobody keeps all of them busy.
        header_seconds: a request's header must be there by then.
        body_seconds: its body must begin by then, and come at 64 kB/s from then on.
        peer_connections: open at the same time from one address.
        wrong_tokens: from one address in a minute, before it has to wait.
        scans, sessions: how many are kept in all, on disk.
        owner_scans, owner_sessions: how many of these are one user's; half of all, if others can connect.
        open_sessions, session_memory_mb: how many sessions, and how much of them, stay in memory.
        queue, queue_per_session: jobs that wait or run, per device and per session, before 429.
        idle_minutes: a session nobody asks goes to disk after this.
        keep_hours: a scan or session nobody asks is deleted after this.
        drain_seconds: what running jobs get to finish when the server is told to stop.
        train: let the MONAI Label interface start fine-tuning.
    """

    model_config = SettingsConfigDict(env_prefix="OPENVISTA_SERVE_", extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    token: SecretStr | None = None
    allowed_hosts: Words = ()
    public_url: str | None = None
    trusted_proxies: Annotated[tuple[str, ...] | None, NoDecode] = None
    cors_origins: Words = ()
    models: Words = ("starter",)
    devices: Words = ("auto",)
    precision: str = "auto"
    profile: str = "best"
    state: Path = Field(default_factory=lambda: home_folder() / "serve")
    roots: Folders = ()
    datastore: Path | None = None
    dicomweb: str | None = None
    url_hosts: Words = ()
    url_private: bool = False
    url_seconds: float = Field(120, gt=0)
    upload_mb: int = Field(2048, ge=1)
    voxels: int = Field(1 << 29, ge=1)
    parse_seconds: float = Field(180, gt=0)
    parse_memory_mb: int | None = Field(None, ge=512)
    parsers: int = Field(2, ge=1)
    header_seconds: float = Field(20, gt=0)
    body_seconds: float = Field(60, gt=0)
    peer_connections: int = Field(128, ge=1)
    wrong_tokens: int = Field(30, ge=1)
    scans: int = Field(64, ge=1)
    sessions: int = Field(128, ge=1)
    owner_scans: int | None = Field(None, ge=1)
    owner_sessions: int | None = Field(None, ge=1)
    open_sessions: int = Field(16, ge=1)
    session_memory_mb: int = Field(6144, ge=16)
    queue: int = Field(32, ge=1)
    queue_per_session: int = Field(4, ge=1)
    idle_minutes: float = Field(20, gt=0)
    keep_hours: float = Field(72, gt=0)
    drain_seconds: float = Field(60, ge=0)
    train: bool = False

    @field_validator(
        *("allowed_hosts", "trusted_proxies", "cors_origins", "models", "devices", "roots", "url_hosts"), mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("token", mode="after")
    @classmethod
    def _long_enough(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < 8:
            raise ValueError("a token needs at least 8 characters")
        return token

    @field_validator("public_url", mode="after")
    @classmethod
    def _is_address(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"https?://[^/?#\s@]+(/[^?#\s]*)?", url):
            raise ValueError("an address such as https://ct.hospital.example/openvista is needed")
        return url

    @field_validator("trusted_proxies", mode="after")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for each in value or ():
            ipaddress.ip_network(each, strict=False)  # its ValueError says what is wrong
        return value

    @field_validator("models", "devices", mode="after")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("at least one is needed")
        return value

    @property
    def public_path(self) -> str:
        """The path of the public address, without a slash at its end; "" for none."""
        return "" if self.public_url is None else urlsplit(self.public_url).path.rstrip("/")

    @property
    def proxies(self) -> tuple[str, ...]:
        """Whose word about the client counts."""
        if self.trusted_proxies is not None:
            return self.trusted_proxies
        return () if self.public_url is None else ("127.0.0.1", "::1")

    @property
    def secure(self) -> bool:
        """Whether browsers reach us by TLS."""
        return self.public_url is not None and self.public_url.startswith("https:")

    @property
    def most_owner_scans(self) -> int:
        """How many scans one user may keep."""
        return self.owner_scans or self._share_of(self.scans)

    @property
    def most_owner_sessions(self) -> int:
        """How many sessions one user may keep."""
        return self.owner_sessions or self._share_of(self.sessions)

    def _share_of(self, most: int) -> int:
        return most if self.local_only and self.public_url is None else max(1, most // 2)

    @property
    def upload_bytes(self) -> int:
        """The largest upload."""
        return self.upload_mb * MEGABYTE

    @property
    def parse_bytes(self) -> int:
        """Address space of the process that reads a file: what was set, or what the largest scan needs."""
        if self.parse_memory_mb is not None:
            return self.parse_memory_mb * MEGABYTE
        return self.voxels * _BYTES_PER_VOXEL + _INTERPRETER_BYTES

    @property
    def local_only(self) -> bool:
        """Whether nobody outside this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def make_settings(**choices: Any) -> Settings:
    """Settings from explicit choices, then the environment, then the defaults; ``None`` means not chosen.

    Raises:
        InputError: a value that cannot be; the message names it.
    """
    try:
        return Settings(**{key: value for key, value in choices.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise InputError(f"setting {name}: {first['msg']}; see openvista serve --help") from None
