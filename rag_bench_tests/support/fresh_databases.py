"""Databases for tests to write to, each a copy of one template and each given to one test only.

Copying and dropping a database moves hundreds of files, which takes longer than most tests. So a
copy that a test hands back is emptied and goes to the next test under a new name. Nothing is handed
on with it: connections are ended first, whoever still has the old name finds no such database, and
a copy is dropped unless its schema is what the template's is, to the last row of the catalogs, and
every row that it came with is still there.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from rag_bench.store.embedded import EmbeddedServer

#: How long connections may take to end.
_END_SECONDS = 30
_LOOK_SECONDS = 0.002
#: Emptying a table gives it new files, which this catalog names. So here, what else a relation is.
_RELATIONS = """
select count(*), md5(string_agg(concat_ws(' ', oid, relname, relnamespace, reltype, reloftype,
    relowner, relam, reltablespace, reltoastrelid, relhasindex, relpersistence, relkind, relnatts,
    relchecks, relhasrules, relhastriggers, relhassubclass, relrowsecurity, relforcerowsecurity,
    relreplident, relispartition, relacl::text, reloptions::text), ',' order by oid))
from pg_class
"""
#: Of every other catalog of the database: how many rows, and by which transactions. What a server
#: does by itself leaves them alone, but for its statistics.
_CATALOGS = """
select oid::regclass::text from pg_class
where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r' and not relisshared
    and relname not in ('pg_class', 'pg_statistic')
order by 1
"""
_COUNT = "select {name}, count(*), max(xmin::text::bigint) from {catalog}"
_STATISTICS = """
select count(*) from pg_statistic where starelid in (
    select oid from pg_class where relnamespace <> 'pg_catalog'::regnamespace)
"""
#: What belongs to the database and is kept outside of it.
_OUTSIDE = """
select datdba, datallowconn, datconnlimit, datacl::text,
    (select count(*) from pg_db_role_setting where setdatabase = d.oid)
from pg_database d where datname = current_database()
"""
_END = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
_TABLES = """
select oid::regclass::text from pg_class
where relkind = 'r' and relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
    and pg_relation_size(oid) > 0
"""
_REFERENCES = """
select conrelid::regclass::text, confrelid::regclass::text from pg_constraint where contype = 'f'
"""
_SEQUENCES = """
select format('%I.%I', schemaname, sequencename), coalesce(last_value, start_value),
    last_value is not null
