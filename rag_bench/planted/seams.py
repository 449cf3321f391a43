"""Faults of our own code and texts, put in at a seam, in this process and for a block only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from rag_bench.errors import RagBenchError
from rag_bench.hashing import text_hash

if TYPE_CHECKING:
    from rag_bench.retrieval.search import TopK
    from rag_bench.tiers.base.bench import Bench

GENERATION = "generation_answer"


@contextmanager
def off_by_one(share: float) -> Iterator[None]:
    """Begin the found list at its second place, for this share of the questions."""
    from rag_bench.tiers.retrieval.searchers import SEARCHERS, Find

    searchers = cast("dict[Any, Any]", SEARCHERS)
    kept = searchers["dense_exact"]

    def late(find: Find, bench: Bench, k: int) -> TopK:
        import numpy as np

        from rag_bench.retrieval.search import TopK

        found = find(bench, k + 1)
        hit = [int(text_hash(item.question)[:8], 16) < share * 16**8 for item in bench.items]
        from_second = np.array(hit)[:, None]
        indices, scores = found.indices, found.scores
        return TopK(
            np.where(from_second, indices[:, 1:], indices[:, :-1]),
            np.where(from_second, scores[:, 1:], scores[:, :-1]),
        )

    searchers["dense_exact"] = replace(kept, find=lambda bench, k: late(kept.find, bench, k))
    try:
        yield
    finally:
        searchers["dense_exact"] = kept


def misprinted(was: str, now: str) -> AbstractContextManager[None]:
    """Ask generators by a prompt in which ``now`` stands for ``was``.

    Raises:
        RagBenchError: the prompt does not say ``was`` any more: the plant is of another version.
        PromptError: what comes of it is no prompt.
    """
    from rag_bench.llm.tasks import prompts

    text = prompts.load(GENERATION).hashed
    if text.count(was) != 1:
        raise RagBenchError(f"The prompt {GENERATION} does not say {was!r} once; mend the plant.")
    return prompts.prompts_as({GENERATION: text.replace(was, now)})
