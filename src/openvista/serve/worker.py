"""Processes of a server that end when it does.

``python -m openvista.serve.worker`` serves, with settings on standard input (started by ``run``); with arguments it is
a command of ``openvista``, such as ``finetune`` (started by MONAI Label's training).
"""

import json
import logging
import os
import runpy
import signal
import socket
import sys
import threading
from typing import Any

from openvista.errors import OpenVistaError
from openvista.serve.run import serve_here, set_up_logging
from openvista.serve.settings import make_settings

logger = logging.getLogger(__name__)


def _stop_with_parent() -> None:
    """Stop as if told to (SIGTERM) once our parent is gone, whatever became of it.

    The parent holds the other end of our standard input, which ends with it; nobody else may read from there.
    """

    def follow() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, daemon=True).start()


def serve() -> int:
    """Serve until a signal comes, or whoever started us is gone."""
    os.umask(0o077)
    message: dict[str, Any] = json.loads(sys.stdin.readline())
    set_up_logging(message["verbose"])
    _stop_with_parent()
    try:
        serve_here(make_settings(**message["settings"]), socket.socket(fileno=message["fd"]))
    except OpenVistaError as error:
        logger.error("%s", error)
        return error.exit_code
    return 0


def run_command() -> None:
    """The command of ``openvista`` that our arguments name."""
    _stop_with_parent()
    runpy.run_module("openvista", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run_command()
    else:
        sys.exit(serve())
