"""What the ledger and the limits below it tell each other about one call.

httpx hands down nothing but the request, so the note travels in the request's extensions. The
ledger writes what the call takes; the limits write how it went, also where it ends in an exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import httpx

from rag_bench.llm.transport.budget import Reservation

_PLACE = "rag_bench"


@dataclass(frozen=True)
class CallSize:
    """What a call takes: tokens, guessed, for the pace; the most it can cost, for the budget."""

    model_key: str
    tokens: float = 0.0
    most_usd: Decimal | None = None


@dataclass(frozen=True)
class CallNumbers:
    """Of one call: the last attempt's own latency, everything else that passed, retries, and the
    requests that were sent for it.
    """

    latency_ms: float | None
    wait_ms: float
    retries: int
    oversize: bool = False
    attempts: int = 0


@dataclass
class CallNote:
    """The note of one call.

    Attributes:
        size: what it takes.
        numbers: of the last attempt; before there was one, of none.
        reservation: of a reply that came, to be settled by who reads what the reply cost.
    """

    size: CallSize
    numbers: CallNumbers = CallNumbers(None, 0.0, 0)
    reservation: Reservation | None = None

    def put_into(self, request: httpx.Request) -> None:
        """Send this note along with a request."""
        request.extensions[_PLACE] = self

    @classmethod
    def of(cls, request: httpx.Request) -> CallNote:
        """Return a request's note; one without gets one, of a call of unknown size."""
        found = request.extensions.get(_PLACE)
        if isinstance(found, cls):
            return found
        note = cls(CallSize(request.url.host))
        note.put_into(request)
        return note
