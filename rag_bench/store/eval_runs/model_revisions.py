"""How often a model was changed behind its name: what the ledger had of it answers no more.

A number per model, which enters the keys of its calls and of what is measured of it. Replies and
results of before keep theirs, so they stay readable, and none is taken for the new one's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from rag_bench.store.eval_runs.tables import model_revision

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


def revise(connection: Connection, model: str, cause: str) -> int:
    """Note that a model is another one from now on; return its revision, the first is 1.

    Args:
        connection: in whose transaction.
        model: its key, ``<provider>/<model>``.
        cause: who or what said so.
    """
    row, again = model_revision.c, insert(model_revision).values(model=model, cause=cause)
    query = again.on_conflict_do_update(
        index_elements=[row.model],
        set_={"revision": row.revision + 1, "changed_at": func.now(), "cause": cause},
    )
    return int(connection.execute(query.returning(row.revision)).scalar_one())


def revisions(engine: Engine) -> Mapping[str, int]:
    """Return the revision of each model that was ever changed, by its key."""
    row = model_revision.c
    with engine.connect() as connection:
        return dict(connection.execute(select(row.model, row.revision)).tuples().all())


def changed_since(
    connection: Connection, models: Collection[str], since: datetime
) -> Mapping[str, datetime]:
    """Return which of these models were changed after a time, and when they were last."""
    row = model_revision.c
    query = select(row.model, row.changed_at).where(
        row.model.in_(list(models)), row.changed_at > since
    )
    return dict(connection.execute(query.order_by(row.model)).tuples().all())
