"""Processes that end when the one that started them does, killed or not."""

import os
import signal
import sys
import threading


def stop_with_parent() -> None:
    """Stop as if told to (SIGTERM) once our parent is gone, whatever became of it.

    The parent holds the other end of our standard input, which ends with it; nobody else may read from there.
    """
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
