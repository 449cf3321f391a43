"""Settings under which something was measured, and which of them are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, exists, func, select
from sqlalchemy.dialects.postgresql import array

from rag_bench.errors import RagBenchError
from rag_bench.retrievers import DEFAULT, name_in
from rag_bench.store.datasets import EVALUATED
from rag_bench.store.evaluations.records import Kind
from rag_bench.store.tables import dataset, evaluation

if TYPE_CHECKING:
    from sqlalchemy import Engine


def settings_seen(engine: Engine, *, tier: str, kind: Kind) -> list[tuple[str, dict[str, Any]]]:
    """Return the newest settings (hash, content) under which a kind of evaluation exists."""
    newest = (
        select(evaluation.c.settings_hash, func.max(evaluation.c.id).label("id"))
        .where(evaluation.c.tier == tier, evaluation.c.kind == kind)
        .group_by(evaluation.c.settings_hash)
        .subquery()
    )
    query = (
        select(evaluation.c.settings_hash, evaluation.c.settings)
        .join(newest, and_(newest.c.id == evaluation.c.id))
        .order_by(evaluation.c.id.desc())
        .limit(5)
    )
    with engine.connect() as connection:
        return [(row.settings_hash, row.settings) for row in connection.execute(query)]


# Of fresh replicates of some cases, and of what tells causes apart: no results of their own.
_NO_RESULTS = array(["replicate", "corner"])


@dataclass(frozen=True)
class MeasuredSettings:
    """Settings under which a generation model was measured.

    Attributes:
        limit: only so many questions.
        retriever: what the retriever was called.
        dataset_id: of the questions.
    """

    settings_hash: str
    limit: int | None
    retriever: str = DEFAULT
    dataset_id: str | None = None

    @classmethod
    def newest_first(cls, engine: Engine) -> list[MeasuredSettings]:
        """Return all of them, those of the newest usable evaluation first."""
        columns = evaluation.c
        query = (
            select(columns.settings_hash, columns.settings, columns.id)
            .distinct(columns.settings_hash)
            .where(
                columns.generation_model.is_not(None),
                columns.status.in_(["succeeded", "partial"]),
                ~columns.settings.has_any(_NO_RESULTS),
                ~exists().where(dataset.c.id == columns.dataset_id, dataset.c.kind == EVALUATED),
            )
            .order_by(columns.settings_hash, columns.id.desc())
        )
        with engine.connect() as connection:
            rows = sorted(connection.execute(query), key=lambda row: -row.id)
        return [
            cls(
                row.settings_hash,
                row.settings.get("limit"),
                name_in(row.settings),
                row.settings.get("dataset_id"),
            )
            for row in rows
        ]


def newest_settings_hash(engine: Engine) -> str | None:
    """Return the settings hash that is shown where none is named: of the newest whole run.

    A trial with a limit measured other things than the runs that it was a trial for: it is shown
    by default only where there is nothing else.
    """
    found = MeasuredSettings.newest_first(engine)
    whole = [settings for settings in found if settings.limit is None]
    return next((settings.settings_hash for settings in whole or found), None)


def find_settings_hash(engine: Engine, wanted: str) -> str | None:
    """Return the settings hash that ``wanted`` is, or begins; None if there is none.

    Raises:
        RagBenchError: several begin so.
    """
    columns = evaluation.c
    query = (
        select(columns.settings_hash)
        .where(columns.settings_hash.startswith(wanted, autoescape=True))
        .distinct()
        .order_by(columns.settings_hash)
    )
    with engine.connect() as connection:
        found = list(connection.execute(query).scalars())
    if wanted in found or len(found) < 2:
        return wanted if wanted in found else next(iter(found), None)
    raise RagBenchError(
        f"{len(found)} settings hashes begin with {wanted}: write more of it. "
        f"{', '.join(found[:5])}{' …' if len(found) > 5 else ''}"
    )
