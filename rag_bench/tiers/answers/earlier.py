"""What earlier steps of a run made, as later ones read it.

In a sweep it is in the store. A plan runs no step, so it says what each would have made
(`Bench.foreseen`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from rag_bench.errors import CaseError, ErrorCode, RagBenchError
from rag_bench.hashing import content_hash
from rag_bench.llm.tasks.pipeline import REFUSED, is_refusal
from rag_bench.store import evaluations
from rag_bench.store.evaluations import Case, StoredEvaluation
from rag_bench.tiers.answers import cached_answers
from rag_bench.tiers.answers.apart import as_read, is_of_users, prepare
from rag_bench.tiers.answers.cached_answers import CachedAnswer
from rag_bench.tiers.base.missing import no_answers
from rag_bench.tiers.retrieval.retrieval import Retrieved, retrieved

if TYPE_CHECKING:
    from rag_bench.tiers.base.bench import Bench


class NoAnswersError(RagBenchError):
    """A model has no answers under these settings; the message says which settings there are."""


@dataclass(frozen=True)
class Answers:
    """One model's answers as they are judged.

    Attributes:
        by_item: repeat 0 of each question.
        evaluation: the id of their record; None: in a plan.
        version: of their record.
    """

    by_item: Mapping[str, Case]
    evaluation: int | None = None
    version: str | None = None

    @cached_property
    def hash(self) -> str:
        """The address of the answers and what they were made from: what a judge reads."""
        return content_hash(
            [
                [
                    key,
                    case.answer,
                    case.error_code,
                    [_address(row) for row in case.retrieved or []],
                ]
                for key, case in sorted(self.by_item.items())
            ]
        )

    def prepare(self, bench: Bench) -> None:
        """Mask what judges will read, if it is to be masked: at once, and before anybody waits."""
        if not is_of_users(bench):
            return
        prepare(bench)
        cases = self.by_item.values()
        contexts = [context_texts(bench, case.retrieved or ()) for case in cases]
        as_read(bench, [case.answer for case in cases if case.answer is not None])
        as_read(bench, list(chain.from_iterable(contexts)))

    def answered(self, item_id: str) -> AnsweredCase:
        """Return the answer to a question.

        Raises:
            CaseError: there is none. It is not retryable: trying again is up to the answers, and
                scoring cannot mend it.
        """
        case = self.by_item.get(item_id)
        if case is None or case.answer is None:
            code = ErrorCode(case.error_code) if case and case.error_code else ErrorCode.LLM_FAILED
            detail = case.error_detail if case else "the answer is missing"
            raise CaseError(code, f"no answer to score: {detail}")
        refused = REFUSED in case.flags or is_refusal(case.answer)
        return AnsweredCase(case.answer, tuple(case.retrieved or ()), refused)


@dataclass(frozen=True)
class AnsweredCase:
    """An answer, and what it was made from, as it is stored.

    ``refused``: it says that there is no answer, in the agreed words or in an assistant's own.
    """

    answer: str
    retrieved: tuple[Mapping[str, Any], ...]
    refused: bool = False

    def contexts(self, bench: Bench) -> list[str]:
        """Return the very texts that it was made from, as judges read them."""
        return as_read(bench, context_texts(bench, self.retrieved))

    def text(self, bench: Bench) -> str:
        """Return the answer as judges read it."""
        [shown] = as_read(bench, [self.answer])
        return shown


def context_texts(bench: Bench, retrieved: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the texts of what is stored of an answer's contexts: a live assistant's own where it
    gave one, else the chunk's; of a page that was named alone all of it.
    """
    texts: list[str] = []
    for row in retrieved:
        if "text" in row:
            texts.append(row["text"])
        elif "chunk_hash" in row:
            texts.append(bench.chunk_by_hash[row["chunk_hash"]].text)
        else:
            page = row.get("page_url")
            texts += [chunk.text for chunk in bench.chunks if page and chunk.page_url == page]
    return texts


def _address(row: Mapping[str, Any]) -> Any:
    """Return what tells a context from others: of a chunk its hash, as ever."""
    if "text" in row:
        return [row.get("chunk_hash"), row["text"]]
    return row["chunk_hash"] if "chunk_hash" in row else [None, row.get("page_url")]


class Earlier(Protocol):
    """What later steps may read of earlier ones."""

    def retrieved(self) -> Retrieved:
        """Return what tier 1 found; raises `NotRetrievedError`."""

    def cached_answers(self) -> Mapping[str, CachedAnswer]:
        """Return the answers that production's cache gives, by item."""

    def answers(self, tier: str, generation_model: str) -> Answers:
        """Return the answers of a model; raises `NoAnswersError`."""


@dataclass(frozen=True)
class Stored:
    """The results of the run's settings in the store."""

    bench: Bench

    def retrieved(self) -> Retrieved:
        """Return what tier 1 found under these settings.

        Raises:
            NotRetrievedError: it was not run.
        """
        return retrieved(self.bench)

    def cached_answers(self) -> Mapping[str, CachedAnswer]:
        """Return the answers that the cache gives; encodes the questions that it compares."""
        cached_answers.encode_questions(self.bench)
        return cached_answers.cached_answers(self.bench)

    def answers(self, tier: str, generation_model: str) -> Answers:
        """Return the stored answers of a model under exactly these settings.

        Raises:
            NoAnswersError: there are none.
        """
        found, by_item = answers_of(self.bench, tier, generation_model)
        return Answers(by_item, found.id, found.version)


def answers_of(
    bench: Bench, tier: str, generation_model: str
) -> tuple[StoredEvaluation, dict[str, Case]]:
    """Return the evaluation of a model's answers under exactly these settings, and repeat 0 of
    each question.

    Raises:
        NoAnswersError: there are none.
    """
    found = evaluations.latest(
        bench.engine,
        tier=tier,
        kind="answers",
        settings_hash=bench.run.hash,
        generation_model=generation_model,
    )
    if found is None:
        raise NoAnswersError(no_answers(bench, tier, generation_model))
    return found, first_answers(evaluations.cases_of(bench.engine, found.id))


def earlier_of(bench: Bench) -> Earlier:
    """Return what a run's later steps read: the store, or what a plan foresees."""
    return bench.foreseen or Stored(bench)


def first_answers(cases: Sequence[Case]) -> dict[str, Case]:
    """Return each question's repeat 0, which is the one that is judged."""
    return {case.case_id: case for case in cases if case.repeat == 0}
