"""Figures of the service for monitoring, all of a moment, in queries that cost little."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Seconds after which no call with an id that was seen before can still be written.
_SETTLED = 600.0


@dataclass(frozen=True)
class Calls:
    """Calls of one model, of all time: replies, failures, tokens, US dollars as far as known."""

    answered: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)

    def __add__(self, other: Calls) -> Calls:
        return Calls(
            self.answered + other.answered,
            self.failed + other.failed,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost_usd + other.cost_usd,
        )


@dataclass(frozen=True)
class Waiting:
    """Runs that wait at one place, and for how many seconds the oldest has."""

    runs: int
    oldest_seconds: float


@dataclass(frozen=True)
class Slots:
    """Calls in flight that processes may have at a provider, and that they would like to have."""

    processes: int
    held: int
    wanted: int


@dataclass(frozen=True)
class Figures:
    """All of them but the calls."""

    runs: Mapping[tuple[str, str], int]  # by status and place
    waiting: Mapping[str, Waiting]  # by place
    cases: Mapping[str, int]  # by what came of them
    callbacks: Mapping[str, int]  # by status
    hooks: Mapping[str, int]  # by outcome
    slots: Mapping[str, Slots]  # by provider


_RUNS = text("select status, place, count(*) from rag_bench.eval_run group by 1, 2")
_WAITING = text("""
    select place, count(*), extract(epoch from max(clock_timestamp() - created_at))::float8
    from rag_bench.eval_run where status = 'queued' group by 1
""")
_CASES = text("""
    select sum((counts->>'scored')::bigint), sum((counts->>'failed')::bigint),
        sum((counts->>'errored')::bigint), sum(n_cases)
    from rag_bench.eval_run
""")
_CALLBACKS = text("select status, count(*) from rag_bench.callback group by 1")
_HOOKS = text("select outcome, count(*) from rag_bench.hook group by 1")
_SLOTS = text("""
    select l.provider, count(distinct p.holder), sum(p.slots), sum(p.wanted)
    from rag_bench.provider_lease p join rag_bench.provider_limit l using (account)
    where p.expires_at > clock_timestamp() group by 1
""")


def figures(connection: Connection) -> Figures:
    """Return the figures of now."""
    scored, failed, errored, n_cases = (int(one or 0) for one in connection.execute(_CASES).one())
    return Figures(
        runs={(row[0], row[1]): row[2] for row in connection.execute(_RUNS)},
        waiting={row[0]: Waiting(row[1], row[2]) for row in connection.execute(_WAITING)},
        cases={
            "scored": scored,
            "failed": failed,
            "errored": errored,
            "missing": n_cases - scored - failed - errored,
        },
        callbacks={row[0]: row[1] for row in connection.execute(_CALLBACKS)},
        hooks={row[0]: row[1] for row in connection.execute(_HOOKS)},
        slots={
            row[0]: Slots(row[1], int(row[2]), int(row[3])) for row in connection.execute(_SLOTS)
        },
    )


_CALLS = text("""
    select provider || '/' || model, count(*) filter (where status <> 'error'),
        count(*) filter (where status = 'error'), coalesce(sum(prompt_tokens), 0),
        coalesce(sum(completion_tokens), 0), coalesce(sum(cost_usd), 0)
    from rag_bench.llm_call where id > :above and id <= :upto group by 1
""")


class CallSums:
    """The ledger's sums by model; after the first look only what is new is read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._settled: dict[str, Calls] = {}
        self._upto = 0
        self._seen: list[tuple[float, int]] = []

    def read(self, connection: Connection) -> dict[str, Calls]:
        """Return the sums of all time, by model key."""
        newest = connection.execute(text("select max(id) from rag_bench.llm_call")).scalar() or 0
        now = self._clock()
        # A number is given out before its row is committed, so the newest rows are read again.
        old = [seen for at, seen in self._seen if at <= now - _SETTLED]
        if old and old[-1] > self._upto:
            self._settled = _sum(self._settled, _between(connection, self._upto, old[-1]))
            self._upto = old[-1]
        self._seen = [one for one in self._seen if one[1] > self._upto]
        if not self._seen or self._seen[-1][1] < newest:
            self._seen.append((now, newest))
        return _sum(self._settled, _between(connection, self._upto, newest))


def _between(connection: Connection, above: int, upto: int) -> dict[str, Calls]:
    rows = connection.execute(_CALLS, {"above": above, "upto": upto})
    return {row[0]: Calls(row[1], row[2], int(row[3]), int(row[4]), row[5]) for row in rows}


def _sum(one: Mapping[str, Calls], other: Mapping[str, Calls]) -> dict[str, Calls]:
    return {key: one.get(key, Calls()) + other.get(key, Calls()) for key in {**one, **other}}
