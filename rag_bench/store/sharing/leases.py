"""Who uses a provider's limit now: the tables `provider_limit` and `provider_lease`.

Every statement stands for itself (autocommit, nothing prepared, no session state), so that a pooler
in between does no harm and a process that is stopped in the middle holds no lock. What was read is
written back only if nobody wrote in between: `provider_limit.version` counts the writes. Times are
the database's.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.store.batches.batcher import Batcher
from rag_bench.store.database import libpq_url

if TYPE_CHECKING:
    from psycopg import AsyncConnection

STATEMENT_SECONDS = 3.0
#: Seconds for which a statement that a call needs is tried again: a restarted server is back.
PATIENCE = 30.0
_RETRY = 0.25


class LeaseError(RagBenchError):
    """Limits cannot be shared, as the database does not answer: no call may be started."""


@dataclass(frozen=True)
class LeaseRow:
    """One process at one provider, as in `rag_bench.llm.sharing.shares.Lease`."""

    holder: str
    slots: int
    rate: float
    wanted: int
    wanted_rate: float
    limit: int
    over: bool = False  # it said nothing for too long


@dataclass(frozen=True)
class LearnedRow:
    """What 429s have taught, for the whole provider; ages and pauses in seconds from now."""

    window: float | None = None
    rate: float | None = None
    pause: float = 0.0
    by: str = ""
    age: float = 0.0


@dataclass(frozen=True)
class AccountState:
    """What stands in the database of one provider's account."""

    version: int
    now: float
    leases: tuple[LeaseRow, ...]
    learned: LearnedRow


_JOIN = (
    "INSERT INTO rag_bench.provider_limit (account, provider) VALUES (%s, %s) "
    "ON CONFLICT (account) DO NOTHING"
)
_READ = """
SELECT version, extract(epoch FROM clock_timestamp())::float8,
       learned_window, learned_rate,
       greatest(0, extract(epoch FROM paused_until - clock_timestamp()))::float8,
       coalesce(learned_by, ''),
       coalesce(extract(epoch FROM clock_timestamp() - learned_at), 0)::float8,
       coalesce((SELECT json_agg(json_build_array(holder, slots, rate, wanted, wanted_rate,
                                 slots_in_all, expires_at < clock_timestamp()))
                 FROM rag_bench.provider_lease AS l WHERE l.account = p.account), '[]')::text
FROM rag_bench.provider_limit AS p WHERE account = %s
"""
_WRITE = """
WITH turn AS (
    UPDATE rag_bench.provider_limit SET version = version + 1,
        learned_window = CASE WHEN %(teaches)s THEN %(window)s ELSE learned_window END,
        learned_rate = CASE WHEN %(teaches)s THEN %(learned_rate)s ELSE learned_rate END,
        learned_by = CASE WHEN %(teaches)s THEN %(holder)s ELSE learned_by END,
        learned_at = CASE WHEN %(teaches)s THEN clock_timestamp() ELSE learned_at END,
        paused_until = greatest(paused_until,
                                clock_timestamp() + make_interval(secs => %(pause)s))
    WHERE account = %(account)s AND version = %(version)s RETURNING account
), gone AS (
    DELETE FROM rag_bench.provider_lease USING turn
    WHERE provider_lease.account = turn.account AND holder = ANY(%(gone)s)
)
INSERT INTO rag_bench.provider_lease AS l (account, holder, process, slots, rate, wanted,
                                           wanted_rate, slots_in_all, expires_at)
SELECT account, %(holder)s, %(process)s, %(slots)s, %(rate)s, %(wanted)s, %(wanted_rate)s,
       %(limit)s, clock_timestamp() + make_interval(secs => %(expiry)s) FROM turn
ON CONFLICT (account, holder) DO UPDATE SET slots = excluded.slots, rate = excluded.rate,
    wanted = excluded.wanted, wanted_rate = excluded.wanted_rate,
    slots_in_all = excluded.slots_in_all, expires_at = excluded.expires_at
RETURNING 1
"""
_LEAVE = """
WITH turn AS (
    UPDATE rag_bench.provider_limit SET version = version + 1 WHERE account = ANY(%s)
)
DELETE FROM rag_bench.provider_lease WHERE account = ANY(%s) AND holder = %s
"""
_CLAIM = """
INSERT INTO rag_bench.call_claim AS c (key, holder)
SELECT key, holder FROM unnest(%s::text[], %s::text[]) AS given (key, holder) ORDER BY key
ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, created_at = now()
WHERE c.holder = excluded.holder  -- the answer to the first statement was lost
   OR NOT EXISTS (SELECT FROM rag_bench.provider_lease AS l
                  WHERE l.holder = c.holder AND l.expires_at > clock_timestamp())
RETURNING key, holder
"""
# In one order for all: a claim that is refused locks the row as well.
_UNCLAIM = """
WITH mine AS (
    SELECT key FROM rag_bench.call_claim AS c
    JOIN unnest(%s::text[], %s::text[]) AS given (key, holder) USING (key, holder)
    ORDER BY key FOR UPDATE OF c
)
DELETE FROM rag_bench.call_claim AS c USING mine WHERE c.key = mine.key
"""
_UNCLAIM_ALL = "DELETE FROM rag_bench.call_claim WHERE holder = %s"


