"""Who asks: keys and tokens become principals, and requests are counted."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import itertools
import logging
import re
from typing import TYPE_CHECKING

from rag_bench.access.jwks import JwksError
from rag_bench.access.keys import PREFIX, hash_of, id_of, matches
from rag_bench.access.scopes import Principal
from rag_bench.access.tokens import TokenError, TokenRules
from rag_bench.api.problems import Code, Problem
from rag_bench.store.access import keys, rates

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from starlette.datastructures import Headers

    from rag_bench.api.gate import Asked
    from rag_bench.store.access.keys import StoredKey

_log = logging.getLogger("rag_bench.api")
#: So many requests of a process between two looks for rows of the past.
_PRUNED_EVERY = 1000
#: Methods that change nothing.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


_PAGES = ("/docs", "/openapi.json", "/dashboard")
#: A run as a page: like those it only reads, and no other site may show it in a frame.
_REPORT = re.compile(r"/eval/runs/[0-9a-zA-Z-]{1,64}/report")


def is_page(path: str) -> bool:
    """Whether a browser shows this: there a key may come as the password of HTTP Basic.

    Nowhere else, as a browser sends a password along with what other sites make it ask.
    """
    if path in _PAGES or path.startswith(tuple(f"{page}/" for page in _PAGES)):
        return True
    return _REPORT.fullmatch(path) is not None


class Callers:
    """Knows callers by their keys and tokens. ``tokens`` is None where tokens are not accepted.

    ``quick`` is an engine of `quick_engine`.
    """

    def __init__(
        self,
        quick: Engine,
        tokens: TokenRules | None,
        *,
        per_minute: int,
        refused_per_minute: int,
        hooks_per_minute: int,
    ) -> None:
        self._quick, self._tokens = quick, tokens
        self._per_minute, self._refused_per_minute = per_minute, refused_per_minute
        self._hooks_per_minute = hooks_per_minute
        self._counted = itertools.count()

    def admit(self, asked: Asked, path: str, headers: Headers) -> None:
        """Find out who asks, note it in ``asked``, and count the request.

        Raises:
            Problem: nobody known, or too often.
        """
        try:
            asked.principal, counted = self._known(asked, path, headers)
        except Problem as problem:
            if problem.status == 401:
                scheme = "Basic" if is_page(path) else "Bearer"
                problem.headers["WWW-Authenticate"] = f'{scheme} realm="rag_bench"'
                self._count_refusal(asked)
            raise
        if counted:
            return
        per_minute = asked.principal.requests_per_minute or self._per_minute
        self._count(asked, asked.principal.subject, per_minute, "This key or token")

    def admit_unknown(self, asked: Asked) -> None:
        """Count a request that is to be judged by its signature.

        Raises:
            Problem: its address sends too many.
        """
        self._count_stranger(asked, "hook ", self._hooks_per_minute)

    def _known(self, asked: Asked, path: str, headers: Headers) -> tuple[Principal, bool]:
        """Return who asks, and whether the request is counted already."""
        from sqlalchemy.exc import SQLAlchemyError

        given = _credentials(headers, path)
        if not given.startswith(PREFIX):
            return self._of_token(given, asked), False
        key_id = id_of(given)
        if key_id is None:
            raise Problem(Code.INVALID_KEY, "The key is cut off or mistyped.")
        try:
            with self._quick.connect() as connection:
                if next(self._counted) % _PRUNED_EVERY == 0:
                    rates.prune(connection)
                found = keys.find_and_count(connection, key_id, hash_of(given), self._per_minute)
                key = self._good(found[:2] if found else None, given, asked)
                return key.principal(), found is not None and found[2]
        except SQLAlchemyError:
            _log.exception("Requests cannot be counted.", extra={"trace_id": asked.trace_id})
        return self._uncounted(key_id, given, asked), True

    def _uncounted(self, key_id: str, given: str, asked: Asked) -> Principal:
        """Return whose key it is where no request can be counted: who changes nothing goes on."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self._quick.connect() as connection:
                found = keys.find(connection, key_id)
        except SQLAlchemyError:
            raise Problem(Code.UNAVAILABLE, "The database cannot be reached.") from None
        key = self._good(found, given, asked)
        if asked.method not in SAFE:
            raise Problem(Code.UNAVAILABLE, "Requests cannot be counted now; try again.")
        return key.principal()

    def _good(self, found: tuple[StoredKey, str] | None, given: str, asked: Asked) -> StoredKey:
        if not matches(given, found[1] if found else None) or found is None:
            raise Problem(Code.INVALID_KEY, "There is no such key.")
        key = found[0]
        asked.principal = key.principal()  # the audit says whose key was refused
        if key.state != "active":
            code = Code.REVOKED_KEY if key.state == "revoked" else Code.EXPIRED_KEY
            raise Problem(code, "This key is not good any more; ask for a new one.")
        return key

    def _of_token(self, given: str, asked: Asked) -> Principal:
        if self._tokens is None:
            raise Problem(
                Code.INVALID_TOKEN, "This is no API key (rb_…), and tokens are not accepted here."
            )
        try:
            return self._tokens.principal(given)
        except TokenError as error:
            code = Code.EXPIRED_TOKEN if error.kind == "expired" else Code.INVALID_TOKEN
            _log.info("A token was refused: %s", error, extra={"trace_id": asked.trace_id})
            raise Problem(code, _REFUSED_TOKEN[code]) from None
        except JwksError:
            _log.exception("A token could not be judged.", extra={"trace_id": asked.trace_id})
            raise Problem(
                Code.UNAVAILABLE, "The public keys of tokens cannot be had now; try again."
            ) from None

    def _count_refusal(self, asked: Asked) -> None:
        self._count_stranger(asked, "", self._refused_per_minute)

    def _count_stranger(self, asked: Asked, what: str, per_minute: int) -> None:
        try:
            self._count(asked, what + _of_address(asked.address), per_minute, "This address")
        except Problem:
            asked.recorded = False  # or a stranger could fill the audit
            raise

    def _count(self, asked: Asked, subject: str, per_minute: int, who: str) -> None:
        wait = self._wait(asked, subject, per_minute)
        if wait is not None:
            raise Problem(
                Code.TOO_MANY_REQUESTS,
                f"{who} has used up its {per_minute} requests a minute; wait {wait} s.",
                headers={"Retry-After": str(wait)},
            )

    def _wait(self, asked: Asked, subject: str, per_minute: int) -> int | None:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self._quick.connect() as connection:
                if next(self._counted) % _PRUNED_EVERY == 0:
                    rates.prune(connection)
                return rates.take(connection, subject, per_minute)
        except SQLAlchemyError:
            _log.exception("Requests cannot be counted.", extra={"trace_id": asked.trace_id})
            if asked.method in SAFE:  # a limit that cannot be counted holds up no read
                return None
            raise Problem(Code.UNAVAILABLE, "Requests cannot be counted now; try again.") from None


