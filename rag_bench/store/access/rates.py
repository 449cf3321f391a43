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
    from sqlalchemy import Connection

_TAKE = text("""
    insert into rag_bench.request_rate as r (subject, free_at)
    values (:subject, clock_timestamp() + make_interval(secs => :cost))
    on conflict (subject) do update
    set free_at = greatest(r.free_at, clock_timestamp()) + make_interval(secs => :cost)
    where r.free_at <= clock_timestamp() + make_interval(secs => 60 - :cost)
    returning 1
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


def prune(connection: Connection) -> None:
    """Remove the rows that say nothing any more."""
    connection.execute(_PRUNE)
