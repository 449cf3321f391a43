"""Pairs of question and passage: which have a score yet, and the candidates in its order.

A score is taken to be one of its pair alone, whatever other passages are asked about beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sqlalchemy import Engine

from rag_bench.errors import CaseError
from rag_bench.evaluation.precision import settled
from rag_bench.hashing import text_hash
from rag_bench.retrieval.search import NOT_FOUND, TopK
from rag_bench.store.retrieving import rerank_scores

Scores = np.ndarray | CaseError
"""A question's scores, float64, one per candidate in their order; or why it has none."""


@dataclass(frozen=True)
class Candidates:
    """Questions with the places of their candidates among the passages.

    Attributes:
        questions: n texts.
        places: for each question, indices into ``passages``, best first.
        passages: texts.
    """

    questions: Sequence[str]
    places: Sequence[Sequence[int]]
    passages: Sequence[str]

    @classmethod
    def of(cls, found: TopK, questions: Sequence[str], passages: Sequence[str]) -> Candidates:
        """Return what a search found; places where it found less are left out."""
        places = [[int(place) for place in row if place != NOT_FOUND] for row in found.indices]
        return cls(questions, places, passages)

    @cached_property
    def question_hashes(self) -> list[str]:
        """The addresses of the questions."""
        return [text_hash(question) for question in self.questions]

    @cached_property
    def passage_hashes(self) -> dict[int, str]:
        """The addresses of the passages that are candidates, by place."""
        wanted = {place for row in self.places for place in row}
        return {place: text_hash(self.passages[place]) for place in sorted(wanted)}


class ScoreCache:
    """The scores of one reranker that are stored, as of when this was made or last told."""

    def __init__(self, engine: Engine, reranker: str, candidates: Candidates) -> None:
        self._engine = engine
        self._reranker = reranker
        self._candidates = candidates
        self._known = rerank_scores.stored_scores(engine, reranker, candidates.question_hashes)
        self._new: dict[rerank_scores.Pair, float] = {}

    def missing(self, question: int) -> list[int]:
        """Return the places of a question's candidates without a score, each text once."""
        of_question = self._candidates.question_hashes[question]
        texts: dict[str, int] = {}
        for place in self._candidates.places[question]:
            of_text = self._candidates.passage_hashes[place]
            if (of_question, of_text) not in self._known:
                texts.setdefault(of_text, place)
        return list(texts.values())

    def add(self, question: int, scores: Iterable[tuple[int, float]]) -> None:
        """Remember a question's new scores by place, for `save`."""
        hashes = self._candidates.passage_hashes
        of_question = self._candidates.question_hashes[question]
        for place, score in scores:
            self._new[of_question, hashes[place]] = settled(score)

    def save(self) -> None:
        """Store what is new; another's score that was there first takes the place of ours."""
        new, self._new = self._new, {}
        rerank_scores.save_scores(self._engine, self._reranker, new)
        stored = rerank_scores.stored_scores(
            self._engine, self._reranker, {question for question, _ in new}
        )
        self._known |= stored

    def scores(self, question: int) -> np.ndarray:
        """Return a question's scores in the order of its candidates; all of them must be known."""
        of_question = self._candidates.question_hashes[question]
        hashes = self._candidates.passage_hashes
        return np.array(
            [
                self._known[of_question, hashes[place]]
                for place in self._candidates.places[question]
            ],
            dtype=np.float64,
        )


def reordered(candidates: Candidates, scores: Sequence[Scores], top_k: int) -> TopK:
    """Return each question's candidates by score, the best ``top_k``; ties stay in the order that
    they had. A question without scores has no candidates any more: `NOT_FOUND`, score 0.
    """
    n = len(candidates.questions)
    width = min(top_k, max((len(row) for row in candidates.places), default=0))
    indices = np.full((n, width), NOT_FOUND, dtype=np.int64)
    values = np.zeros((n, width))
    for row, (places, own) in enumerate(zip(candidates.places, scores, strict=True)):
        if isinstance(own, CaseError) or not len(places):
            continue
        order = np.argsort(-own, kind="stable")[:width]
        indices[row, : len(order)] = np.array(places)[order]
        values[row, : len(order)] = own[order]
    return TopK(indices, values)


def failures(scores: Sequence[Scores]) -> Mapping[int, CaseError]:
    """Return the errors by the place of their question."""
    return {n: own for n, own in enumerate(scores) if isinstance(own, CaseError)}
