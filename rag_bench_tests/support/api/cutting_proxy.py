"""A TCP proxy that cuts connections, as networks between a client and a service do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class CuttingProxy:
    """Passes bytes on to ``port``; each of the first ``cuts`` connections ends after so many bytes
    of the answer. ``connections`` counts them.
    """

    def __init__(self, port: int, cuts: int, after: int) -> None:
        self._port, self._cuts, self._after = port, cuts, after
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            most = self._after if self.connections <= self._cuts else None
            server = socket.create_connection(("127.0.0.1", self._port))
            for source, target, limit in ((client, server, None), (server, client, most)):
                threading.Thread(target=_pass, args=(source, target, limit), daemon=True).start()


def _pass(source: socket.socket, target: socket.socket, most: int | None) -> None:
    passed = 0
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if most is not None and passed + len(data) > most:
                target.sendall(data[: most - passed])
                break
            target.sendall(data)
            passed += len(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def cutting(url: str, *, cuts: int, after: int) -> Iterator[CuttingProxy]:
    """Open a proxy before a service until the block ends."""
    proxy = CuttingProxy(int(url.rpartition(":")[2].rstrip("/")), cuts, after)
    try:
        yield proxy
    finally:
        proxy.close()
