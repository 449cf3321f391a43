"""Which database the program talks to, and how it connects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rag_bench.errors import ConfigurationError
from rag_bench.settings import Settings, get_settings
from rag_bench.store.embedded import DAGSTER_DATABASE, EmbeddedServer

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

_POSTGRESQL_SCHEMES = {"postgresql", "postgres"}


def parse_url(url: str, driver: str) -> URL:
    """Return the URL of a PostgreSQL for one driver (``psycopg`` or ``psycopg2``).

    Raises:
        ConfigurationError: the URL is not one of PostgreSQL. The message never holds the
            password.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the second for a port that is no number
        raise ConfigurationError(
            "RAG_BENCH_DATABASE_URL is not a database URL; "
            "expected postgresql://user:password@host:5432/database"
        ) from None
    if parsed.drivername.split("+")[0] not in _POSTGRESQL_SCHEMES:
        raise ConfigurationError(
            f"RAG_BENCH_DATABASE_URL names {parsed.drivername!r}; only PostgreSQL is supported."
        )
    return parsed.set(drivername=f"postgresql+{driver}")


def ensure_database(settings: Settings | None = None) -> str:
    """Return the URL of a reachable database, starting the embedded server if it is ours.

    Raises:
        ConfigurationError: the user's own server does not let us in. The message never holds
            the password.
        EmbeddedServerError: the embedded server does not start.
    """
    settings = settings or get_settings()
    if not settings.database_url:
        return EmbeddedServer(settings.home).start()
    import psycopg

    try:
        psycopg.connect(libpq_url(settings.database_url), connect_timeout=10).close()
    except psycopg.Error as error:
        url = parse_url(settings.database_url, "psycopg")
        cause = " ".join(str(error).split())
        if url.password:
            cause = cause.replace(str(url.password), "***")
        raise ConfigurationError(
            f"The database of RAG_BENCH_DATABASE_URL cannot be reached: {cause}. Check the URL, "
            "or unset it to use the embedded server."
        ) from None
    return settings.database_url


def database_url(settings: Settings | None = None) -> str:
    """Return the URL without starting anything: the user's own, or the embedded server's."""
    settings = settings or get_settings()
    return settings.database_url or EmbeddedServer(settings.home).url()


def make_engine(url: str | None = None, *, application_name: str = "rag_bench") -> Engine:
    """Return an SQLAlchemy engine on psycopg 3 for ``url`` (default: the configured one)."""
    from sqlalchemy import create_engine

    engine = create_engine(
        parse_url(url or database_url(), "psycopg"),
        pool_use_lifo=True,  # the one used last knows the statements, and others may close
        hide_parameters=True,  # an error goes into a log, and values are users' words
        connect_args={"application_name": application_name},
    )
    replace_lost_connections(engine)
    return engine


def quick_engine(engine: Engine) -> Engine:
    """Return an engine on the same database for single statements that stand for themselves.

    Nothing to begin and to commit, no wait for the disk, and at most a second for a lock; with
    connections of its own, so that who has them all does not hold these up.
    """
    from sqlalchemy import create_engine

    quick = create_engine(
        engine.url,
        isolation_level="AUTOCOMMIT",
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={
            "application_name": "rag_bench",
            "options": "-c lock_timeout=1s -c synchronous_commit=off",
        },
    )
    replace_lost_connections(quick)
    return quick


def replace_lost_connections(engine: Engine) -> None:
    """Let an engine's pool give out no connection that the server has ended.

    As `pool_pre_ping`, which asks the server each time, does; but it is asked only if a connection
    that should be silent has something to say, as one does that was ended (end of file) or is
    about to be (a notice). So a connection that is taken costs no way to the server and back.
    """
    from select import POLLIN, poll

    import psycopg
    from sqlalchemy import event
    from sqlalchemy.exc import InvalidatePoolError

    @event.listens_for(engine, "checkout")
    def look(connection: psycopg.Connection, record: object, proxy: object) -> None:
        try:
            looked = poll()
            looked.register(connection.fileno(), POLLIN)
            if looked.poll(0):
                engine.dialect.do_ping(connection)  # type: ignore[arg-type]
        except psycopg.Error as error:  # the others are of the same server, most likely
            raise InvalidatePoolError() from error


def libpq_url(url: str) -> str:
    """Return ``url`` as libpq, psql and psycopg read it, without an SQLAlchemy driver name."""
    rendered = parse_url(url, "psycopg").set(drivername="postgresql")
    base, mark, query = rendered.render_as_string(hide_password=False).partition("?")
    # libpq takes no bare space (of a password), and reads a plus as a plus.
    return base.replace(" ", "%20") + mark + query.replace("+", "%20")


def dagster_url(settings: Settings, application_url: str) -> str:
    """Return the URL of Dagster's own storage, for psycopg2 (dagster-postgres needs it).

    Beside ours on the same server, in a database of its own; a server that does not let us
    create one keeps Dagster's tables in the public schema of ours.
    """
    import psycopg
    from psycopg import sql

    if settings.dagster_database_url:
        url = parse_url(settings.dagster_database_url, "psycopg2")
        return url.render_as_string(hide_password=False)
    url = parse_url(application_url, "psycopg2")
    # A process may have been given the embedded server's URL by the one that started it.
    embedded = EmbeddedServer(settings.home).url() == libpq_url(application_url)
    name = DAGSTER_DATABASE if embedded else f"{url.database}_dagster"
    with psycopg.connect(libpq_url(application_url), autocommit=True) as connection:
        found = connection.execute(
            "select 1 from pg_database where datname = %s", [name]
        ).fetchone()
        if not found:
            try:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            except psycopg.errors.DuplicateDatabase:
                pass
            except psycopg.Error:
                name = str(url.database)
    return url.set(database=name).render_as_string(hide_password=False)


@contextmanager
def only_one(engine: Engine, what: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the database's lock named ``what`` in the block; calls ``waiting`` if another has it.

    The lock is the session's (`pg_advisory_lock`), so a killed process gives it back.
    """
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    key = {"what": f"rag_bench {what}"}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        got = connection.execute(
            text("select pg_try_advisory_lock(hashtextextended(:what, 0))"), key
        ).scalar()
        if not got:
            waiting()
            connection.execute(text("select pg_advisory_lock(hashtextextended(:what, 0))"), key)
        try:
            yield
        finally:
            with suppress(DBAPIError):  # a lost connection has no lock any more
                connection.execute(
                    text("select pg_advisory_unlock(hashtextextended(:what, 0))"), key
                )
