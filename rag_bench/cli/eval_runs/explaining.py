"""``rag-bench compare --explain``: which of several causes changed it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.releases.explaining import Explained


def explained(
    engine: Engine,
    a: str,
    b: str,
    *,
    run: bool,
    max_calls: int | None,
    metrics: Sequence[str] | None,
) -> Explained:
    """Plan, or run, the missing corners between two evaluations.

    Raises:
        RagBenchError: they are no evaluations, or cannot be told apart.
    """
    from rag_bench.assembly import open_models
    from rag_bench.releases.explaining import evaluations_to_explain, explain
    from rag_bench.reporting.compared.opening import open_side
    from rag_bench.settings import get_settings

    first, second = evaluations_to_explain(
        engine, open_side(engine, a, "a"), open_side(engine, b, "b")
    )

    async def main() -> Explained:
        async with open_models(get_settings(), engine) as models:
            return await explain(
                engine,
                get_settings(),
                models,
                first,
                second,
                run=run,
                max_calls=max_calls,
                metrics=metrics,
            )

    return asyncio.run(main())
