"""The call ledger's table: batched lookups and group commits for thousands of concurrent calls.

Status of a row:

* ``ok``: the reply that answers this key, at most one per key. With an ``error_code`` it is a
  reply that was paid for and cannot be used (unreadable, truncated, refused): it is kept and not
  asked again, except on demand.
* ``error``: no reply came (network, timeout, HTTP status). Never looked up, so the next run asks.
* ``discarded``: was ``ok`` until asked again on demand, or came second of two. Kept for the costs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from rag_bench.errors import RagBenchError
from rag_bench.store.batches.batcher import Batcher
from rag_bench.store.database import libpq_url

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool
    from sqlalchemy import Connection

_Ids = dict[tuple[str, str], list[int]]  # of rows, by key and status

_COLUMNS = (
    "key text, role text, provider text, base_url text, model text, replicate int, "
    "request jsonb, response jsonb, status text, error_code text, error_detail text, "
    "http_status int, finish_reason text, prompt_tokens int, completion_tokens int, "
    "cost_usd numeric, latency_ms float8, wait_ms float8, retries int, dagster_run_id text, "
    "served_model text, system_fingerprint text"
)
_NAMES = ", ".join(column.split()[0] for column in _COLUMNS.split(", "))
_INSERT = (
    f"INSERT INTO rag_bench.llm_call ({_NAMES}) "
    f"SELECT {_NAMES} FROM jsonb_to_recordset(%s::text::jsonb) AS r({_COLUMNS}) "
    "ON CONFLICT (key) WHERE status = 'ok' DO NOTHING RETURNING id, key, status"
)
_LOOKUP = (
    "SELECT id, key, response::text, error_code, error_detail, latency_ms, "
    # Rows of versions that had no columns for it say it in the reply.
    "coalesce(served_model, left(response ->> 'model', 200)), "
    "coalesce(system_fingerprint, left(response ->> 'system_fingerprint', 200)), created_at "
    "FROM rag_bench.llm_call WHERE key = ANY(%s) AND status = 'ok'"
)
_OPEN_TIMEOUT = 15.0  # seconds
_RETRY_WAITS = (0.1, 0.5, 2.0, 5.0)  # seconds; a restarted server is back within them


class LedgerError(RagBenchError):
    """The ledger cannot be read or written. It ends the step: no call may go unrecorded."""


@dataclass(frozen=True)
class CallRow:
    """One call as it is stored. ``request_json`` and ``response_json`` are JSON texts.

    Latency is that of the provider's own successful attempt, in ms; ``wait_ms`` is the rest.
    Unknown is None.
    """

    key: str
    role: str
    provider: str
    base_url: str
    model: str
    replicate: int
    request_json: str
    response_json: str | None
    status: str
    error_code: str | None = None
    error_detail: str | None = None
    http_status: int | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None
    latency_ms: float | None = None
    wait_ms: float | None = None
    retries: int = 0
    dagster_run_id: str | None = None
    served_model: str | None = None
    system_fingerprint: str | None = None

    def as_json(self, status: str | None = None) -> str:
        """Return the row as a JSON object; request and response enter it without a parse."""
        fields = {name: getattr(self, name) for name in _PLAIN_FIELDS}
        fields["cost_usd"] = None if self.cost_usd is None else str(self.cost_usd)
        fields["status"] = status or self.status
        plain = json.dumps(fields, ensure_ascii=False)
        response = self.response_json or "null"
        return f'{plain[:-1]},"request":{self.request_json},"response":{response}}}'


_PLAIN_FIELDS = tuple(
    name for name in CallRow.__dataclass_fields__ if name not in ("request_json", "response_json")
)


@dataclass(frozen=True)
class StoredReply:
    """The reply kept for a key, by its row's id: the body as JSON text, by whom and when."""

    id: int
    key: str
    response_json: str
    error_code: str | None
    error_detail: str | None
    latency_ms: float | None
    served_model: str | None = None
    system_fingerprint: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class Inserted:
    """A stored call: its row's id, and whether it ``stands``. It does not where another process
    was first with an ``ok`` reply of its key: then it is kept as ``discarded``, as it was paid for.
    """

    id: int
    stands: bool


_MAX_STATEMENT = 16_000_000  # characters; one statement is parsed in the server's memory


