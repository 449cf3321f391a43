"""What the simulated generators know about the answers that they made up.

The label stands in a store, by question and answer, and never in the text: a judge can only know
it by being the simulator, and a person reads an answer like any other.
"""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from rag_bench.evaluation.rubrics import RUBRICS
from rag_bench.hashing import content_hash
from rag_bench.simulator.text import normal

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Quality(StrEnum):
    """How good an answer is, as its maker knows."""

    correct = "correct"
    partial = "partial"
    wrong = "wrong"
    hallucinated = "hallucinated"
    refused = "refused"


#: What an answer of each quality is worth by each rubric, before a judge errs; declared with the
#: rubrics. A wrong answer is a sentence of the context, hence faithful; a refusal asserts nothing.
WORTH: dict[str, dict[Quality, int]] = {
    rubric.name: {quality: rubric.worth[quality.value] for quality in Quality}
    for rubric in RUBRICS.values()
}


class TruthStore(Protocol):
    """Labels of (question, answer). ``blocking``: calls may wait for a database."""

    blocking: bool

    def remember(self, question: str, answer: str, quality: Quality) -> None:
        """Keep a label; the first one of a pair stays. Durable when the call returns."""

    def recall(self, question: str, answer: str) -> Quality | None:
        """Return the label, or None for an answer that no simulated model made."""


def truth_key(question: str, answer: str) -> str:
    """Return the address of a label: case, punctuation, spaces, citation markers do not matter."""
    return content_hash([normal(question), normal(answer)])


class MemoryTruth:
    """Labels of this process."""

    blocking = False

    def __init__(self) -> None:
        self._labels: dict[str, Quality] = {}

    def remember(self, question: str, answer: str, quality: Quality) -> None:
        self._labels.setdefault(truth_key(question, answer), quality)

    def recall(self, question: str, answer: str) -> Quality | None:
        return self._labels.get(truth_key(question, answer))


class PostgresTruth:
    """Labels in table ``simulated_truth``, shared by all processes; read ones are kept in memory.

    A label never changes once written, so the cache cannot be stale; absence is not cached.
    """

    blocking = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._labels: dict[str, Quality] = {}
        self._lock = threading.Lock()
        self._loaded = False

    def remember(self, question: str, answer: str, quality: Quality) -> None:
        from sqlalchemy.dialects.postgresql import insert

        from rag_bench.store.tables import simulated_truth

        key = truth_key(question, answer)
        if self._cached(key) is not None:
            return
        statement = (
            insert(simulated_truth)
            .values(answer_hash=key, quality=quality.value)
            .on_conflict_do_nothing()
        )
        with self._engine.begin() as connection:
            written = connection.execute(statement).rowcount
        if written:
            self._labels[key] = quality
        else:
            self._read(key)

    def recall(self, question: str, answer: str) -> Quality | None:
        key = truth_key(question, answer)
        return self._cached(key) or self._read(key)

    def _cached(self, key: str) -> Quality | None:
        """Look in memory, which is filled from the table in one query before the first look."""
        from sqlalchemy import select

        from rag_bench.store.tables import simulated_truth

        with self._lock:
            if not self._loaded:
                query = select(simulated_truth.c.answer_hash, simulated_truth.c.quality)
                with self._engine.connect() as connection:
                    for answer_hash, quality in connection.execute(query):
                        self._labels[answer_hash] = Quality(quality)
                self._loaded = True
        return self._labels.get(key)

    def _read(self, key: str) -> Quality | None:
        from sqlalchemy import select

        from rag_bench.store.tables import simulated_truth

        query = select(simulated_truth.c.quality).where(simulated_truth.c.answer_hash == key)
        with self._engine.connect() as connection:
            found = connection.execute(query).scalar_one_or_none()
        if found is None:
            return None
        self._labels[key] = Quality(found)
        return self._labels[key]
