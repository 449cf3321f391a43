"""What processes have been granted of a budget that they share; see `shared_budget` in `llm`.

A grant counts until its process gives the unspent part back; that of a dead process counts for
good, as it may have been spent. Statements stand for themselves, as those of
`rag_bench.store.sharing.leases`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from rag_bench.store.sharing.leases import LeaseStore

_JOIN = "INSERT INTO rag_bench.budget (name) VALUES (%s) ON CONFLICT (name) DO NOTHING"
_READ = """
SELECT b.version, coalesce(sum(s.granted_calls), 0)::bigint, coalesce(sum(s.granted_usd), 0),
       coalesce(bool_or(s.open AND s.holder <> %s AND s.expires_at > clock_timestamp()), false)
FROM rag_bench.budget AS b LEFT JOIN rag_bench.budget_share AS s ON s.budget = b.name
WHERE b.name = %s GROUP BY b.name
"""
_WRITE = """
WITH turn AS (UPDATE rag_bench.budget SET version = version + 1
              WHERE name = %(name)s AND (%(version)s::bigint IS NULL OR version = %(version)s)
              RETURNING name)
INSERT INTO rag_bench.budget_share (budget, holder, granted_calls, granted_usd, spent_calls,
                                    spent_usd, open, expires_at)
SELECT name, %(holder)s, %(calls)s, %(usd)s, %(spent_calls)s, %(spent_usd)s, %(open)s,
       clock_timestamp() + make_interval(secs => %(expiry)s) FROM turn
ON CONFLICT (budget, holder) DO UPDATE SET granted_calls = excluded.granted_calls,
    granted_usd = excluded.granted_usd, spent_calls = excluded.spent_calls,
    spent_usd = excluded.spent_usd, open = excluded.open, expires_at = excluded.expires_at
RETURNING 1
"""


@dataclass(frozen=True)
class Granted:
    """What all processes were granted; ``others_may_return``: a living one holds some."""

    version: int
    calls: int
    usd: Decimal
    others_may_return: bool


@dataclass(frozen=True)
class Share:
    """What one process was granted and has spent since its beginning."""

    calls: int
    usd: Decimal
    spent_calls: int
    spent_usd: Decimal
    open: bool = True


class BudgetStore:
    """The grants of one budget to one process. Raises `LeaseError` where there is no database."""

    def __init__(self, database_url: str, name: str, holder: str) -> None:
        self._url, self._name, self._holder = database_url, name, holder

    async def read(self) -> Granted:
        """Return what stands there, the budget's row included."""
        store = LeaseStore(self._url)
        try:
            await store.run_patiently(_JOIN, [self._name])
            rows = await store.run_patiently(_READ, [self._holder, self._name])
        finally:
            await store.close()
        return Granted(*rows[0])

    async def write(self, share: Share, version: int | None, expiry: float) -> bool:
        """Write this process's share; False if somebody wrote since ``version`` was read.

        Args:
            share: what it is granted and has spent.
            version: the one that was read; None: whatever it is, as the share only shrinks.
            expiry: seconds for which others may hope that it gives some back.
        """
        store = LeaseStore(self._url)
        given = {
            "name": self._name,
            "version": version,
            "holder": self._holder,
            "calls": share.calls,
            "usd": share.usd,
            "spent_calls": share.spent_calls,
            "spent_usd": share.spent_usd,
            "open": share.open,
            "expiry": expiry,
        }
        try:
            return bool(await store.run_patiently(_WRITE, given))
        finally:
            await store.close()
