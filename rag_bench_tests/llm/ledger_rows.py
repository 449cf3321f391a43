"""Rows of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, text

from rag_bench.llm.transport.client import ChatModels

MakeModels = Callable[..., ChatModels]


def rows(engine: Engine, columns: str = "*") -> list[Any]:
    with engine.connect() as connection:
        query = f"select {columns} from rag_bench.llm_call order by id"
        return list(connection.execute(text(query)).mappings())