_REFUSED_TOKEN = {
    Code.EXPIRED_TOKEN: "The token has expired; get a new one.",
    Code.INVALID_TOKEN: "The token is malformed, forged, not valid yet or meant for others.",
}


def _credentials(headers: Headers, path: str) -> str:
    """Return the one key or token that was given.

    Raises:
        Problem: none, several, or in a form that is not taken here.
    """
    given = [*headers.getlist("authorization"), *headers.getlist("x-api-key")]
    if not given:
        raise Problem(
            Code.NO_CREDENTIALS,
            "Send a key as `Authorization: Bearer rb_…`; `rag-bench keys create` makes one.",
        )
    if len(given) > 1:
        raise Problem(Code.INVALID_KEY, "Send one key or token, in one header.")
    if "authorization" not in headers:
        return _key(given[0].strip())
    scheme, _, rest = given[0].strip().partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        text = rest.strip()
        code = Code.INVALID_KEY if text.startswith(PREFIX) else Code.INVALID_TOKEN
        return _printable(text, code)
    if scheme.lower() == "basic" and is_page(path):
        return _key(_decoded(rest.strip()).partition(":")[2])
    raise Problem(Code.INVALID_KEY, "Send `Authorization: Bearer` and the key or token.")


def _key(text: str) -> str:
    if not text.startswith(PREFIX):
        raise Problem(Code.INVALID_KEY, f"A key begins with {PREFIX}.")
    return _printable(text, Code.INVALID_KEY)


def _printable(text: str, code: Code) -> str:
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise Problem(code, "The key or token holds what none can hold.")
    return text


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise Problem(Code.INVALID_KEY, "The name and password cannot be read.") from None


def _of_address(address: str | None) -> str:
    """Return what refusals are counted by: an address, of IPv6 its network of 64 bits."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return "address:-"
    if found.version == 6:
        return f"address:{ipaddress.ip_network((found, 64), strict=False)}"
    return f"address:{found}"
