"""Databases for tests to write to, each a copy of one template and each given to one test only.

Copying and dropping a database moves hundreds of files, which takes longer than most tests. So a
copy that a test hands back is emptied and goes to the next test under a new name. Nothing is handed
on with it: connections are ended first, whoever still has the old name finds no such database, and
a copy is dropped unless its schema is what the template's is, to the last row of the catalogs.
"""

from __future__ import annotations

import time
import uuid
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
_SEQUENCES = """
select setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
from pg_sequences where last_value is not null
"""


def _catalogs(connection: psycopg.Connection[Any]) -> sql.Composed:
    """Return the query that sums up all catalogs but that of relations."""
    names = [name for (name,) in connection.execute(_CATALOGS)]
    counted = [
        sql.SQL(_COUNT).format(name=sql.Literal(name), catalog=sql.SQL(name)) for name in names
    ]
    return sql.SQL(" union all ").join(counted)


@dataclass
class FreshDatabases:
    """The copies of ``template``, a database whose few rows belong to its schema."""

    server: EmbeddedServer
    template: str
    _admin: psycopg.Connection[Any] = field(init=False)
    _ready: list[str] = field(init=False, default_factory=list)
    #: Tables with rows in the template, and what they hold.
    _kept: dict[str, list[tuple[Any, ...]]] = field(init=False)
    _question: sql.Composed = field(init=False)
    _schema: list[tuple[Any, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self._admin = psycopg.connect(self.server.url("postgres"), autocommit=True)
        # Asked of a copy: nothing can be copied from while there are connections to it.
        first = self._copy()
        with psycopg.connect(self.server.url(first), autocommit=True) as connection:
            self._question = _catalogs(connection)
            self._kept = {
                name: _rows(connection, name) for (name,) in connection.execute(_TABLES).fetchall()
            }
            self._schema = self._look(connection)
        self._ready.append(first)

    def take(self) -> str:
        """Return the name of a database that nobody has had."""
        if not self._ready:
            return self._copy()
        old, name = self._ready.pop(), _new_name()
        self._end_connections(old)
        rename = sql.SQL("alter database {} rename to {}")
        self._admin.execute(rename.format(sql.Identifier(old), sql.Identifier(name)))
        return name

    def give_back(self, name: str) -> None:
        """End what is connected to a database, and keep it for another test if it can be."""
        if self._emptied(name):
            self._ready.append(name)
        else:
            self._drop(name)

    def close(self) -> None:
        """Drop the copies that are there."""
        for name in self._ready:
            self._drop(name)
        self._ready.clear()
        self._admin.close()

    def _emptied(self, name: str) -> bool:
        self._end_connections(name)
        try:
            with psycopg.connect(self.server.url(name), autocommit=True) as connection:
                # Before it is emptied: a table that is not as it was may not be emptied, either.
                if self._look(connection) != self._schema:
                    return False
                filled = {table for (table,) in connection.execute(_TABLES)}
                if not self._kept.keys() <= filled or any(
                    _rows(connection, table) != rows for table, rows in self._kept.items()
                ):
                    return False
                if others := sorted(filled - self._kept.keys()):
                    tables = sql.SQL(", ").join(map(sql.SQL, others))
                    # Some tables forbid it by a trigger.
                    connection.execute("set session_replication_role = replica")
                    connection.execute(sql.SQL("truncate {} cascade").format(tables))
                connection.execute(_SEQUENCES)
        except psycopg.OperationalError:  # not there any more, or does not let us in
            return False
        return True

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


def _new_name() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"


def _rows(connection: psycopg.Connection[Any], table: str) -> list[tuple[Any, ...]]:
    query = sql.SQL("select t::text from {} t order by 1").format(sql.SQL(table))
    return connection.execute(query).fetchall()
