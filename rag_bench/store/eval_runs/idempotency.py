"""First answers to requests that named a key, kept for a day (draft-ietf-httpapi-idempotency-key).

The record is written in the transaction that makes the run, so there is one exactly where there is
a run; of two requests at once the second waits for that transaction and then finds the record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: For so long a repeat gets the first answer; later the key is free again.
LIFETIME_HOURS = 24

_FRESH = f"created_at > clock_timestamp() - interval '{LIFETIME_HOURS} hours'"
_FIND = text(f"""
    select body_hash, run_id, status, response, headers,
        extract(epoch from clock_timestamp() - created_at)::float8 as age
    from rag_bench.idempotency
    where subject = :subject and route = :route and key = :key and {_FRESH}
""")
_BEGIN = text(f"""
    insert into rag_bench.idempotency as i (subject, route, key, body_hash, run_id, headers)
    values (:subject, :route, :key, :body_hash, :run_id, jsonb_build_object('wait', :wait))
    on conflict (subject, route, key) do update
    set body_hash = excluded.body_hash, run_id = excluded.run_id, headers = excluded.headers,
        status = null, response = null, created_at = clock_timestamp()
    where not i.{_FRESH}
    returning 1
""")
_ANSWER = text("""
    update rag_bench.idempotency
    set status = :status, response = to_jsonb(cast(:body as text)),
        headers = cast(:headers as jsonb)
    where subject = :subject and route = :route and key = :key and run_id = :run_id
        and status is null
""")
_PRUNE = text(f"""
    delete from rag_bench.idempotency where (subject, route, key) in (
        select subject, route, key from rag_bench.idempotency where not {_FRESH}
        for update skip locked)
""")


@dataclass(frozen=True)
class Named:
    """A request that named a key. ``subject`` and ``route``: whose it is and for what."""

    subject: str
    route: str
    key: str
    body_hash: str


@dataclass(frozen=True)
class First:
    """The record of the first request.

    Attributes:
        status: of its answer; None: it was not given yet.
        body: of the answer, to the byte.
        headers: of the answer.
        in_flight: whether who asked first may be waiting still.
    """

    body_hash: str
    run_id: str
    status: int | None
    body: str | None
    headers: Mapping[str, str]
    in_flight: bool


#: Seconds beyond its wait within which a first request must be answered, if its process lives.
_SLACK = 10.0


def find(connection: Connection, named: Named) -> First | None:
    """Return the record of the same subject, route and key, if it is not older than a day."""
    row = connection.execute(_FIND, vars(named)).one_or_none()
    if row is None:
        return None
    answered = row.status is not None
    return First(
        row.body_hash,
        row.run_id,
        row.status,
        row.response,
        row.headers if answered else {},
        not answered and row.age < float(row.headers.get("wait", 0)) + _SLACK,
    )


def begin(connection: Connection, named: Named, run_id: str, wait: float) -> bool:
    """Write the record of a run that is about to be made; False: there is one already.

    ``wait``: seconds that the answer may take.
    """
    given = {**vars(named), "run_id": run_id, "wait": wait}
    return connection.execute(_BEGIN, given).first() is not None


def answer(
    connection: Connection,
    named: Named,
    run_id: str,
    status: int,
    body: str,
    headers: Mapping[str, str],
) -> None:
    """Keep the first answer; one that is kept stays."""
    given = {"status": status, "body": body, "headers": json.dumps(dict(headers))}
    connection.execute(_ANSWER, {**vars(named), "run_id": run_id, **given})


def prune(connection: Connection) -> None:
    """Remove records that are of no use any more."""
    connection.execute(_PRUNE)
