"""Scratch databases on the user's own server: made, copied, dropped; leftovers too."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rag_bench.errors import ConfigurationError
from rag_bench.hashing import text_hash
from rag_bench.store.database import libpq_url, only_one, parse_url

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Engine

#: A name that nobody gives a database of their own: leftovers of killed runs are dropped by it.
PREFIX = "rag_bench_self_test_"
_LOCK = "self-test on planted faults"


class Scratch:
    """Databases beside one of the user's, which is only connected to, never written."""

    def __init__(self, url: str, owner: str) -> None:
        self._url, self._prefix = url, f"{PREFIX}{owner}_"

    def new(self, template: str | None = None) -> str:
        """Make an empty database, or a copy of one that nobody is connected to; return its URL."""
        from psycopg import sql

        name = f"{self._prefix}{uuid.uuid4().hex[:12]}"
        made = sql.SQL("create database {}").format(sql.Identifier(name))
        if template is None:
            made += sql.SQL(" template template0 encoding 'UTF8'")
        else:
            made += sql.SQL(" template {}").format(sql.Identifier(_name(template)))
        # Nothing here has to outlive a power cut.
        quick = sql.SQL("alter database {} set synchronous_commit = off")
        with _connected(self._url) as connection:
            connection.execute(made)
            connection.execute(quick.format(sql.Identifier(name)))
        changed = parse_url(self._url, "psycopg").set(database=name)
        return libpq_url(changed.render_as_string(hide_password=False))

    def drop(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        with _connected(self._url) as connection:
            _drop(connection, _name(url))

    def left(self) -> Sequence[str]:
        """Return the names of the databases that there are of this owner's."""
        query = "select datname from pg_database where starts_with(datname, %s) order by datname"
        with _connected(self._url) as connection:
            return [str(name) for (name,) in connection.execute(query, [self._prefix]).fetchall()]

    def drop_all(self) -> None:
        """Drop them all."""
        names = self.left()
        with _connected(self._url) as connection:
            for name in names:
                _drop(connection, name)


@contextmanager
def scratch(engine: Engine) -> Iterator[Scratch]:
    """Hold the only right to scratch databases beside this one; none is left at the end.

    What a killed run has left is dropped at the beginning, too.

    Raises:
        ConfigurationError: the server lets its user make no databases.
    """
    import psycopg

    url = libpq_url(engine.url.render_as_string(hide_password=False))
    found = Scratch(url, text_hash(_name(url))[:8])
    with only_one(engine, _LOCK, lambda: None):
        try:
            found.drop_all()
            yield found
        except psycopg.errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                "The self-test needs databases of its own beside yours, and the server lets this "
                f"user make none ({error.diag.message_primary}). Allow it (alter role … createdb), "
                "or use the embedded server: unset RAG_BENCH_DATABASE_URL."
            ) from None
        finally:
            found.drop_all()


def _name(url: str) -> str:
    return str(parse_url(url, "psycopg").database)


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def _drop(connection: psycopg.Connection[Any], name: str) -> None:
    from psycopg import sql

    connection.execute(
        sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    )
