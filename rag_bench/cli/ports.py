"""Ports that servers are started on: said to be taken before anything is loaded for them."""

from __future__ import annotations

import errno
import socket

from rag_bench.errors import ConfigurationError


def is_taken(host: str, port: int) -> bool:
    """Tell whether another program listens where a server is to be started.

    An address that cannot be bound to for another reason is left to the server to complain about.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def require_free(host: str, port: int) -> None:
    """Raise where a port is taken.

    Raises:
        ConfigurationError: another program listens there.
    """
    if is_taken(host, port):
        raise ConfigurationError(
            f"Port {port} of {host} is taken by another program, perhaps by this one in another "
            f"terminal. Stop it (`ss -ltnp` shows it), or choose another: --port {port + 1}"
        )
