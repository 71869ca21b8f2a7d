"""A DICOM node that takes images: C-ECHO and C-STORE of every storage class, from those who may send."""

import ipaddress
import logging
import re
import socket
import ssl
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from openvista.errors import InputError, OutputError, needs_extra
from openvista.pacs.queue import QueueFull, SeriesQueue
from openvista.pacs.rules import SeriesFacts

with needs_extra("pynetdicom", "dicom", "be a DICOM node"):
    from pydicom import Dataset, dcmread
    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
    from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
    from pynetdicom.transport import ThreadedAssociationServer

logger = logging.getLogger(__name__)

_MOST_ASSOCIATIONS = 10
_SECONDS = 60
_STOP_SECONDS = 5.0
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "BodyPartExamined",
    "SeriesDescription",
]
# PS3.4 table B.2-1; PS3.7 annex C.5
_SUCCESS, _OUT_OF_RESOURCES, _DOES_NOT_MATCH, _NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
_CALLING_TITLE_UNKNOWN = (0x01, 0x01, 0x03)
"""Rejected permanently, by the service user, because of the calling AE title (PS3.8 table 9-21)."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class TlsFiles:
    """What a node needs to be reached by TLS (DICOM PS3.15, B.9); PEM files.

    Attributes:
        certificate: the node's own, and those that lead to its authority.
        key: its private key, without a password.
        authority: certificates of those who sign for senders; senders must then show one. ``None``: they need none.
    """

    certificate: Path
    key: Path
    authority: Path | None = None

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer.

        Raises:
            InputError: a file is missing, or is not what it should be.
        """
        for file in (self.certificate, self.key, self.authority):
            if file is not None and not file.is_file():
                raise InputError(f"{file}: there is no such file; TLS needs it")
        context = _HandshakeLater(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key, password="")  # "": else the terminal is asked
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise InputError(
                f"{self.certificate} and {self.key} are no certificate and its private key without a password "
                f"({reason}); give both as PEM"
            ) from None
        if self.authority is not None:
            try:
                context.load_verify_locations(self.authority)
            except (OSError, ValueError) as error:
                reason = getattr(error, "reason", None) or error
                raise InputError(f"{self.authority}: holds no certificates ({reason}); give them as PEM") from None
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class _HandshakeLater(ssl.SSLContext):
    """Shakes hands when the first bytes are read, in the association's own thread: pynetdicom would do it where it
    accepts connections, and a peer that says nothing would keep all others out."""

    def wrap_socket(self, sock: socket.socket, *args: Any, **choices: Any) -> ssl.SSLSocket:
        """As of the base, but without a handshake, and with an end to waiting."""
        sock.settimeout(_SECONDS)
        return super().wrap_socket(sock, *args, **choices | {"do_handshake_on_connect": False})


