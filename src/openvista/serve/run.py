"""Running a server: a parent that holds the port and starts a worker, again and again if the worker dies.

The parent loads nothing heavy and reads nothing that clients send. Since it holds the listening socket, clients that
come while the worker is away wait, then get 503 until the models are loaded, and go on: sessions are on disk.

Not by ``uvicorn.supervisors.Multiprocess``: it starts a worker that cannot start again and again, without end; when it
is killed its workers stay, and hold the port and the state folder; a second signal does not end a worker that drains;
and a worker that does not answer for five seconds, which a network can keep it from, is killed.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from openvista.errors import InputError
from openvista.serve.connections import bounded_protocol
from openvista.serve.ids import new_secret
from openvista.serve.settings import Settings

logger = logging.getLogger(__name__)

_BACKLOG = 256
_LASTING_SECONDS = 20.0
"""A worker that dies sooner than this has not got over its start."""
_MOST_SHORT_LIVES = 3
_CONCURRENT = 512
CAN_SUPERVISE = os.name == "posix"
"""Elsewhere a socket cannot be handed to a child like this."""


def listen(settings: Settings) -> socket.socket:
    """The listening socket.

    Raises:
        InputError: the address cannot be used, or is taken.
    """
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        # asyncio sends small answers at once (TCP_NODELAY) only where the socket says that it is TCP
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise InputError(f"cannot listen on {where}: {error.strerror}; choose another --host or --port") from None
    return listener


def address_of(listener: socket.socket, settings: Settings) -> str:
    """What to type into a browser, token included."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "localhost") else settings.host
    host = "[::1]" if host == "::" else f"[{host}]" if ":" in host else host
    return f"http://{host}:{listener.getsockname()[1]}/{_token_of(settings)}"


def public_address_of(settings: Settings) -> str | None:
    """The same where a proxy lies between."""
    return None if settings.public_url is None else f"{settings.public_url.rstrip('/')}/{_token_of(settings)}"


def _token_of(settings: Settings) -> str:
    return "" if settings.token is None else f"?token={settings.token.get_secret_value()}"


def supervise(settings: Settings, listener: socket.socket, verbose: int) -> int:
    """Run a worker until somebody stops us; start another when it dies.

    Returns:
        Exit status: 0 stopped, else that of a worker which never got over its start.
    """
    content = settings.model_dump(mode="json")  # the token included: for our own worker's pipe, never for a log
    content["token"] = None if settings.token is None else settings.token.get_secret_value()
    parent = _Parent(listener.fileno(), {"fd": listener.fileno(), "verbose": verbose, "settings": content})
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, parent.stop)
    return parent.run()


class _Parent:
    """Starts workers and passes signals on.

    Args:
        fd: of the listening socket.
        message: what a worker reads from its standard input.
    """

    def __init__(self, fd: int, message: dict[str, Any]) -> None:
        self._fd, self._message = fd, json.dumps(message).encode() + b"\n"
        self._worker: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        short_lives = 0
        while True:
            began = time.monotonic()
            status = self._live_once()
            if self._stopping:
                return 0 if status in (0, -signal.SIGTERM) else abs(status)
            short_lives = short_lives + 1 if time.monotonic() - began < _LASTING_SECONDS else 0
            if status == InputError.exit_code or short_lives >= _MOST_SHORT_LIVES:
                return abs(status) or 1
            logger.error("the worker ended with %d; starting another, sessions are on disk", status)

    def _live_once(self) -> int:
        """One worker's life; its exit status."""
        with subprocess.Popen(
            [sys.executable, "-m", "openvista.serve.worker"],
            stdin=subprocess.PIPE,
            pass_fds=(self._fd,),
            start_new_session=True,  # Ctrl-C comes to us, and the worker gets it from us once
        ) as worker:
            if worker.stdin is not None:  # kept open: when we are killed, the worker sees its end and stops
                worker.stdin.write(self._message)
                worker.stdin.flush()
            self._worker = worker
            if self._stopping:  # the signal came while it was started
                worker.terminate()
            try:
                return worker.wait()
            finally:
                self._worker = None

    def stop(self, *_: object) -> None:
        """Signal handler: the worker drains, and we wait for it; the second time it must end at once."""
        worker = self._worker
        if worker is not None:
            worker.send_signal(signal.SIGKILL if self._stopping else signal.SIGTERM)
        self._stopping = True


class DrainingServer(uvicorn.Server):
    """Refuses new questions from the moment it is told to stop, while those that run may finish.

    Args:
        config: of uvicorn.
        drain: called once, before anything else stops.
    """

    def __init__(self, config: uvicorn.Config, drain: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The signal handler."""
        self._drain()
        super().handle_exit(sig, frame)


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves an app of ours."""
    return uvicorn.Config(
        app,
        http=bounded_protocol(settings),
        log_config=None,
        access_log=False,  # it holds addresses with names in them; see observe.py
        lifespan="on",
        timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
        limit_concurrency=_CONCURRENT,
        server_header=False,
        proxy_headers=False,  # see public.py
    )


def serve_here(settings: Settings, listener: socket.socket) -> None:
    """Serve in this process, until a signal.

    Raises:
        InputError: settings that cannot work.
    """
    from openvista.serve.app import create_app

    app = create_app(settings)
    server = DrainingServer(server_config(app, settings), app.state.service.drain)
    server.run(sockets=[listener])


def with_token(settings: Settings) -> Settings:
    """The settings, with a new token where others can connect and none was given."""
    if settings.token is not None or (settings.local_only and settings.public_url is None):
        return settings
    return settings.model_copy(update={"token": SecretStr(new_secret())})


def check(settings: Settings) -> None:
    """Find out now what would go wrong in the worker.

    Raises:
        ModelError: a model is not there.
        InputError: a folder is not there, training has nothing to learn from, or the PACS has no address.
    """
    from openvista.pacs.dicomweb import DicomWeb
    from openvista.weights import find_model

    for name in settings.models:
        find_model(name)
    folders = [*settings.roots, *([settings.datastore] if settings.datastore else [])]
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: there is no such folder; make it first")
    if settings.dicomweb is not None:
        DicomWeb(settings.dicomweb)
    if settings.train and settings.datastore is None:
        raise InputError("--train learns from the labels of a datastore: give --datastore FOLDER as well")


def set_up_logging(verbose: int) -> None:
    """One line per request and event. The engine's own words can hold names that users gave: only its errors."""
    level = [logging.INFO, logging.DEBUG][min(verbose, 1)]
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr, force=True
    )
    logging.getLogger("openvista.serve").setLevel(level if verbose >= 0 else logging.ERROR)
    logging.getLogger("openvista.inference").setLevel(logging.ERROR)
    logging.getLogger("openvista.io").setLevel(logging.ERROR)