from pg_sequences order by 1
"""
#: Of a transaction that has begun now; those before it have lower numbers.
_NOW = "select pg_current_xact_id()::text::bigint % 4294967296"
_OLD = "select count(*) from {table} where xmin::text::bigint < %s"
_DELETE = "delete from {table} where xmin::text::bigint >= {since}"


def _catalogs(connection: psycopg.Connection[Any]) -> sql.Composed:
    """Return the query that sums up all catalogs but that of relations."""
    names = [name for (name,) in connection.execute(_CATALOGS)]
    counted = [
        sql.SQL(_COUNT).format(name=sql.Literal(name), catalog=sql.SQL(name)) for name in names
    ]
    return sql.SQL(" union all ").join(counted)


@dataclass
class FreshDatabases:
    """The copies of ``template``, which stays as it is."""

    server: EmbeddedServer
    template: str
    _admin: psycopg.Connection[Any] = field(init=False)
    _ready: list[str] = field(init=False, default_factory=list)
    _taken: set[str] = field(init=False, default_factory=set)
    _question: sql.Composed = field(init=False)
    _schema: list[tuple[Any, ...]] = field(init=False)
    #: Tables that have rows in the template, with their numbers; those rows' transactions are
    #: before `_since`.
    _kept: dict[str, int] = field(init=False)
    _since: int = field(init=False)
    _sequences: list[tuple[Any, ...]] = field(init=False)
    #: Of each table, those that refer to it, and it.
    _referring: dict[str, set[str]] = field(init=False)

    def __post_init__(self) -> None:
        self._admin = psycopg.connect(self.server.url("postgres"), autocommit=True)
        # Asked of a copy: nothing can be copied from while there are connections to it.
        first = self._copy()
        with psycopg.connect(self.server.url(first), autocommit=True) as connection:
            self._question = _catalogs(connection)
            self._schema = self._look(connection)
            ((self._since,),) = connection.execute(_NOW).fetchall()
            self._kept = {}
            for (table,) in connection.execute(_TABLES).fetchall():
                if n := self._old_rows(connection, table):
                    self._kept[table] = n
            self._sequences = connection.execute(_SEQUENCES).fetchall()
            self._referring = _closed(connection.execute(_REFERENCES).fetchall())
        self._ready.append(first)

    def take(self) -> str:
        """Return the name of a database that nobody has had."""
        if not self._ready:
            name = self._copy()
            self._taken.add(name)
            return name
        old, name = self._ready.pop(), _new_name()
        self._end_connections(old)
        rename = sql.SQL("alter database {} rename to {}")
        self._admin.execute(rename.format(sql.Identifier(old), sql.Identifier(name)))
        self._taken.add(name)
        return name

    def give_back(self, name: str) -> None:
        """End what is connected to a database, and keep it for another test if it can be."""
        self._taken.discard(name)
        if self._emptied(name):
            self._ready.append(name)
        else:
            self._drop(name)

    def close(self) -> None:
        """Drop the copies that are there, those too that nobody gave back."""
        for name in (*self._ready, *self._taken):
            self._drop(name)
        self._ready.clear()
        self._taken.clear()
        self._admin.close()

    def _emptied(self, name: str) -> bool:
        self._end_connections(name)
        try:
            with psycopg.connect(self.server.url(name), autocommit=True) as connection:
                # Before it is emptied: a table that is not as it was may not be emptied, either.
                if self._look(connection) != self._schema:
                    return False
                # Some tables forbid it by a trigger.
                connection.execute("set session_replication_role = replica")
                for statement in self._removing(connection):
                    connection.execute(statement)
                if any(self._old_rows(connection, table) != n for table, n in self._kept.items()):
                    return False
                for now, was in zip(
                    connection.execute(_SEQUENCES).fetchall(), self._sequences, strict=True
                ):
                    if now != was:
                        connection.execute("select setval(%s::regclass, %s, %s)", was)
        except psycopg.OperationalError:  # not there any more, or does not let us in
            return False
        return True

    def _removing(self, connection: psycopg.Connection[Any]) -> Iterable[sql.Composed]:
        """Return the statements that remove all rows but the template's."""
        empty: set[str] = set()
        for (table,) in connection.execute(_TABLES).fetchall():
            also = self._referring.get(table, {table})
            if also.isdisjoint(self._kept):
                empty |= also
            else:
                yield sql.SQL(_DELETE).format(table=sql.SQL(table), since=sql.Literal(self._since))
        if empty:
            yield sql.SQL("truncate {}").format(sql.SQL(", ").join(map(sql.SQL, sorted(empty))))

    def _old_rows(self, connection: psycopg.Connection[Any], table: str) -> int:
        """Return how many of a table's rows are the template's: changed ones are others."""
        query = sql.SQL(_OLD).format(table=sql.SQL(table))
        ((n,),) = connection.execute(query, (self._since,)).fetchall()
        return int(n)

    def _look(self, connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
        """Return what tells one schema from another."""
        return [
            *sorted(connection.execute(self._question)),
            *connection.execute(_RELATIONS),
            *connection.execute(_STATISTICS),
            *connection.execute(_OUTSIDE),
        ]

    def _end_connections(self, name: str) -> None:
        """End what is connected to a database, and wait until it has."""
        end = time.monotonic() + _END_SECONDS
        # The server's own wait looks ten times a second, which is longer than most of them need.
        while self._admin.execute(_END, (name,)).fetchall():
            if time.monotonic() > end:
                raise TimeoutError(f"connections to {name} do not end")
            time.sleep(_LOOK_SECONDS)

    def _copy(self) -> str:
        name = _new_name()
        self._admin.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(self.template)
            )
        )
        return name

    def _drop(self, name: str) -> None:
        self._admin.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )


#: By the URL of the template.
_COPIES: dict[str, FreshDatabases] = {}


def copies_of(server: EmbeddedServer, template: str) -> FreshDatabases:
    """Return the copies of a template that stays as it is; to be closed by `close_all`."""
    url = server.url(template)
    if url not in _COPIES:
        _COPIES[url] = FreshDatabases(server, template)
    return _COPIES[url]


def close_all() -> None:
    """Drop all copies that were handed back."""
    while _COPIES:
        _COPIES.popitem()[1].close()


def _new_name() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"


def _closed(references: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Return of each table that is referred to: it, and all that refer to it at any remove."""
    referring: dict[str, set[str]] = {}
    pairs = list(references)
    for _, to in pairs:
        found, new = set[str](), {to}
        while new:
            found |= new
            new = {one for one, other in pairs if other in new} - found
        referring[to] = found
    return referring
