"""Answers that production has stored, in place of a model's: from its cache, or from its log.

No model was called for one, so it has no latency, and it cites a page, not chunks: what measures
the citing of chunks does not apply to it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rag_bench.evaluation.nearest import unit_vectors
from rag_bench.evaluation.precision import settled
from rag_bench.llm.tasks.pipeline import Answer, Fragment

if TYPE_CHECKING:
    from rag_bench.tiers.base.bench import Bench

#: The flag of a case that was answered from the cache.
CACHED_ANSWER = "cached_answer"
#: The flag of a case that holds what a user got.
LOGGED_ANSWER = "logged_answer"
#: The flag of a question to which production gave no answer at all.
UNANSWERED = "unanswered"
#: The flag of a case whose answer a client of the service gave.
GIVEN_ANSWER = "given_answer"
_NOT_GENERATED = frozenset({CACHED_ANSWER, LOGGED_ANSWER})


@dataclass(frozen=True, kw_only=True)
class StoredAnswer(Answer):
    """An answer that production gave; without a text: it gave none.

    Attributes:
        fragments: the chunks of the page that it cites, as far as the snapshot still has it, those
            nearest to its question first, at most ``top_k``. A judge of faithfulness reads them:
            the answer was made from that page. What retrieval finds may be of other pages, and a
            true answer would count as invented. Empty if the page is gone.
    """

    fragments: tuple[Fragment, ...]

    @property
    def unanswered(self) -> bool:
        """Whether there is no answer."""
        return not self.text

    def scores(self) -> dict[str, Any]:
        """Return what is stored of its origin with a case."""
        return {}


def is_generated(flags: Collection[str]) -> bool:
    """Tell by a case's flags whether a model gave its answer."""
    return _NOT_GENERATED.isdisjoint(flags)


def was_called_for(flags: Collection[str]) -> bool:
    """Tell by a case's flags whether a call of ours gave its answer, which took a time."""
    return is_generated(flags) and GIVEN_ANSWER not in flags


def page_fragments(
    bench: Bench, page_url: str | None, question: str | None
) -> tuple[Fragment, ...]:
    """Return a page's chunks, nearest to a question first, at most ``top_k``; none if it is gone.

    Without a question they are in their own order.

    Raises:
        MissingVectorsError: the question or the chunks were not encoded.
    """
    chunks = [chunk for chunk in bench.chunks if chunk.page_url == page_url]
    if not chunks:
        return ()
    if question is None:
        nearest = np.arange(min(len(chunks), bench.run.top_k))
    else:
        nearest = _nearest(bench, [chunk.text for chunk in chunks], question)
    return tuple(
        Fragment(chunk.chunk_hash, chunk.page_url, chunk.text)
        for chunk in (chunks[int(number)] for number in nearest)
    )


def _nearest(bench: Bench, texts: Sequence[str], question: str) -> np.ndarray:
    passages = [bench.encoder_identity.passage_text(text) for text in texts]
    [asked] = unit_vectors(bench.vectors([bench.encoder_identity.query_text(question)]))
    cosines = settled(unit_vectors(bench.vectors(passages)) @ asked)
    return np.argsort(-cosines, kind="stable")[: bench.run.top_k]
