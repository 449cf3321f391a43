"""The public keys of an identity provider: a JWKS (RFC 7517) of a file or an address."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from rag_bench.access.guard import Guard, GuardError
from rag_bench.errors import RagBenchError

if TYPE_CHECKING:
    from jwt import PyJWK

#: Seconds: how long keys of an address are used; how soon they are asked for again because a token
#: names one that is not there, or because they could not be had; how long old ones stand in for
#: those that cannot be had.
_FRESH, _AGAIN, _STALE = 600.0, 30.0, 3600.0


class JwksError(RagBenchError):
    """The public keys cannot be had."""


class KeySet:
    """The keys at ``source``, a path or an address, asked for when they are needed.

    One thread asks at a time; the others wait for it, as a token cannot be judged without keys.
    """

    def __init__(
        self, source: str, guard: Guard, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source, self._guard, self._clock = source, guard, clock
        self._lock = Lock()
        self._keys: list[PyJWK] = []
        self._got_at: float | None = None
        self._tried_at: float | None = None
        self._written_at: int | None = None

    def keys(self, kid: str | None) -> list[PyJWK]:
        """Return the keys of an id; without an id all of them.

        Raises:
            JwksError: they were never had, or not for an hour.
        """
        with self._lock:
            if self._source.startswith(("http://", "https://")):
                self._from_address(kid)
            else:
                self._from_file()
            return self._named(kid)

    def _named(self, kid: str | None) -> list[PyJWK]:
        return [key for key in self._keys if kid is None or key.key_id == kid]

    def _from_file(self) -> None:
        path = Path(self._source)
        try:
            written_at = path.stat().st_mtime_ns
            if written_at == self._written_at:
                return
            self._keys = _read(path.read_bytes())
        except (OSError, ValueError):
            raise JwksError(
                f"RAG_BENCH_JWT_JWKS: {self._source} is no readable JWKS file."
            ) from None
        self._written_at = written_at

    def _from_address(self, kid: str | None) -> None:
        now = self._clock()
        fresh = self._got_at is not None and now - self._got_at < _FRESH
        if fresh and (self._named(kid) or kid is None):
            return
        if self._tried_at is None or now - self._tried_at >= _AGAIN:
            self._tried_at = now
            try:
                reply = self._guard.fetch(self._source, encrypted=True)
                if reply.status != 200:
                    raise GuardError(f"It answered with {reply.status}.")
                self._keys, self._got_at = _read(reply.body), now
            except GuardError as error:
                self._refuse(now, str(error))
            except ValueError:
                self._refuse(now, "What it answered is no JWKS.")
        self._refuse(now, "It could not be had a moment ago.")

    def _refuse(self, now: float, cause: str) -> None:
        if self._got_at is None or now - self._got_at > _STALE:
            raise JwksError(f"RAG_BENCH_JWT_JWKS: the public keys cannot be had. {cause}")


def _read(body: bytes) -> list[PyJWK]:
    """Return the keys that can be used; ones of other kinds are passed over, as RFC 7517 asks."""
    from jwt import PyJWK
    from jwt.exceptions import PyJWKError, PyJWTError

    try:
        listed = json.loads(body)["keys"]
    except (KeyError, TypeError, RecursionError):
        raise ValueError("no list of keys") from None
    if not isinstance(listed, list):
        raise ValueError("no list of keys")
    found = []
    for one in listed:
        # A secret in a public list would be known to everybody: only public kinds.
        if not isinstance(one, dict) or one.get("kty") not in ("RSA", "EC"):
            continue
        public = {name: value for name, value in one.items() if name not in _PRIVATE}
        try:
            found.append(PyJWK(public))
        except (PyJWKError, PyJWTError, ValueError, TypeError):
            continue
    return found


_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