def _by_size(texts: list[str]) -> Iterable[list[str]]:
    """Cut a list so that no part is longer than a statement may be, single texts apart."""
    group: list[str] = []
    size = 0
    for one in texts:
        if group and size + len(one) > _MAX_STATEMENT:
            yield group
            group, size = [], 0
        group.append(one)
        size += len(one)
    if group:
        yield group


class CallStore:
    """Asynchronous access to ``llm_call``, for one event loop; an async context manager."""

    def __init__(self, database_url: str) -> None:
        """``database_url``: of SQLAlchemy or libpq form, with its password."""
        self._conninfo = libpq_url(database_url)
        self._pool: AsyncConnectionPool[AsyncConnection[Any]] | None = None
        self._lookups: Batcher[str, StoredReply | None] = Batcher(self._read)
        self._writes: Batcher[CallRow, Inserted] = Batcher(self._write)

    async def __aenter__(self) -> CallStore:
        from psycopg import Error
        from psycopg_pool import AsyncConnectionPool, PoolTimeout

        self._pool = AsyncConnectionPool(
            self._conninfo,
            min_size=1,
            max_size=3,
            open=False,
            kwargs={"autocommit": True, "application_name": "rag_bench ledger"},
        )
        try:
            await self._pool.open(wait=True, timeout=_OPEN_TIMEOUT)
        except (PoolTimeout, Error) as error:
            await self._pool.close()
            raise LedgerError(
                f"The ledger's database cannot be reached: {type(error).__name__}."
            ) from None
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Commit what is queued, then close the connections."""
        await self._writes.flush()
        await self._lookups.flush()
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def lookup(self, key: str) -> StoredReply | None:
        """Return the reply kept for a key, a useless one included, or None.

        Raises:
            LedgerError: the database cannot be read.
        """
        return await self._lookups.submit(key)

    async def insert(self, row: CallRow) -> Inserted:
        """Store one call and return once it is committed.

        Raises:
            LedgerError: the row cannot be stored.
        """
        return await self._writes.submit(row)

    async def mark_unusable(self, key: str, error_code: str, detail: str) -> None:
        """Give a kept reply an error code, unless it has one: asked again on demand only."""
        await self._run(
            "UPDATE rag_bench.llm_call SET error_code = %s, error_detail = %s "
            "WHERE key = %s AND status = 'ok' AND error_code IS NULL",
            [error_code, detail.replace("\x00", "\ufffd"), key],
        )

    async def discard_unusable(self, key: str) -> None:
        """Take away a kept reply that has an error code, so that the key is asked again."""
        await self._run(
            "UPDATE rag_bench.llm_call SET status = 'discarded' "
            "WHERE key = %s AND status = 'ok' AND error_code IS NOT NULL",
            [key],
        )

    async def _read(self, keys: list[str]) -> list[StoredReply | None]:
        rows = await self._run(_LOOKUP, [list(set(keys))])
        found = {row[1]: StoredReply(*row) for row in rows}
        return [found.get(key) for key in keys]

    async def _write(self, rows: list[CallRow]) -> list[Inserted | Exception]:
        # One order for all processes: two batches that share keys cannot wait for each other.
        ordered = sorted(rows, key=lambda row: row.key)
        try:
            stored = await self._insert_rows(ordered)
        except LedgerError:
            if len(rows) == 1:
                raise
            # One row that the database refuses must not cost the others their replies.
            return [result for row in rows for result in await self._write_alone(row)]
        ids = (stored.get((row.key, row.status)) for row in rows)
        found = [left.pop() if left else None for left in ids]
        late = [row for row, row_id in zip(rows, found, strict=True) if row_id is None]
        kept = await self._insert_rows(late, "discarded") if late else {}
        return [
            Inserted(row_id or kept[row.key, "discarded"].pop(), row_id is not None)
            for row, row_id in zip(rows, found, strict=True)
        ]

    async def _write_alone(self, row: CallRow) -> list[Inserted | Exception]:
        try:
            return await self._write([row])
        except LedgerError as error:
            return [error]

    async def _insert_rows(self, rows: list[CallRow], status: str | None = None) -> _Ids:
        stored: _Ids = {}
        for group in _by_size([row.as_json(status) for row in rows]):
            for row_id, *named in await self._run(_INSERT, [f"[{','.join(group)}]"]):
                stored.setdefault((named[0], named[1]), []).append(row_id)
        return stored

    async def _run(self, query: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        """Run one statement in its own transaction; lost connections are tried again."""
        import psycopg
        from psycopg_pool import PoolTimeout

        if self._pool is None:
            raise LedgerError("The ledger is closed.")
        for wait in (*_RETRY_WAITS, None):
            try:
                async with self._pool.connection(timeout=_OPEN_TIMEOUT) as connection:
                    cursor = await connection.execute(query, parameters)
                    return await cursor.fetchall() if cursor.description else []
            except (psycopg.OperationalError, PoolTimeout) as error:
                if wait is None:
                    raise LedgerError(
                        f"The ledger's database is gone: {type(error).__name__}."
                    ) from None
                await asyncio.sleep(wait)
            except psycopg.Error as error:
                # The server's own words about the statement; they hold no connection data.
                message = error.diag.message_primary or type(error).__name__
                raise LedgerError(f"The ledger refuses a row: {message}") from None
        raise AssertionError("unreachable")


# Synchronous reading, for reports, plans and the command line.


@dataclass(frozen=True)
class Usage:
    """What one model was asked in one role, and what it cost. What nobody said is None, not 0.

    ``n_useless`` are ok replies with an error code. Tokens and cost are sums over everything
    that was paid for, discarded replies included; ``n_cost_unknown`` says how many such replies
    have no known price, in which case ``cost_usd`` is a lower bound (None if none has one). Tokens
    are those that replies tell; None where none does, as of a model that never answered.
    """

    role: str
    provider: str
    model: str
    n_ok: int
    n_useless: int
    n_error: int
    n_discarded: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: Decimal | None
    n_cost_unknown: int
    latency_ms_p50: float | None
    latency_ms_p95: float | None

    def to_json(self) -> dict[str, Any]:
        cost = None if self.cost_usd is None else float(self.cost_usd)
        return {**asdict(self), "cost_usd": cost}


_USAGE = """
SELECT role, provider, model,
       count(*) FILTER (WHERE status = 'ok'),
       count(*) FILTER (WHERE status = 'ok' AND error_code IS NOT NULL),
       count(*) FILTER (WHERE status = 'error'),
       count(*) FILTER (WHERE status = 'discarded'),
       sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint,
       sum(cost_usd),
       count(*) FILTER (WHERE status <> 'error' AND cost_usd IS NULL),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE status = 'ok'),
       percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE status = 'ok')
