"""A database that a test handed back is as good as a new one, or nobody gets it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from fresh_databases import FreshDatabases

from rag_bench.store.embedded import EmbeddedServer

#: The id of a database, which a new name leaves as it is.
ID: LiteralString = "select oid from pg_database where datname = current_database()"
WRITE: LiteralString = (
    "insert into rag_bench.audit (action, outcome, trace_id) values ('a', 'b', 'c') returning id"
)
VERSION: LiteralString = "select version_num from rag_bench.alembic_version"


@pytest.fixture
def databases(server: EmbeddedServer, template_database: str) -> Iterator[FreshDatabases]:
    made = FreshDatabases(server, template_database)
    yield made
    made.close()


def asked(databases: FreshDatabases, name: str, query: LiteralString) -> Any:
    """Run a statement in a database; return the first field of its first row, if it has any."""
    with psycopg.connect(databases.server.url(name), autocommit=True) as connection:
        cursor = connection.execute(query)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def test_what_a_test_wrote_is_gone_and_numbers_begin_anew(databases: FreshDatabases) -> None:
    first = databases.take()
    number, version = asked(databases, first, ID), asked(databases, first, VERSION)
    written = asked(databases, first, WRITE)
    databases.give_back(first)
    second = databases.take()
    assert asked(databases, second, ID) == number
    assert asked(databases, second, "select count(*) from rag_bench.audit") == 0
    assert asked(databases, second, WRITE) == written == 1
    assert asked(databases, second, VERSION) == version is not None


def test_a_number_that_was_taken_and_not_used_is_given_again(databases: FreshDatabases) -> None:
    first = databases.take()
    asked(databases, first, "select nextval('rag_bench.audit_id_seq')")
    databases.give_back(first)
    assert asked(databases, databases.take(), WRITE) == 1


def test_who_has_the_old_name_reaches_nobody(databases: FreshDatabases) -> None:
    first = databases.take()
    left = psycopg.connect(databases.server.url(first))
    left.execute("select 1")
    databases.give_back(first)
    again = psycopg.connect(databases.server.url(first))
    second = databases.take()
    assert second != first
    for connection in (left, again):
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(databases.server.url(first))


def test_two_at_once_are_two(databases: FreshDatabases) -> None:
    one, other = databases.take(), databases.take()
    assert asked(databases, one, ID) != asked(databases, other, ID)
    asked(databases, one, WRITE)
    assert asked(databases, other, "select count(*) from rag_bench.audit") == 0


@pytest.mark.parametrize(
    "change",
    [
        "create table rag_bench.own (n int)",
        "create table public.own (n int)",
        "alter table rag_bench.audit add column own int",
        "alter table rag_bench.audit disable trigger all",
        "alter table rag_bench.audit alter column code set default 'own'",
        "alter table rag_bench.llm_call set unlogged",
        "create index on rag_bench.audit (code)",
        "drop schema rag_bench cascade",
        "create function own() returns int language sql return 1",
        "grant select on rag_bench.audit to public",
        "update rag_bench.alembic_version set version_num = 'own'",
        "delete from rag_bench.alembic_version",
        "select lo_create(0)",
        "do $$ begin execute format('alter database %I set work_mem = ''1MB''', "
        "current_database()); end $$",
        "comment on schema rag_bench is 'own'",
        # What a server finds out about rows lets it answer in another order.
        "analyze rag_bench.alembic_version",
    ],
)
def test_another_schema_is_dropped(databases: FreshDatabases, change: LiteralString) -> None:
    first = databases.take()
    number = asked(databases, first, ID)
    asked(databases, first, change)
    databases.give_back(first)
    second = databases.take()
    assert asked(databases, second, ID) != number
    assert asked(databases, second, WRITE) == 1


def test_one_that_a_test_dropped_itself_is_replaced(databases: FreshDatabases) -> None:
    first = databases.take()
    asked(databases, "postgres", f'drop database "{first}"')  # type: ignore[arg-type]
    databases.give_back(first)
    assert asked(databases, databases.take(), WRITE) == 1


def test_none_is_left_behind(server: EmbeddedServer, template_database: str) -> None:
    made = FreshDatabases(server, template_database)
    names = {made.take(), made.take()}
    for name in names:
        made.give_back(name)
    last = made.take()
    made.give_back(last)
    made.close()
    query = "select count(*) from pg_database where datname = any(%s)"
    with psycopg.connect(server.url("postgres")) as admin:
        assert admin.execute(query, ([*names, last],)).fetchone() == (0,)
