"""The production system's cached answers, as a switch of the pipeline under test.

Before production retrieves anything it looks for a question that users rated 5 and, if one is near
enough, serves the answer stored with it: no model writes, only the gate still reads. With
``cached_answers`` tier 3 does the same, at ``cache_threshold``.

Three differences to production, on purpose. Vectors of questions are compared with vectors of
questions; production compares with what it stored, which is the vector of the *answer* for many
rows, at a threshold of 0.4. Questions are encoded as they were written, not in lower case. And a
question never answers itself: of the rows with a dataset question's own text (case, punctuation
and ё aside) the latest is taken for the question itself and left out. A row that the dataset was
made from could otherwise serve its own answer to itself; earlier rows of the same text stay, as
production would have found them when the question came again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rag_bench.evaluation.metrics.cached_answers import PAGE_PRECISION, RATE
from rag_bench.evaluation.nearest import best_match, unit_vectors
from rag_bench.evaluation.statistics import rate_metric
from rag_bench.evaluation.text.text_folding import fold, words_alone
from rag_bench.hashing import content_hash
from rag_bench.llm.tasks.pipeline import Fragment, is_refusal
from rag_bench.store import traffic
from rag_bench.tiers.answers.stored import CACHED_ANSWER, StoredAnswer, page_fragments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rag_bench.evaluation.types import Metric
    from rag_bench.store.evaluations import Case
    from rag_bench.store.snapshots import QuestionRecord
    from rag_bench.tiers.base.bench import Bench


@dataclass(frozen=True)
class Match:
    """The cached question nearest to a dataset's, however far; ``cosine`` is between the two."""

    entry: QuestionRecord
    cosine: float


@dataclass(frozen=True, kw_only=True)
class CachedAnswer(StoredAnswer):
    """A stored answer to a question close to the one that is asked.

    Attributes:
        match: where it comes from. Its page's chunks are those nearest to the cached question.
    """

    match: Match

    def scores(self) -> dict[str, Any]:
        """Return what is stored of its origin with a case."""
        return {
            "cached_from": self.match.entry.source_id,
            "cached_cosine": self.match.cosine,
            "cached_page_url": self.match.entry.page_url,
        }


def encode_questions(bench: Bench) -> None:
    """Make sure that the dataset's and the cache's questions have vectors."""
    entries = traffic.servable_answers(bench.engine, bench.snapshot.sha256)
    bench.embed(_texts(bench, entries), "encoding cached questions")
    bench.embed(_item_texts(bench), "encoding questions")


def matches(bench: Bench) -> dict[str, Match]:
    """Return the nearest cached question of each dataset item that has one.

    Raises:
        MissingVectorsError: the questions were not encoded.
    """
    sha256 = bench.snapshot.sha256
    entries = traffic.servable_answers(bench.engine, sha256)
    if not entries or not bench.items:
        return {}
    number_of = {entry.source_id: number for number, entry in enumerate(entries)}
    # Oldest first, so that the latest row of a text stays.
    last_of = {
        normalised(row.question): row.source_id
        for row in traffic.questions_by_time(bench.engine, sha256)
    }
    own = [number_of.get(last_of.get(normalised(i.question), -1), -1) for i in bench.items]
    cosines, chosen = best_match(
        unit_vectors(bench.vectors(_item_texts(bench))),
        unit_vectors(bench.vectors(_texts(bench, entries))),
        own=np.array(own),
    )
    return {
        item.item_id: Match(entries[int(number)], float(cosine))
        for item, cosine, number in zip(bench.items, cosines, chosen, strict=True)
        if number >= 0
    }


def cached_answers(bench: Bench) -> dict[str, CachedAnswer]:
    """Return the answers that the cache gives, by item; an item without one is asked about.

    Raises:
        MissingVectorsError: questions or chunks were not encoded.
    """
    near = {
        item_id: match
        for item_id, match in matches(bench).items()
        if match.cosine >= bench.run.cache_threshold
    }
    fragments: dict[int | str, tuple[Fragment, ...]] = {}
    for match in near.values():
        if match.entry.source_id not in fragments:
            entry = match.entry
            fragments[entry.source_id] = page_fragments(bench, entry.page_url, entry.question)
    return {
        item_id: _answer(match, fragments[match.entry.source_id]) for item_id, match in near.items()
    }


def cache_version(cached: Mapping[str, CachedAnswer]) -> str:
    """Return the address of what the cache gives, whatever else users asked."""
    return content_hash(
        [
            [item_id, hit.text, hit.match.entry.page_url, [f.chunk_hash for f in hit.fragments]]
            for item_id, hit in sorted(cached.items())
        ]
    )


def cache_metrics(bench: Bench, cases: Mapping[str, Case]) -> dict[str, Metric]:
    """Return how much the cache answers, and how rightly. ``cases``: repeat 0 of each item.

    - ``cached_answer_rate`` = share of questions answered from the cache.
    - ``cached_page_precision`` = of those with a known relevant page, the share whose stored
      answer is of such a page. None if there are none.
    """
    asked = [item for item in bench.items if item.item_id in cases]
    clusters = [item.cluster for item in asked]
    hits = [CACHED_ANSWER in cases[item.item_id].flags for item in asked]
    served = [
        (item.cluster, cases[item.item_id].scores["cached_page_url"] in item.page_urls)
        for item, hit in zip(asked, hits, strict=True)
        if hit and item.page_urls
    ]
    return {
        RATE: rate_metric(hits, clusters=clusters),
        PAGE_PRECISION: rate_metric([r for _, r in served], clusters=[c for c, _ in served]),
    }


def normalised(text: str) -> str:
    """Return a question's words alone: case, punctuation, spaces and ё do not tell two apart."""
    return words_alone(text) or fold(text)


def _answer(match: Match, fragments: tuple[Fragment, ...]) -> CachedAnswer:
    text = (match.entry.answer or "").strip()
    return CachedAnswer(
        text=text,
        reply=text,
        citations=(),
        refused=is_refusal(text),
        latency_ms=None,
        flags=(CACHED_ANSWER,),
        match=match,
        fragments=fragments,
    )


def _texts(bench: Bench, entries: Sequence[QuestionRecord]) -> list[str]:
    return [bench.encoder_identity.query_text(entry.question) for entry in entries]


def _item_texts(bench: Bench) -> list[str]:
    return [bench.encoder_identity.query_text(item.question) for item in bench.items]
