"""What a generator is given for each question: the relevant chunks, or what retrieval found.

With the cache of answers switched on, some questions have an answer already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.tasks.pipeline import Fragment
from rag_bench.tiers.answers.cached_answers import CachedAnswer, cache_version
from rag_bench.tiers.answers.earlier import earlier_of
from rag_bench.tiers.retrieval.retrieval import Ranking, contexts_given

if TYPE_CHECKING:
    from rag_bench.store.datasets import Item
    from rag_bench.tiers.base.bench import Bench


@dataclass(frozen=True)
class Context:
    """What a generator is given for one question; ``error`` says why it cannot be.

    With ``cached``, no generator is asked, and ``fragments`` are those of that answer's page.
    """

    fragments: tuple[Fragment, ...] = ()
    error: CaseError | None = None
    cached: CachedAnswer | None = None


def contexts_of(bench: Bench, tier: str) -> tuple[dict[str, Context], Mapping[str, Any]]:
    """Return what the generator gets for each item, and where it comes from: the latter is
    recorded, and hashed with the answers.

    Raises:
        NotRetrievedError: tier 3 without a retrieval of these settings.
    """
    if tier == "2":
        return {item.item_id: _gold_context(bench, item) for item in bench.items}, {}
    earlier = earlier_of(bench)
    found = earlier.retrieved()
    contexts = {
        item.item_id: Context(error=not_retrieved(error))
        if (error := found.failed.get(item.item_id))
        else _retrieved_context(bench, found.rankings.get(item.item_id))
        for item in bench.items
    }
    source: dict[str, Any] = {"retrieval_evaluation": found.evaluation}
    if bench.run.cached_answers:
        cached = earlier.cached_answers()
        contexts |= {key: Context(hit.fragments, cached=hit) for key, hit in cached.items()}
        source["cache"] = cache_version(cached)
    return contexts, source


def _gold_context(bench: Bench, item: Item) -> Context:
    missing = [h for h in item.chunk_hashes if h not in bench.chunk_by_hash]
    if missing or not item.chunk_hashes:
        why = "the question names a chunk that is not in the dump"
        why = why if missing else "the question has no relevant chunk"
        return Context(error=CaseError(ErrorCode.INVALID_INPUT, why))
    return Context(tuple(fragment_of(bench, h) for h in item.chunk_hashes))


def not_retrieved(error: CaseError) -> CaseError:
    """Return why a question without a ranking is not asked; tier 1 mends it, not another try."""
    return CaseError(error.code, f"its chunks were not retrieved: {error.detail}")


def _retrieved_context(bench: Bench, ranking: Ranking | None) -> Context:
    if ranking is None:
        return Context(error=CaseError(ErrorCode.INVALID_INPUT, "retrieval has no such question"))
    chosen = contexts_given(bench, ranking)
    if not chosen:
        least = bench.run.retrieval_threshold
        why = "no chunk was found" if not ranking else f"no chunk is as similar as {least}"
        return Context(error=CaseError(ErrorCode.INVALID_INPUT, why))
    return Context(tuple(fragment_of(bench, h) for h in chosen))


def fragment_of(bench: Bench, chunk_hash: str) -> Fragment:
    """Return a chunk of the snapshot as a generator gets it."""
    chunk = bench.chunk_by_hash[chunk_hash]
    return Fragment(chunk_hash, chunk.page_url, chunk.text)
