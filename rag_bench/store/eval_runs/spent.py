"""What a subject has open and has spent today; the day is UTC's, by the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ONE_STARTS = text(
    "select pg_advisory_xact_lock(hashtextextended('rag_bench eval_run of ' || :subject, 0))"
)
_TODAY = "(now() at time zone 'utc')::date"
# Ids begin with the milliseconds of their making (`creating.new_id`), so that of all runs of a
# subject only the newest are read. A run that began today may have waited since the day before.
_FIRST = f"""lpad(to_hex((
    extract(epoch from ({_TODAY} - 2)::timestamp at time zone 'utc') * 1000)::bigint), 12, '0')"""
# What the subject's runs were granted is counted as spent: a part of it is in flight, and that of a
# process that died may have been. A run that was executed by something that shares no budget counts
# by its row.
SPENT = text(f"""
    with granted as (
        select coalesce(sum(granted_calls), 0)::bigint as calls,
               coalesce(sum(granted_usd), 0) as usd
        from rag_bench.budget_share where budget = :subject_day || {_TODAY}
    ), rows as (
        select coalesce(sum(n_calls), 0)::bigint as calls, coalesce(sum(cost_usd), 0) as usd
        from rag_bench.eval_run
        where subject = :subject and id >= {_FIRST}
          and (started_at at time zone 'utc')::date = {_TODAY}
    )
    select (select count(*) from rag_bench.eval_run
            where subject = :subject and status in ('queued', 'running')) as open,
           greatest(granted.calls, rows.calls) as calls, greatest(granted.usd, rows.usd) as usd,
           ceil(extract(epoch from ({_TODAY} + 1) - (now() at time zone 'utc')))::int as rest
    from granted, rows
""")
_DAY = text(f"select {_TODAY}::text")


@dataclass(frozen=True)
class Spent:
    """A subject's open runs, today's calls and money, and the seconds that are left of the day."""

    open: int
    calls: int
    usd: Decimal
    seconds_left: int


def budget_name(subject: str, day: str = "") -> str:
    """Return the name of the budget that a subject's runs of one day share."""
    return f"eval runs of {subject} on {day}"


def today(connection: Connection) -> str:
    """Return the day that it is for the database, ``YYYY-MM-DD``."""
    return str(connection.execute(_DAY).scalar_one())


def spent(connection: Connection, subject: str) -> Spent:
    """Return what a subject has open and has spent; until the transaction ends nobody else gets
    an answer for this subject, so that what follows from it cannot be outrun.
    """
    connection.execute(_ONE_STARTS, {"subject": subject})
    given = {"subject": subject, "subject_day": budget_name(subject)}
    return Spent(*connection.execute(SPENT, given).one())
