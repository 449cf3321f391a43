"""Where a page ended, as clients carry it: opaque, of a version, bound to what was asked for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rag_bench.api.problems import Code, Located, Problem

_VERSION = 1
_UNKNOWN = "This is no cursor from here: send the last page's next_cursor, or none to begin."
#: Longer than any that is given out.
MOST_CHARACTERS = 400


def write(last: str | int, asked: Mapping[str, Any]) -> str:
    """Return the cursor of the page behind ``last``, for the same question only."""
    text = json.dumps([_VERSION, last, _mark(asked)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def read(cursor: str, asked: Mapping[str, Any], kind: type[str] | type[int]) -> Any:
    """Return what ``write`` was given.

    Raises:
        Problem: it is none of ours, or was given out for another filter.
    """
    try:
        packed = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        version, last, mark = json.loads(base64.b64decode(packed, b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise _refused(_UNKNOWN) from None
    if version != _VERSION or type(last) is not kind or not _sane(last):
        raise _refused(_UNKNOWN)
    if mark != _mark(asked):
        raise _refused("This cursor is of another filter; begin without one.")
    return last


def _sane(last: str | int) -> bool:
    # It is not signed, as it opens nothing; but a query takes no NUL and no huge number.
    return last.isascii() and last.isalnum() if isinstance(last, str) else 0 <= last < 1 << 31


def _mark(asked: Mapping[str, Any]) -> str:
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _refused(detail: str) -> Problem:
    return Problem(
        Code.INVALID_INPUT,
        "The request has impossible values.",
        errors=[Located(detail, parameter="cursor")],
    )
