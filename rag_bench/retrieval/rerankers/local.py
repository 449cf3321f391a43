"""Rerankers that work in this process, over the store of scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from sqlalchemy import Engine

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.hashing import content_hash
from rag_bench.retrieval.encoder import Progress
from rag_bench.retrieval.rerankers.pairs import Candidates, ScoreCache, Scores


class Scorer(Protocol):
    """A loaded model that scores pairs."""

    @property
    def at_once(self) -> int:
        """How many questions are scored, and their scores stored, together: a kill loses these."""

    def read(self, passages: Sequence[str]) -> None:
        """Make now what is made once of each passage, if it is kept for later questions."""

    def scores(
        self, questions: Sequence[str], places: Sequence[Sequence[int]], passages: Sequence[str]
    ) -> list[np.ndarray]:
        """Return, for each question, the scores of the passages at its places, in their order;
        what is no score is NaN.
        """


@dataclass
class LocalReranker:
    """A reranker of this machine; the model is loaded where a score is missing.

    Attributes:
        name: for people.
        content: all that its scores depend on.
        engine: of the database with the scores.
        load: loads the model; called once at most.
    """

    name: str
    content: Mapping[str, Any]
    engine: Engine
    load: Callable[[], Scorer] = field(repr=False)

    @property
    def key(self) -> str:
        """The address of its scores."""
        return content_hash(dict(self.content))

    @cached_property
    def scorer(self) -> Scorer:
        """The loaded model, which knows nothing of scores that are stored."""
        return self.load()

    def rerank(
        self,
        questions: Sequence[str],
        candidates: Sequence[Sequence[int]],
        passages: Sequence[str],
        progress: Progress | None = None,
    ) -> list[Scores]:
        """Return each question's scores, rounded to six decimals, or why it has none.

        Args:
            questions: n texts.
            candidates: for each question, indices into ``passages``, best first.
            passages: texts.
            progress: called with (questions done, n).

        Raises:
            ConfigurationError: the model cannot be loaded.
        """
        asked = Candidates(questions, candidates, passages)
        cache = ScoreCache(self.engine, self.key, asked)
        wanted = {n: places for n in range(len(questions)) if (places := cache.missing(n))}
        broken: set[int] = set()
        done = len(questions) - len(wanted)
        for block in self._blocks(list(wanted)):
            made = self.scorer.scores(
                [questions[n] for n in block], [wanted[n] for n in block], passages
            )
            for n, own in zip(block, made, strict=True):
                if np.isfinite(own).all():
                    cache.add(n, zip(wanted[n], own.tolist(), strict=True))
                else:
                    broken.add(n)
            cache.save()
            done += len(block)
            if progress:
                progress(done, len(questions))
        return [self._broken() if n in broken else cache.scores(n) for n in range(len(questions))]

    def _blocks(self, wanted: Sequence[int]) -> Iterator[Sequence[int]]:
        if wanted:
            size = self.scorer.at_once
            for start in range(0, len(wanted), size):
                yield wanted[start : start + size]

    def _broken(self) -> CaseError:
        return CaseError(
            ErrorCode.METRIC_ERROR,
            f"the reranker {self.name!r} gave a score that is not finite; its weights are broken",
        )