FROM rag_bench.llm_call
WHERE (CAST(:run_id AS text) IS NULL OR dagster_run_id = :run_id) AND id > :above
GROUP BY role, provider, model ORDER BY role, provider, model
"""


def usage(
    connection: Connection, run_id: str | None = None, *, newest: int | None = None
) -> list[Usage]:
    """Return the ledger's sums by role and model; of one Dagster run, or of all time.

    ``newest``: of so many calls, the newest, so that a long ledger takes no longer.
    """
    above = 0
    if newest is not None:
        above = max(0, newest_call(connection) - newest)
    given = {"run_id": run_id, "above": above}
    return [Usage(*row) for row in connection.execute(text(_USAGE), given)]


def newest_call(connection: Connection) -> int:
    """Return the number of the ledger's newest row; 0 if it is empty."""
    return int(connection.execute(text("SELECT max(id) FROM rag_bench.llm_call")).scalar() or 0)


def known_keys(connection: Connection, keys: Iterable[str]) -> set[str]:
    """Return those of the keys that the ledger already answers."""
    query = text("SELECT key FROM rag_bench.llm_call WHERE status = 'ok' AND key = ANY(:keys)")
    return set(connection.execute(query, {"keys": list(keys)}).scalars())


def discard(connection: Connection, keys: Iterable[str]) -> int:
    """Take the replies of these keys out of use, so that they are asked again; return how many."""
    query = text(
        "UPDATE rag_bench.llm_call SET status = 'discarded' "
        "WHERE status = 'ok' AND key = ANY(:keys)"
    )
    return connection.execute(query, {"keys": list(keys)}).rowcount
