"""``openvista mcp``: tools for programs that talk to a language model."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from openvista.cli.console import set_up_logging
from openvista.cli.main import Interrupted
from openvista.cli.options import Device, ModelName, Precision, Quiet, Verbose
from openvista.errors import needs_extra

Roots = Annotated[
    list[Path] | None,
    typer.Option("--root", metavar="FOLDER", help="May be read and written in; repeatable. Nothing outside may."),
]


def mcp(
    root: Roots = None,
    http: Annotated[
        bool, typer.Option("--http", help="Streamable HTTP on 127.0.0.1, at /mcp. Default: standard input and output.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="With --http.")] = 8765,
    model: ModelName = "starter",
    device: Device = "auto",
    precision: Precision = "auto",
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Be a server of the Model Context Protocol: agents list classes, segment, click, measure, export and look.

    Usually a client starts it, by a line in the client's settings: docs/agents.md. Agents reach files below --root
    only; links are followed first. Four sessions can be open; one job runs at a time, eight wait. With --http,
    everybody on this machine can ask.

    Examples:

      openvista mcp --root /data/ct

      openvista mcp --root /data/ct --root /data/results --model vista3d

      openvista mcp --root /data/ct --http --port 8765
    """
    set_up_logging(verbose, quiet)
    with needs_extra("mcp", "mcp", "serve agents"):
        from openvista.agents.folders import Folders
        from openvista.agents.server import make_server
        from openvista.agents.turns import Turns

    folders = Folders.of(root or [])
    turns = Turns()
    try:
        server = make_server(folders, turns, model, device, precision)
        if http:
            print(f"OpenVISTA answers agents at http://127.0.0.1:{port}/mcp", flush=True)
            server.run("streamable-http", host="127.0.0.1", port=port)
        else:
            signal.signal(signal.SIGINT, lambda *_: threading.Thread(target=_stop, args=[turns.close]).start())
            server.run("stdio")
    except Interrupted:
        _stop(turns.close)
    finally:
        turns.close()


def _stop(finish: Callable[[], None]) -> None:
    """End the process, from any thread: the one that reads standard input wakes for nothing, and others wait for it."""
    finish()
    print("openvista: stopped; nothing half-written was left behind", file=sys.stderr, flush=True)
    os._exit(130)
