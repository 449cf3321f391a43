"""Which columns the table behind an asset has, as the UI shows them."""

from __future__ import annotations

from typing import Any

import dagster as dg

_VIEWS = {
    "model_runs": {
        "generation_model": "text",
        "benchmark_judge_model": "text",
        "production_judge_model": "text",
        "dataset_id": "text",
        "settings_hash": "text",
        "metrics": "jsonb",
    }
}


def column_schema(table: str) -> dict[str, Any]:
    """Return the metadata entry with the columns of a table, or view, of the schema rag_bench.

    Raises:
        KeyError: there is no such table.
    """
    from sqlalchemy.dialects import postgresql

    from rag_bench.store.tables import metadata

    if table in _VIEWS:
        columns = [dg.TableColumn(name, kind) for name, kind in _VIEWS[table].items()]
    else:
        dialect = postgresql.dialect()
        columns = [
            dg.TableColumn(
                column.name,
                str(column.type.compile(dialect)).lower(),
                constraints=dg.TableColumnConstraints(nullable=bool(column.nullable)),
            )
            for column in metadata.tables[f"rag_bench.{table}"].columns
        ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/table_name": f"rag_bench.{table}",
    }
