"""What gates said of releases; only appended to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from rag_bench.store.releases.tables import release_verdict

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True)
class StoredVerdict:
    """One row; ``said``: everything that the gate said it by."""

    id: int
    settings_hash: str
    outcome: str
    said: Mapping[str, Any]
    dagster_run_id: str | None
    created_at: datetime


def append(
    engine: Engine,
    settings_hash: str,
    outcome: str,
    said: Mapping[str, Any],
    *,
    run_id: str | None = None,
) -> int:
    """Store a verdict; returns its number."""
    made = (
        insert(release_verdict)
        .values(
            settings_hash=settings_hash, outcome=outcome, said=dict(said), dagster_run_id=run_id
        )
        .returning(release_verdict.c.id)
    )
    with engine.begin() as connection:
        return int(connection.execute(made).scalar_one())


def newest_verdict(engine: Engine, settings_hash: str | None = None) -> StoredVerdict | None:
    """Return the newest verdict, of one settings hash or of any; None if there is none."""
    query = select(release_verdict).order_by(release_verdict.c.id.desc()).limit(1)
    if settings_hash is not None:
        query = query.where(release_verdict.c.settings_hash == settings_hash)
    with engine.connect() as connection:
        row = connection.execute(query).mappings().one_or_none()
    return None if row is None else StoredVerdict(**row)
