"""Alembic's entry point; ``rag_bench.store.migrate`` hands it a connection."""

from __future__ import annotations

from typing import Any

from alembic import context

from rag_bench.store.access import tables as _access  # noqa: F401
from rag_bench.store.drafts import tables as _drafts  # noqa: F401
from rag_bench.store.eval_runs import tables as _eval_runs  # noqa: F401
from rag_bench.store.labels import tables as _labels  # noqa: F401
from rag_bench.store.releases import tables as _releases  # noqa: F401
from rag_bench.store.tables import SCHEMA, metadata


def _ours(name: str | None, kind: str, parents: Any) -> bool:
    return name == SCHEMA if kind == "schema" else True


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=_ours,
)
context.run_migrations()
