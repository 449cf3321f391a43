"""What a run asked of its models: requests, and how many of them a provider had to answer.

A request is one wish of the program. The ledger answers some, two equal ones under way share
a call, and the rest are sent; so the three numbers show what the ledger saved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Requests:
    """The requests of one role. ``asked`` = ``from_ledger`` + ``shared`` + ``sent``.

    Attributes:
        asked: by the program.
        from_ledger: answered by a reply that was there.
        shared: equal to one that was under way, whose reply they got.
        sent: what is left: each is one call, whether it was answered or not.
    """

    asked: int = 0
    from_ledger: int = 0
    shared: int = 0
    sent: int = 0


class Tally:
    """Counts by role; for one event loop at a time."""

    def __init__(self) -> None:
        self._by_role: defaultdict[str, Requests] = defaultdict(Requests)

    def note(self, role: str, *, from_ledger: bool, shared: bool) -> None:
        """Count one request and how it ended."""
        requests = self._by_role[role]
        requests.asked += 1
        if shared:
            requests.shared += 1
        elif from_ledger:
            requests.from_ledger += 1
        else:
            requests.sent += 1

    @property
    def by_role(self) -> Mapping[str, Requests]:
        """The counts, roles in the order in which they were first asked."""
        return dict(self._by_role)

    @property
    def sent(self) -> int:
        """Calls of all roles."""
        return sum(requests.sent for requests in self._by_role.values())


_current: ContextVar[Tally | None] = ContextVar("rag_bench_tally", default=None)


def current_tally() -> Tally | None:
    """Return the tally that counts, if one does."""
    return _current.get()


@contextmanager
def counting(tally: Tally) -> Iterator[Tally]:
    """Count the requests of the clients that are opened in the block."""
    token = _current.set(tally)
    try:
        yield tally
    finally:
        _current.reset(token)
