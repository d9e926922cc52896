"""Ports of the loopback that nobody listens on."""

import errno
import secrets
import socket

_FIRST, _BELOW = 12_000, 32_000
"""Below what Linux and macOS hand out by themselves: no outgoing connection takes such a port, not even while a server that is to
come back is away."""


def free_port() -> int:
    """A port that was free a moment ago, chosen at random, so that two callers do not get the same one."""
    while True:
        port = _FIRST + secrets.randbelow(_BELOW - _FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port
