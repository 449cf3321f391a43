"""The production system's database, filled with the demo's rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_bench.demo.corpus import Corpus
from rag_bench.demo.traffic import Exchange

if TYPE_CHECKING:
    import psycopg

SCHEMA_FILE = Path(__file__).with_name("production.sql")
MIGRATION_HEAD = "86c962b93381"
FIRST_CHUNK_ID = 92_401  # each nightly reindex renumbers: ids have grown far beyond the rows
DIMENSIONS = 1024

_REINDEXED_AT = datetime(2026, 2, 12, 13, 5, tzinfo=UTC)
_LONG_AGO = datetime(2023, 12, 1, 6, 0, tzinfo=UTC)
_NOBODY = 900_000_000_000  # messenger ids from here on belong to no one

# What a dump also holds and this project must never take; obviously nobody's.
_ADMINS = (
    ("Демо", "Администратор", None, "demo-admin@example.com", "Отдел-пример"),
    ("Demo", "Operator", None, "demo-operator@example.com", "Example office"),
)
_HOLIDAYS: tuple[tuple[Any, ...], ...] = (
    ("Новый год", "fixed", "Поздравь студентов с Новым годом.", 1, 1, None, None),
    ("День студента", "fixed", "Поздравь студентов с Татьяниным днём.", 1, 25, None, None),
    ("День учителя", "floating", "Поздравь преподавателей.", 10, None, 1, 7),
)


def placeholder_vector(text: str) -> str:
    """Return a unit vector of the production's size as pgvector writes it.

    It says nothing about the text (embeddings in a dump are not trusted by its readers): two
    coordinates, chosen by the text's hash, so that the column is filled and the file stays small.
    """
    digest = hashlib.sha256(text.encode()).digest()
    first = int.from_bytes(digest[:4], "big") % DIMENSIONS
    second = (first + 1 + int.from_bytes(digest[4:8], "big") % (DIMENSIONS - 1)) % DIMENSIONS
    values = ["0"] * DIMENSIONS
    values[first], values[second] = "0.6", "0.8"
    return f"[{','.join(values)}]"


def fill_production(
    connection: psycopg.Connection[Any], corpus: Corpus, traffic: Sequence[Exchange]
) -> None:
    """Create the production tables in an empty database and COPY the demo into them."""
    connection.execute(SCHEMA_FILE.read_bytes())
    connection.execute("insert into alembic_version values (%s)", [MIGRATION_HEAD])
    _copy(
        connection,
        "chunk",
        ("id", "confluence_url", "text", "embedding", "created_at"),
        (
            (FIRST_CHUNK_ID + place, page.url, text, placeholder_vector(text), _REINDEXED_AT)
            for place, (page, text) in enumerate(corpus.chunks())
        ),
    )
    first_seen = {row.user_id: row.created_at for row in reversed(traffic)}
    _copy(
        connection,
        "user",
        ("id", "vk_id", "telegram_id", "is_subscribed", "created_at"),
        (
            (
                user,
                _NOBODY + user if user % 3 else None,
                None if user % 3 else _NOBODY + user,
                user % 4 != 0,
                first_seen[user] or _LONG_AGO,
            )
            for user in sorted(first_seen)
        ),
    )
    _copy(
        connection,
        "question_answer",
        (
            *("id", "question", "embedding", "answer", "confluence_url", "score", "user_id"),
            *("created_at", "updated_at", "stop_point"),
        ),
        (
            (
                row.id,
                row.question,
                # Production embeds what a user liked: the only vectors that it has.
                placeholder_vector(row.answer) if row.score == 5 else None,
                row.answer,
                row.page_url,
                row.score,
                row.user_id,
                row.created_at,
                row.updated_at,
                row.stop_point,
            )
            for row in traffic
        ),
    )
    _copy(
        connection,
        "admin",
        (
            *("id", "name", "surname", "last_name", "email", "department"),
            *("password_hash", "created_at"),
        ),
        (
            (number, *admin, "!no-password-opens-this", _LONG_AGO + timedelta(days=number))
            for number, admin in enumerate(_ADMINS, 1)
        ),
    )
    _copy(
        connection,
        "holiday_template",
        (
            *("id", "name", "type", "template_llm", "month", "day", "week_number", "day_of_week"),
            *("vk", "tg", "male_holiday", "female_holiday", "created_at"),
        ),
        (
            (number, *holiday, True, True, False, False, _LONG_AGO)
            for number, holiday in enumerate(_HOLIDAYS, 1)
        ),
    )
    for table in ("chunk", "user", "question_answer", "admin", "holiday_template"):
        connection.execute(
            f"select setval(pg_get_serial_sequence('\"{table}\"', 'id'), max(id)) from \"{table}\""
        )


def _copy(
    connection: psycopg.Connection[Any],
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    names = ", ".join(columns)
    with connection.cursor().copy(f'copy "{table}" ({names}) from stdin') as copy:
        for row in rows:
            copy.write_row(row)
