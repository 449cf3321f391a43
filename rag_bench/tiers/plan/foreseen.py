"""What earlier steps would have made, told to later ones in a plan, where no step is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING

from rag_bench.errors import CaseError, ErrorCode, RagBenchError
from rag_bench.hashing import text_hash
from rag_bench.llm.tasks.pipeline import Answer
from rag_bench.tiers.answers import cached_answers
from rag_bench.tiers.answers.earlier import Answers
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.run_retriever import settings_of
from rag_bench.tiers.base.text_vectors import TextVectors
from rag_bench.tiers.retrieval.retrieval import NotRetrievedError, Retrieved, retrieved

if TYPE_CHECKING:
    from rag_bench.retrieval.embed import EmbedReport
    from rag_bench.store.evaluations import Case
    from rag_bench.tiers.answers.cached_answers import CachedAnswer

#: An answer that stands in for one that is not there yet: of a usual length.
STAND_IN = "Ответ ещё не получен. " * 14
STAND_IN_ANSWER = Answer(
    text=STAND_IN, reply=STAND_IN, citations=(), refused=False, latency_ms=None
)


class PlannedBench(Bench):
    """A bench that encodes nothing: a plan neither loads an encoder nor stores vectors."""

    @classmethod
    def of(cls, bench: Bench, foreseen: Foreseen) -> PlannedBench:
        """Return a bench of the same run, whose later steps read what is foreseen."""
        same = {field.name: getattr(bench, field.name) for field in fields(bench)}
        made = cls(**{**same, "foreseen": foreseen})
        if "items" in bench.__dict__:  # questions that are not stored
            made.__dict__["items"] = bench.items
        return made

    def embed(self, texts: Sequence[str], label: str) -> EmbedReport:
        """Refuse: what comes after the encoding asks no model any more."""
        raise _encodes_nothing()

    @cached_property
    def searched(self) -> TextVectors:
        """Vectors as the retriever compares them, as far as they are stored."""
        return _StoredVectors(self.engine, settings_of(self.settings, self.retriever))


class _StoredVectors(TextVectors):
    """Vectors that are there already."""

    def embed(self, exact: Sequence[str], label: str) -> EmbedReport:
        """Do nothing, if there is nothing to do; else refuse."""
        from rag_bench.retrieval.embed import EmbedReport
        from rag_bench.store.vectors import missing

        distinct = {text_hash(text) for text in exact}
        if missing(self.engine, self.identity.key, distinct):
            raise _encodes_nothing()
        return EmbedReport(len(exact), len(distinct), 0, len(distinct), 0, 0.0)


def _encodes_nothing() -> CaseError:
    return CaseError(ErrorCode.LLM_FAILED, "a plan encodes nothing", retryable=True)


class Foreseen:
    """What is in the store already, and stand-ins for what is not.

    Attributes:
        handed_out: the items of which a stand-in was read since `watch`.
        notes: what could not be known, and what would change that.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._answers: dict[tuple[str, str], Answers] = {}
        self.handed_out: set[str] = set()
        self.notes: list[str] = []

    def watch(self) -> None:
        """Forget which stand-ins were read so far."""
        self.handed_out = set()

    def retrieved(self) -> Retrieved:
        """Return what tier 1 found; where it was not run, some chunks for every question."""
        if self._found is None:
            self.handed_out |= {item.item_id for item in self._bench.items}
            return self._some_chunks
        return self._found

    def cached_answers(self) -> Mapping[str, CachedAnswer]:
        """Return what the cache gives; where questions are not encoded, that is unknown."""
        if self._cached is None:
            self.handed_out |= {item.item_id for item in self._bench.items}
        return self._cached or {}

    def answers(self, tier: str, generation_model: str) -> Answers:
        """Return the answers that the ledger has, and stand-ins for those it will get."""
        found = self._answers.get((tier, generation_model), Answers({}))
        self.handed_out |= {
            item_id for item_id, case in found.by_item.items() if case.answer == STAND_IN
        }
        return found

    def note_answers(self, tier: str, generation_model: str, cases: Mapping[str, Case]) -> None:
        """Remember a model's answers for its judges."""
        self._answers[tier, generation_model] = Answers(cases)

    @cached_property
    def _found(self) -> Retrieved | None:
        try:
            return retrieved(self._bench)
        except NotRetrievedError:
            self._retrieval_is_missing()
            return None

    @cached_property
    def _cached(self) -> Mapping[str, CachedAnswer] | None:
        if self._found is None:
            return None
        try:
            return cached_answers.cached_answers(self._bench)
        except RagBenchError:
            self._retrieval_is_missing()
            return None

    @cached_property
    def _some_chunks(self) -> Retrieved:
        some = self._bench.chunks[: self._bench.run.contexts_per_answer]
        ranking = [(chunk.chunk_hash, 1.0) for chunk in some]
        return Retrieved({item.item_id: ranking for item in self._bench.items})

    def _retrieval_is_missing(self) -> None:
        first = "its chunks are retrieved (tier 1, free)"
        if self._bench.run.cached_answers:
            first += " and users' questions encoded (question_embeddings, free)"
        self.notes.append(f"tier 3 is unknown until {first}.")
