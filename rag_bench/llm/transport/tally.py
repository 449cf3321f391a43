"""What a run asked of its models: requests, and how many of them a provider had to answer.

A request is one completion that the program asks for. The ledger answers some, two equal ones
under way share a call, and the rest are sent; so the three numbers show what the ledger saved.
Requests are counted by role and by cell: the partition that they were made for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal

Cell = tuple[str, ...]
"""A partition by its models; empty outside of any."""


@dataclass(frozen=True)
class Usage:
    """What one call took; None where the provider or the table of prices does not say."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None


NOTHING = Usage()


@dataclass
class Requests:
    """The requests of one role or cell. ``asked`` = ``from_ledger`` + ``shared`` + ``sent``.

    Attributes:
        asked: by the program.
        from_ledger: answered by a reply that was there.
        shared: equal to one that was under way, whose reply they got.
        sent: what is left: each is one call, whether it was answered or not.
        prompt_tokens, completion_tokens: of the calls sent, as far as providers say.
        cost_usd: of the calls sent whose price is known.
        n_priced: how many of the calls sent those are.
        attempts: requests of HTTP that were sent for the calls: one each, and one more for each
            retry; also for a call that was given up between two of them.
    """

    asked: int = 0
    from_ledger: int = 0
    shared: int = 0
    sent: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    n_priced: int = 0
    attempts: int = 0

    def note(self, *, from_ledger: bool, shared: bool, usage: Usage) -> None:
        """Count one request, how it ended and what it took."""
        self.asked += 1
        if shared:
            self.shared += 1
        elif from_ledger:
            self.from_ledger += 1
        else:
            self.sent += 1
            self.prompt_tokens += usage.prompt_tokens or 0
            self.completion_tokens += usage.completion_tokens or 0
            if usage.cost_usd is not None:
                self.cost_usd += usage.cost_usd
                self.n_priced += 1


class Tally:
    """Counts by role and by cell; for one event loop at a time.

    ``beside``: a tally of a larger whole that counts the same requests (a command's, beside the
    one of its step).
    """

    def __init__(self, beside: Tally | None = None) -> None:
        self._by_role: defaultdict[str, Requests] = defaultdict(Requests)
        self._by_cell: defaultdict[Cell, Requests] = defaultdict(Requests)
        self._beside = beside

    def note(self, role: str, *, from_ledger: bool, shared: bool, usage: Usage = NOTHING) -> None:
        """Count one request and how it ended."""
        for requests in (self._by_role[role], self._by_cell[_cell.get()]):
            requests.note(from_ledger=from_ledger, shared=shared, usage=usage)
        if self._beside is not None:
            self._beside.note(role, from_ledger=from_ledger, shared=shared, usage=usage)

    def attempted(self, role: str, attempts: int) -> None:
        """Count the requests of HTTP that were sent for one call."""
        for requests in (self._by_role[role], self._by_cell[_cell.get()]):
            requests.attempts += attempts
        if self._beside is not None:
            self._beside.attempted(role, attempts)

    def of_cell(self, cell: Cell) -> Requests:
        """Return what was asked for one cell; ``()`` is what was asked outside of any."""
        return self._by_cell.get(cell, Requests())

    @property
    def by_role(self) -> Mapping[str, Requests]:
        """The counts, roles in the order in which they were first asked."""
        return dict(self._by_role)

    @property
    def sent(self) -> int:
        """Calls of all roles."""
        return sum(requests.sent for requests in self._by_role.values())

    @property
    def attempts(self) -> int:
        """Requests of HTTP that were sent for the calls of all roles."""
        return sum(requests.attempts for requests in self._by_role.values())


_cell: ContextVar[Cell] = ContextVar("rag_bench_tally_cell", default=())
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


@contextmanager
def asking_for(cell: Cell) -> Iterator[None]:
    """Count the requests of the block for one cell."""
    token = _cell.set(cell)
    try:
        yield
    finally:
        _cell.reset(token)
