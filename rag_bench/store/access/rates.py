"""Requests a minute, counted by the database for all processes together.

The generic cell rate algorithm (ITU-T I.371): one row per subject says when its whole minute is
free again, and a request moves that on by 60 / N seconds. So N requests may come at once, then one
each 60 / N seconds, and no window's edge lets through twice as many. One statement per request.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

_TAKE = text("""
    insert into rag_bench.request_rate as r (subject, free_at)
    values (:subject, clock_timestamp() + make_interval(secs => :cost))
    on conflict (subject) do update
    set free_at = greatest(r.free_at, clock_timestamp()) + make_interval(secs => :cost)
    where r.free_at <= clock_timestamp() + make_interval(secs => 60 - :cost)
    returning 1
""")
# The same for a key that is good, together with the key: a request of one costs one statement. When
# it was used is noted with it, to the minute: a write per request would cost more than it tells.
_TAKE_OF_KEY = text("""
    with found as (
        select *, expires_at <= now() as past from rag_bench.api_key where id = :id
    ), cost as (
        select 'key:' || id as subject, 60.0 / coalesce(requests_per_minute, :per_minute) as seconds
        from found where secret_hash = :secret_hash and revoked_at is null
            and (expires_at is null or expires_at > now())
    ), taken as (
        insert into rag_bench.request_rate as r (subject, free_at)
        select subject, clock_timestamp() + make_interval(secs => seconds) from cost
        on conflict (subject) do update
        set free_at = greatest(r.free_at, clock_timestamp())
            + make_interval(secs => (select seconds from cost))
        where r.free_at
            <= clock_timestamp() + make_interval(secs => 60 - (select seconds from cost))
        returning 1
    ), used as (
        update rag_bench.api_key k set last_used_at = now() from cost
        where k.id = :id and coalesce(k.last_used_at < now() - interval '1 minute', true)
    )
    select found.*, exists(select from taken) as taken from found
""")
_WAIT = text("""
    select extract(epoch from free_at - clock_timestamp())::float8 + :cost - 60
    from rag_bench.request_rate where subject = :subject
""")
_PRUNE = text("""
    delete from rag_bench.request_rate where subject in (
        select subject from rag_bench.request_rate where free_at < clock_timestamp()
        for update skip locked)
""")


def take(connection: Connection, subject: str, per_minute: int) -> int | None:
    """Count one request; None if it may go on, else the seconds to wait, at least 1."""
    given = {"subject": subject, "cost": 60 / per_minute}
    if connection.execute(_TAKE, given).first():
        return None
    wait = connection.execute(_WAIT, given).scalar()
    return max(1, math.ceil(float(wait or 0)))


def take_of_key(
    connection: Connection, key_id: str, secret_hash: str, per_minute: int
) -> Row | None:
    """Count one request of a key, note its use and return its row; None: there is no such key.

    ``taken`` of the row: whether the request may go on. It was not counted where the hash is
    another's or the key is not good any more. ``per_minute``: of keys without their own number.
    """
    given = {"id": key_id, "secret_hash": secret_hash, "per_minute": per_minute}
    return connection.execute(_TAKE_OF_KEY, given).one_or_none()


def prune(connection: Connection) -> None:
    """Remove the rows that say nothing any more."""
    connection.execute(_PRUNE)
