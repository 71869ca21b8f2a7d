"""The worker of a server: ``python -m openvista.serve.worker``, settings on standard input. Started by ``run``."""

import json
import logging
import os
import socket
import sys
from typing import Any

from openvista.errors import OpenVistaError
from openvista.serve.parent import stop_with_parent
from openvista.serve.run import serve_here, set_up_logging
from openvista.serve.settings import make_settings

logger = logging.getLogger(__name__)


def main() -> int:
    """Serve until a signal comes, or whoever started us is gone."""
    os.umask(0o077)
    message: dict[str, Any] = json.loads(sys.stdin.readline())
    set_up_logging(message["verbose"])
    stop_with_parent()
    try:
        serve_here(make_settings(**message["settings"]), socket.socket(fileno=message["fd"]))
    except OpenVistaError as error:
        logger.error("%s", error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
