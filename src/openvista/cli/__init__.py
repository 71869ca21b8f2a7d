"""The command line: parse, call, print. Nothing here computes anything."""

from openvista.cli.main import main

__all__ = ["main"]