class LeaseStore:
    """One small connection of its own, opened when it is needed, and again when it is lost."""

    def __init__(self, database_url: str) -> None:
        """``database_url``: of SQLAlchemy or libpq form, with its password."""
        self._conninfo = libpq_url(database_url)
        self._connection: AsyncConnection[Any] | None = None
        # Calls share it: none opens a second one, or closes it under another that waits.
        self._turn = asyncio.Lock()
        self._claims: Batcher[tuple[str, str], bool] = Batcher(self._claim)
        self._unclaims: Batcher[tuple[str, str], None] = Batcher(self._unclaim)

    async def join(self, account: str, provider: str) -> None:
        """Make sure that the account has its row."""
        await self.run(_JOIN, [account, provider])

    async def read(self, account: str) -> AccountState:
        """Return what stands there now."""
        rows = await self.run(_READ, [account])
        if not rows:
            raise LeaseError(f"The table rag_bench.provider_limit has lost its row of {account}.")
        version, now, window, rate, pause, by, age, leases = rows[0]
        return AccountState(
            version,
            now,
            tuple(LeaseRow(*lease) for lease in json.loads(leases)),
            LearnedRow(window, rate, pause or 0.0, by, age),
        )

    async def write(
        self,
        account: str,
        version: int,
        lease: LeaseRow,
        *,
        expiry: float,
        process: str = "",
        gone: Sequence[str] = (),
        learned: LearnedRow | None = None,
        pause: float = 0.0,
    ) -> bool:
        """Write one process's lease; False if somebody wrote since ``version`` was read.

        Args:
            account: whose.
            version: the one that was read.
            lease: what this process holds now.
            expiry: seconds for which the lease stands.
            process: host and process id, for people.
            gone: holders whose leases are over, to be taken away.
            learned: what this process has learned; None: nothing new.
            pause: seconds for which the provider asked not to be called.
        """
        given = {
            "account": account,
            "version": version,
            "holder": lease.holder,
            "process": process,
            "slots": lease.slots,
            "rate": lease.rate,
            "wanted": lease.wanted,
            "wanted_rate": lease.wanted_rate,
            "limit": lease.limit,
            "expiry": expiry,
            "gone": list(gone),
            "teaches": learned is not None,
            "window": learned.window if learned else None,
            "learned_rate": learned.rate if learned else None,
            "pause": pause,
        }
        return bool(await self.run(_WRITE, given))

    async def leave(self, accounts: Sequence[str], holder: str) -> None:
        """Give back whatever a process holds."""
        await self.run(_UNCLAIM_ALL, [holder])
        await self.run(_LEAVE, [list(accounts), list(accounts), holder])

    async def claim(self, key: str, holder: str) -> bool:
        """Note that a process is about to ask for a key; False if a living one has noted it."""
        return await self._claims.submit((key, holder))

    async def unclaim(self, key: str, holder: str) -> None:
        """Take the note away."""
        await self._unclaims.submit((key, holder))

    async def _claim(self, wanted: list[tuple[str, str]]) -> list[bool]:
        first: dict[str, str] = {}  # one statement cannot write a row twice
        for key, holder in wanted:
            first.setdefault(key, holder)
        made = await self.run_patiently(_CLAIM, [list(first), list(first.values())])
        claimed = {tuple(row) for row in made}
        return [one in claimed for one in wanted]

    async def _unclaim(self, given: list[tuple[str, str]]) -> list[None]:
        keys, holders = zip(*given, strict=True)
        await self.run_patiently(_UNCLAIM, [list(keys), list(holders)])
        return [None] * len(given)

    async def run_patiently(self, query: Any, parameters: Any) -> list[Any]:
        """Execute one statement that does no harm if it is executed twice, trying again while the
        database does not answer.

        Raises:
            LeaseError: it has not answered for `PATIENCE` seconds.
        """
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return await self.run(query, parameters, until)
            except LeaseError:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(_RETRY)

    async def run(self, query: Any, parameters: Any, until: float = math.inf) -> list[Any]:
        """Execute one statement, if its turn comes before ``until`` (`time.monotonic`).

        Raises:
            LeaseError: the database does not answer in time; the next try connects anew.
        """
        async with self._turn:  # waiting for others is no fault of the database
            if time.monotonic() > until:  # or each would find out for itself, one after another
                raise _no_answer("timeout")
            return await self._run(query, parameters)

    async def _run(self, query: Any, parameters: Any) -> list[Any]:
        import psycopg

        try:
            async with asyncio.timeout(STATEMENT_SECONDS):
                if self._connection is None or self._connection.closed:
                    self._connection = await psycopg.AsyncConnection.connect(
                        self._conninfo,
                        autocommit=True,
                        prepare_threshold=None,
                        application_name="rag_bench leases",
                        connect_timeout=2,
                    )
                cursor = await self._connection.execute(query, parameters)
                return await cursor.fetchall() if cursor.description else []
        except (psycopg.Error, TimeoutError, OSError) as error:
            await self._disconnect()
            raise _no_answer(type(error).__name__) from None

    async def close(self) -> None:
        """Close the connection; claims that are not made or taken away yet stay as they are."""
        await self._claims.cancel()
        await self._unclaims.cancel()
        await self._disconnect()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _no_answer(cause: str) -> LeaseError:
    return LeaseError(
        f"The database does not answer ({cause}), so a provider's limits cannot be shared with "
        "other processes."
    )
