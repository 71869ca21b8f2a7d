"""``openvista listen``: a DICOM node that segments what it is sent."""

import logging
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openvista.cli.options import Device, Precision, Quiet, Verbose
from openvista.errors import InputError
from openvista.io.atomic import claim_folder
from openvista.pacs.node import Node, NodeSettings, TlsFiles, parse_peer
from openvista.pacs.queue import OVER, SeriesQueue, SeriesState
from openvista.pacs.rules import read_rules
from openvista.weights.registry import home_folder

if TYPE_CHECKING:
    from openvista.pacs.work import Worker

Titles = Annotated[list[str] | None, typer.Option(help="AE title that may send; repeatable. Default: any.")]
Peers = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ADDRESS", help="Address or network that may send: 10.1.2.3, 10.1.0.0/16; repeatable. Default: any."
    ),
]


def listen(
    rules: Annotated[Path, typer.Argument(metavar="RULES.yaml", help="What to do with which series; see below.")],
    title: Annotated[str, typer.Option("--title", help="AE title under which senders know this node.")] = "OPENVISTA",
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for other machines, with --allow-peer.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 11112,
    allow_title: Titles = None,
    allow_peer: Peers = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="PEM", help="Take TLS only: this node's certificate.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="PEM", help="Its private key.")] = None,
    tls_ca: Annotated[
        Path | None, typer.Option("--tls-ca", metavar="PEM", help="Senders must have a certificate of this authority.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder for what has come and is not sent. Default: in the cache folder.")
    ] = None,
    quiet_seconds: Annotated[
        float, typer.Option(min=0, help="A series is complete when no image of it has come for so long.")
    ] = 30,
    disk_gb: Annotated[float, typer.Option(min=0, help="Most that the folder may hold; more is refused.")] = 20,
    keep_minutes: Annotated[
        float, typer.Option(min=0, help="How long images stay when their results are sent, for late slices.")
    ] = 60,
    retry_seconds: Annotated[
        float, typer.Option(min=1, help="Until the second try to send; later tries take twice as long each.")
    ] = 30,
    device: Device = "auto",
    precision: Precision = "auto",
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Be a DICOM node: take series by C-STORE, segment them by rules, send the results on.

    Point a scanner or a PACS at this node (C-ECHO works). When no image of a series has come for --quiet-seconds, the
    first rule that fits is obeyed. Results go by C-STORE or DICOMweb, and are sent again until they arrive. What was
    acknowledged survives a kill: start again with the same --state. Logs hold no names, ids, dates or descriptions.

    A file of rules (docs/pacs.md explains every key):

      destinations:
        archive: {title: PACS, host: pacs.example, port: 104}
        web: {dicomweb: "https://pacs.example/dicom-web"}

      rules:
        - name: thorax
          when: {modality: CT, body_part: CHEST, description: "*lung*"}
          model: vista3d
          classes: lung
          formats: dicom-seg
          send_to: archive

    Examples:

      openvista listen rules.yaml

      openvista listen rules.yaml --host 0.0.0.0 --port 104 --allow-peer 10.1.2.3 --allow-title PACS

      openvista listen rules.yaml --port 2762 --tls-cert node.pem --tls-key node.key --tls-ca hospital.pem
    """
    from openvista.pacs.work import Worker, WorkSettings

    _set_up_logging(-1 if quiet else verbose)
    peers = tuple(map(parse_peer, allow_peer or ()))
    settings = NodeSettings(title, host, port, tuple(allow_title or ()), peers, _tls(tls_cert, tls_key, tls_ca))
    work = WorkSettings(title, device, precision, retry_seconds=retry_seconds, keep_minutes=keep_minutes)
    obeyed = read_rules(rules)
    folder = state or home_folder() / "listen"
    claim = claim_folder(folder)
    queue = SeriesQueue(folder, int(disk_gb * (1 << 30)), quiet_seconds)
    worker = Worker(queue, obeyed, work)
    worker.check_rules()
    node = Node(settings, queue)
    port = node.start()
    print(f"OpenVISTA listens as {title} on {host}:{port}{' with TLS' if settings.tls else ''}", flush=True)
    if waiting := len(queue) - queue.count(*OVER):
        print(f"{waiting} series of an earlier run go on", flush=True)
    _run(worker)
    node.stop()
    left = queue.count(SeriesState.RECEIVING, SeriesState.SEGMENTING, SeriesState.SENDING)
    claim.release()
    print(f"stopped; {left} series go on at the next start", flush=True)


def _tls(certificate: Path | None, key: Path | None, authority: Path | None) -> TlsFiles | None:
    if certificate is None and key is None and authority is None:
        return None
    if certificate is None or key is None:
        raise InputError("TLS needs --tls-cert and --tls-key; --tls-ca is for the certificates of senders")
    return TlsFiles(certificate, key, authority)


def _run(worker: "Worker") -> None:
    """Until SIGTERM or Ctrl-C."""
    stopped = threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        worker.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    thread = threading.Thread(target=worker.run, name="worker")
    thread.start()
    while thread.is_alive():
        thread.join(0.2)  # a join without an end would keep signals waiting
    if not stopped.is_set():
        sys.exit(1)  # its traceback is on standard error


def _set_up_logging(level: int) -> None:
    """One line per event. What libraries say can hold what identifies patients: only errors of theirs, if any."""
    logging.basicConfig(
        level=logging.ERROR, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr, force=True
    )
    for name in ("pydicom", "pynetdicom", "highdicom", "py.warnings"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("openvista.pacs").setLevel([logging.INFO, logging.DEBUG][min(level, 1)] if level >= 0 else 40)
