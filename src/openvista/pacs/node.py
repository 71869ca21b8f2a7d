"""A DICOM node that takes images: C-ECHO and C-STORE of every storage class, from those who may send."""

import ipaddress
import logging
import re
import time
from dataclasses import dataclass
from io import BytesIO
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
class NodeSettings:
    """How the node is reached.

    Attributes:
        title: its AE title.
        host, port: where it listens; port 0 for any free one.
        titles: AE titles that may send; everyone if empty.
        peers: addresses that may connect; everyone if empty.
    """

    title: str = "OPENVISTA"
    host: str = "127.0.0.1"
    port: int = 11112
    titles: tuple[str, ...] = ()
    peers: tuple[Network, ...] = ()

    def __post_init__(self) -> None:
        for title in (self.title, *self.titles):
            if not title.isascii() or not title.isprintable() or "\\" in title or not 1 <= len(title.strip()) <= 16:
                raise InputError(f"{title!r} is no AE title: it has 1 to 16 letters, digits and blanks")
        if not self.peers and not self.is_local:
            raise InputError(
                f"on {self.host} other machines can send: name those that may, with --allow-peer ADDRESS or NETWORK"
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
            InputError: the address cannot be used, or is taken.
        """
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._check_peer),
            (evt.EVT_C_ECHO, lambda event: _SUCCESS),
            (evt.EVT_C_STORE, self._store),
        ]
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            self._server = self._ae.start_server(
                (self._settings.host, self._settings.port), block=False, evt_handlers=handlers
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
