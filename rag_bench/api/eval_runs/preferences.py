"""What a client prefers (RFC 7240): to wait so long, or not to wait."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Preferences:
    """Of the header `Prefer`. ``wait``: seconds; None: not said."""

    wait: int | None = None
    respond_async: bool = False


def read(headers: Iterable[str]) -> Preferences:
    """Return what is preferred; what is not known or makes no sense is passed over, as is meant."""
    wait: int | None = None
    respond_async = False
    for one in ",".join(headers).split(","):
        name, _, value = one.partition(";")[0].partition("=")
        name, value = name.strip().lower(), value.strip().strip('"')
        if name == "respond-async":
            respond_async = True
        elif name == "wait" and wait is None and value.isascii() and value.isdecimal():
            wait = int(value[:9])
    return Preferences(wait, respond_async)
