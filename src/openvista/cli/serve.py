"""``openvista serve``: the viewer and the APIs, on this machine or for others."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from openvista.cli.options import PRECISION, Quiet, Verbose, model_option
from openvista.errors import MissingExtraError

Host = Annotated[
    str | None,
    typer.Option(help="Address to listen on. Default: 127.0.0.1, this machine only; 0.0.0.0 for everyone."),
]
Models = Annotated[
    list[str] | None, model_option("Name or folder; repeatable, the first is the default. Default: starter.")
]
Devices = Annotated[
    list[str] | None,
    typer.Option("-d", "--device", help="auto, cpu, cuda, cuda:1, mps; repeatable, a queue for each."),
]
Token = Annotated[
    str | None,
    typer.Option(
        help="Whoever has it may ask. Better in the environment: OPENVISTA_SERVE_TOKEN. Without one, a server for "
        "others makes its own and prints it once."
    ),
]
Roots = Annotated[
    list[Path] | None, typer.Option(help="Folder whose scans may be opened by path; repeatable. Default: none.")
]
Datastore = Annotated[
    Path | None,
    typer.Option(help="Folder of images and labels for MONAI Label's clients, shared by all who may ask."),
]
Dicomweb = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="A PACS (DICOMweb) whose series MONAI Label's clients, such as OHIF, know by their UIDs; user and "
        "password or token come from the environment.",
    ),
]
State = Annotated[
    Path | None, typer.Option(help="Folder for uploaded scans and sessions. Default: in the cache folder.")
]
AllowedHosts = Annotated[
    list[str] | None, typer.Option(help="Name under which browsers reach this server; repeatable.")
]
PublicUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="What browsers see behind a proxy, such as https://ct.hospital.example/openvista."
    ),
]
CorsOrigins = Annotated[
    list[str] | None, typer.Option(help="Web page that may ask, such as http://ohif.example:3000; repeatable.")
]
UrlHosts = Annotated[
    list[str] | None,
    typer.Option(help='Host that scans may be fetched from, such as "*.example.org"; repeatable. Default: none.'),
]
UrlPrivate = Annotated[
    bool, typer.Option("--url-private", help="Fetch from private addresses as well, such as this machine.")
]
Train = Annotated[
    bool, typer.Option("--train", help="Let MONAI Label's clients fine-tune on the final labels of --datastore.")
]
SessionMemory = Annotated[
    int | None, typer.Option(help="Memory for open sessions; what is over goes to disk. Default: 6144.")
]


def serve(
    host: Host = None,
    port: Annotated[int | None, typer.Option(help="Default: 8000. 0 for any free one.")] = None,
    model: Models = None,
    device: Devices = None,
    precision: Annotated[str | None, PRECISION] = None,
    token: Token = None,
    root: Roots = None,
    datastore: Datastore = None,
    dicomweb: Dicomweb = None,
    state: State = None,
    allowed_host: AllowedHosts = None,
    public_url: PublicUrl = None,
    cors_origin: CorsOrigins = None,
    url_host: UrlHosts = None,
    url_private: UrlPrivate = False,
    upload_mb: Annotated[int | None, typer.Option(help="Largest upload. Default: 2048.")] = None,
    session_memory_mb: SessionMemory = None,
    train: Train = False,
    once: Annotated[bool, typer.Option("--no-restart", help="Do not start again when the server dies.")] = False,
    port_letter: Annotated[int | None, typer.Option("-p", hidden=True)] = None,  # elsewhere -p is --profile
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Serve the viewer and four APIs on one port: ours, NVIDIA's VISTA-3D NIM, MONAI Label's (3D Slicer, OHIF), and
    nnInteractive's (napari).

    Open the printed address in a browser. Scans and sessions outlive the server. Clients of nnInteractive take
    http://127.0.0.1:8000/nninteractive as server, and the token as API key. Every option can also be set in the
    environment: OPENVISTA_SERVE_PORT=9000, OPENVISTA_SERVE_ROOTS=/data/ct,/data/other. More limits are
    there only: voxels, sessions, queue, seconds. docs/serving.md names them, and has examples for every client.

    Examples:

      openvista serve

      openvista serve --root /data/ct

      openvista serve --datastore /data/annotations --train

      openvista serve --dicomweb https://pacs.example/dicom-web

      OPENVISTA_SERVE_TOKEN=... openvista serve --public-url https://ct.hospital.example/openvista

      openvista serve -m vista3d -d cuda:0 -d cuda:1
    """
    try:
        from openvista.serve import run
        from openvista.serve.settings import make_settings
    except ImportError as error:
        raise MissingExtraError(error.name or "fastapi", "serve", "run the server") from None

    settings = make_settings(
        host=host,
        port=port_letter if port is None else port,
        models=_some(model),
        devices=_some(device),
        precision=precision,
        token=token,
        roots=_some(root),
        datastore=datastore,
        dicomweb=dicomweb,
        state=state,
        allowed_hosts=_some(allowed_host),
        public_url=public_url,
        cors_origins=_some(cors_origin),
        url_hosts=_some(url_host),
        url_private=url_private or None,
        upload_mb=upload_mb,
        session_memory_mb=session_memory_mb,
        train=train or None,
    )
    settings = run.with_token(settings)
    level = -1 if quiet else verbose
    run.set_up_logging(level)
    run.check(settings)
    listener = run.listen(settings)
    print(f"OpenVISTA is at {run.address_of(listener, settings)}", flush=True)
    if public := run.public_address_of(settings):
        print(f"Browsers open {public}", flush=True)
    if once or not run.CAN_SUPERVISE:
        run.serve_here(settings, listener)
        return
    sys.exit(run.supervise(settings, listener, level))


def _some(values: list[str] | list[Path] | None) -> tuple[str | Path, ...] | None:
    return tuple(values) if values else None
