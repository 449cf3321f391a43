"""A database that a test handed back is as good as a new one, or nobody gets it."""

from __future__ import annotations

import uuid
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
    kept = made.take()
    made.close()
    query = "select count(*) from pg_database where datname = any(%s)"
    with psycopg.connect(server.url("postgres")) as admin:
        assert admin.execute(query, ([*names, kept],)).fetchone() == (0,)


PAGES: LiteralString = "select coalesce(string_agg(word, ' ' order by id), '') from page"
BEFORE: LiteralString = """
create table page (id serial primary key, word text not null);
create table link (id serial primary key, page int not null references page);
create table visit (link int not null references link);
create table note (id serial primary key, word text not null);
insert into page (word) values ('one'), ('two');
insert into link (page) values (1);
"""


@pytest.fixture
def filled(server: EmbeddedServer) -> Iterator[FreshDatabases]:
    """Copies of a template that has rows: two pages and a link."""
    name = f"test_filled_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'create database "{name}"')  # type: ignore[arg-type]
        with psycopg.connect(server.url(name), autocommit=True) as connection:
            connection.execute(BEFORE)
        made = FreshDatabases(server, name)
        yield made
        made.close()
        admin.execute(f'drop database "{name}" with (force)')  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "write",
    [
        "insert into page (word) values ('three')",
        "insert into visit values (1)",
        "insert into note (word) values ('a')",
        "insert into page (word) values ('three'); insert into link (page) values (3); "
        "insert into visit values (2); insert into note (word) values ('a')",
        "insert into page (word) values ('three'); delete from page where id = 3",
        "insert into note (word) select 'a' from generate_series(1, 1000)",
    ],
)
def test_rows_of_the_template_stay_and_others_go(
    filled: FreshDatabases, write: LiteralString
) -> None:
    first = filled.take()
    number = asked(filled, first, ID)
    asked(filled, first, write)
    filled.give_back(first)
    second = filled.take()
    assert asked(filled, second, ID) == number
    assert asked(filled, second, PAGES) == "one two"
    assert asked(filled, second, "select count(*) from link") == 1
    assert asked(filled, second, "select count(*) from visit") == 0
    assert asked(filled, second, "insert into page (word) values ('x') returning id") == 3
    assert asked(filled, second, "insert into link (page) values (3) returning id") == 2
    assert asked(filled, second, "insert into note (word) values ('x') returning id") == 1


@pytest.mark.parametrize(
    "change",
    [
        "update page set word = 'zwei' where id = 2",
        "update page set word = word",
        "delete from page where id = 2",
        "delete from page where id = 2; insert into page values (2, 'two')",
        "truncate link cascade",
    ],
)
def test_a_row_of_the_template_that_was_touched_is_a_reason_to_drop(
    filled: FreshDatabases, change: LiteralString
) -> None:
    first = filled.take()
    number = asked(filled, first, ID)
    asked(filled, first, change)
    filled.give_back(first)
    second = filled.take()
    assert asked(filled, second, ID) != number
    assert asked(filled, second, PAGES) == "one two"
    assert asked(filled, second, "select count(*) from link") == 1