@dataclass(frozen=True)
class NodeSettings:
    """How the node is reached.

    Attributes:
        title: its AE title.
        host, port: where it listens; port 0 for any free one.
        titles: AE titles that may send; everyone if empty.
        peers: addresses that may connect; everyone if empty.
        tls: connections are encrypted, and no others are taken; ``None`` for plain ones.
    """

    title: str = "OPENVISTA"
    host: str = "127.0.0.1"
    port: int = 11112
    titles: tuple[str, ...] = ()
    peers: tuple[Network, ...] = ()
    tls: TlsFiles | None = None

    def __post_init__(self) -> None:
        for title in (self.title, *self.titles):
            if not title.isascii() or not title.isprintable() or "\\" in title or not 1 <= len(title.strip()) <= 16:
                raise InputError(f"{title!r} is no AE title: it has 1 to 16 letters, digits and blanks")
        known = self.tls is not None and self.tls.authority is not None
        if not self.peers and not self.is_local and not known:
            raise InputError(
                f"on {self.host} other machines can send: name those that may, with --allow-peer ADDRESS or NETWORK, "
                "or have them show certificates, with --tls-ca"
            )

    @property
    def is_local(self) -> bool:
        """Whether nobody outside this machine can connect."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def may_connect(self, address: str) -> bool:
        """Whether a peer's address is among those allowed."""
        ip = ipaddress.ip_address(address.split("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return not self.peers or any(ip in network for network in self.peers)


def parse_peer(text: str) -> Network:
    """An address or a network: ``10.1.2.3``, ``10.1.0.0/16``.

    Raises:
        InputError: it is neither.
    """
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise InputError(f"{text!r} is no address or network: write 10.1.2.3 or 10.1.0.0/16") from None


class Node:
    """The node: what arrives goes into the queue.

    Args:
        settings: how it is reached.
        queue: keeps what comes.
    """

    def __init__(self, settings: NodeSettings, queue: SeriesQueue) -> None:
        self._settings, self._queue = settings, queue
        self._ae = AE(settings.title)
        self._ae.maximum_associations = _MOST_ASSOCIATIONS
        self._ae.acse_timeout = self._ae.dimse_timeout = self._ae.network_timeout = _SECONDS
        self._ae.require_called_aet = True
        self._ae.require_calling_aet = list(settings.titles)
        self._ae.add_supported_context(Verification)
        for context in AllStoragePresentationContexts:
            self._ae.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
        self._server: ThreadedAssociationServer | None = None

    def start(self) -> int:
        """Begin to listen, in threads of its own.

        Returns:
            The port.

        Raises:
            InputError: the address cannot be used, or is taken; the files of TLS cannot be used.
        """
        context = self._settings.tls.context() if self._settings.tls else None
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._check_peer),
            (evt.EVT_C_ECHO, lambda event: _SUCCESS),
            (evt.EVT_C_STORE, self._store),
        ]
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            self._server = self._ae.start_server(
                (self._settings.host, self._settings.port), block=False, evt_handlers=handlers, ssl_context=context
            )
        except OSError as error:
            raise InputError(f"cannot listen on {where}: {error.strerror}; choose another --host or --port") from None
        return int(self._server.socket.getsockname()[1])  # type: ignore[union-attr]

    def stop(self) -> None:
        """Take no more associations; those there are get a few seconds to end, then they are aborted."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server = None
        end = time.monotonic() + _STOP_SECONDS
        while self._ae.active_associations and time.monotonic() < end:
            time.sleep(0.05)
        self._ae.shutdown()

    def _check_peer(self, event: evt.Event) -> None:
        requestor = event.assoc.requestor
        if not self._settings.may_connect(requestor.address or ""):
            logger.warning("refused an association from %s; see --allow-peer", requestor.address)
            event.assoc.acse.send_reject(*_CALLING_TITLE_UNKNOWN)
            event.assoc.kill()

    def _store(self, event: evt.Event) -> int:
        """Keep an image; the status of the answer."""
        try:
            content = event.encoded_dataset()
            header = dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=list(_TAGS))
            uid, sop_uid = str(header.get("SeriesInstanceUID", "")), str(header.get("SOPInstanceUID", ""))
        except Exception:  # noqa: BLE001  whatever a peer sends, it gets an answer; what is wrong with it may name patients
            logger.warning("an image that cannot be read was refused")
            return _NOT_UNDERSTOOD
        if not all(_UID.fullmatch(one) and len(one) <= 64 for one in (uid, sop_uid)):
            return _NOT_UNDERSTOOD
        if sop_uid != getattr(event.request, "AffectedSOPInstanceUID", None):
            return _DOES_NOT_MATCH
        try:
            self._queue.add(uid, sop_uid, _facts(header, event.assoc.requestor.ae_title), content)
        except QueueFull as error:
            logger.warning("an image was refused: %s", error)
            return _OUT_OF_RESOURCES
        except OutputError:
            logger.error("an image was refused: the queue's folder cannot be written")
            return _OUT_OF_RESOURCES
        return _SUCCESS


def _facts(header: Dataset, sender: str) -> SeriesFacts:
    def text(keyword: str) -> str:
        return str(header.get(keyword) or "").strip()

    return SeriesFacts(
        modality=text("Modality"),
        body_part=text("BodyPartExamined"),
        description=text("SeriesDescription"),
        sender=sender.strip(),
    )
