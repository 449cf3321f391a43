"""Many rows at once: PostgreSQL's COPY, inside of a transaction that SQLAlchemy began."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rag_bench.store.tables import SCHEMA

if TYPE_CHECKING:
    from sqlalchemy import Connection


def copy_rows(
    connection: Connection, table: str, columns: str, rows: Iterable[tuple[Any, ...]]
) -> None:
    """Write rows by COPY on the transaction's own connection."""
    driver = connection.connection.driver_connection
    assert driver is not None
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {SCHEMA}.{table} ({columns}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)
