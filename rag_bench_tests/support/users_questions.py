"""Questions of users, put into the current snapshot of a small world."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from small_world import World
from sqlalchemy import insert

from rag_bench.store.snapshots import require_current
from rag_bench.store.tables import question_answer

SEPTEMBER = datetime(2025, 9, 1, tzinfo=UTC)


def ask(world: World, *rows: Mapping[str, Any]) -> None:
    """Add questions of users to the current snapshot, a day after one another."""
    sha256 = require_current(world.engine).sha256
    with world.engine.begin() as connection:
        last = world.count("question_answer")
        for number, row in enumerate(rows, last + 1):
            values = {
                "dump_sha256": sha256,
                "source_id": number,
                "user_id": 100 + number,
                "created_at": SEPTEMBER + timedelta(days=number),
                "score": 5,
                **row,
            }
            connection.execute(insert(question_answer).values(**values))
