"""What every benchmark judge is examined on: a fixed sample that no generation model enters.

Labelled answers: the show/hide pairs; people said whether the answer is good. Constructed ones, of
the run's own questions: the reference answer (good) and the reference answer of a question about
another page (bad). Their labels hold by construction, not by anybody's judgement, and the bad ones
are easy to tell; so the two kinds are reported apart.

Which are taken is decided by hash, so that the sample does not depend on the order of the items,
and the same questions are taken again when others are added (unless they push one out).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rag_bench.evaluation.text.answer_variants import first_half, padded, styled
from rag_bench.evaluation.text.text_folding import words_alone
from rag_bench.hashing import content_hash, text_hash
from rag_bench.llm.tasks.pipeline import as_texts
from rag_bench.store.datasets import Item
from rag_bench.tiers.base.bench import Bench

#: Questions that constructed answers are made for, and labelled answers used, at most.
MOST_QUESTIONS = 30
MOST_LABELLED = 100

#: An answer is good if it is good by both: relevance alone takes a fluent invention for good,
#: faithfulness alone a true sentence about something else. Neither reads a reference, so labelled
#: answers (which have none) and constructed ones are judged alike, and no judge is asked to
#: compare a reference answer with itself.
RUBRICS = ("faithfulness", "answer_relevance")
#: Without a context nothing can be faithful to it.
RUBRICS_WITHOUT_CONTEXT = ("answer_relevance",)
#: The rubric under which length and style must not matter, as its prompt says so. (Relevance
#: takes a point off for words that are not needed, rightly.)
PERTURBED_RUBRIC = "faithfulness"
PERTURBATIONS: dict[str, Callable[[str, str], str]] = {
    "length": padded,
    "style": lambda answer, question: styled(answer),
}
REPEATS = 2

LABELLED, CONSTRUCTED = "labelled", "constructed"
#: Kinds of pairs: the worse answer is another question's, or the first half of the better one.
MISMATCHED, HALVED = "mismatched", "halved"


@dataclass(frozen=True)
class Triple:
    """A question, what is known about it, and an answer that is known to be good or bad.

    ``kind``: who says so. ``cluster``: what it shares with others that are not independent of it.
    """

    case_id: str
    kind: str
    question: str
    context: tuple[str, ...]
    answer: str
    good: bool
    cluster: str

    @property
    def rubrics(self) -> tuple[str, ...]:
        """The rubrics that it is scored by."""
        return RUBRICS if self.context else RUBRICS_WITHOUT_CONTEXT

    @property
    def perturbations(self) -> tuple[str, ...]:
        """The changes of length and style that it is scored with."""
        return tuple(PERTURBATIONS) if PERTURBED_RUBRIC in self.rubrics else ()


@dataclass(frozen=True)
class AnswerPair:
    """Two answers to one question, one better than the other by construction."""

    case_id: str
    kind: str
    question: str
    context: tuple[str, ...]
    better: str
    worse: str
    cluster: str


@dataclass(frozen=True)
class Sample:
    """All that a judge is asked about."""

    triples: Sequence[Triple]
    pairs: Sequence[AnswerPair]
    labelled_from: str | None = field(default=None)

    @property
    def n_labelled(self) -> int:
        """Answers that people labelled."""
        return sum(triple.kind == LABELLED for triple in self.triples)

    @cached_property
    def hash(self) -> str:
        """The address of everything that the judge reads, and of the labels."""
        return content_hash(
            [
                [[t.case_id, t.question, t.context, t.answer, t.good] for t in self.triples],
                [[p.case_id, p.question, p.context, p.better, p.worse] for p in self.pairs],
                REPEATS,
            ]
        )

    @property
    def n_calls(self) -> int:
        """How often each judge is asked: rubrics twice, perturbations once, pairs twice."""
        scores = sum(REPEATS * len(t.rubrics) + len(t.perturbations) for t in self.triples)
        return scores + 2 * len(self.pairs)


def most_calls(n_labelled: int, n_questions: int) -> int:
    """Return how many calls a judge gets at most: 6 per labelled answer, 16 per question.

    A labelled answer without context needs 2; a question without a mismatched answer 8 fewer, one
    whose answer is too short to be halved 2 fewer.
    """
    return 6 * min(n_labelled, MOST_LABELLED) + 16 * min(n_questions, MOST_QUESTIONS)


def make_sample(bench: Bench, labelled: Sequence[Item], labelled_from: str | None = None) -> Sample:
    """Return the sample of a run; ``labelled`` are the items of the show/hide pairs."""
    triples = [_labelled(item) for item in _chosen(labelled, MOST_LABELLED)]
    pairs: list[AnswerPair] = []
    usable = [item for item in bench.items if _is_usable(bench, item)]
    for item in _chosen(usable, MOST_QUESTIONS):
        good = _constructed(bench, item, "reference", item.reference_answer or "", good=True)
        triples.append(good)
        other = _answer_of_another(item, usable, good.context)
        if other:
            triples.append(_constructed(bench, item, MISMATCHED, other, good=False))
            pairs.append(_pair(good, MISMATCHED, other))
        half = first_half(good.answer)
        if half:
            pairs.append(_pair(good, HALVED, half))
    return Sample(triples, pairs, labelled_from)


def _chosen(items: Sequence[Item], most: int) -> list[Item]:
    return sorted(items, key=lambda item: (text_hash(item.item_id), item.item_id))[:most]


def _labelled(item: Item) -> Triple:
    details: Any = item.details
    return Triple(
        f"{LABELLED}:{item.item_id}",
        LABELLED,
        item.question,
        tuple(as_texts(details.get("context") or "")),
        details["answer"],
        bool(details["ground_truth_show"]),
        item.cluster,
    )


def _is_usable(bench: Bench, item: Item) -> bool:
    known = item.chunk_hashes and all(h in bench.chunk_by_hash for h in item.chunk_hashes)
    return bool(known and item.reference_answer and item.reference_answer.strip())


def _constructed(bench: Bench, item: Item, what: str, answer: str, *, good: bool) -> Triple:
    context = tuple(bench.chunk_by_hash[address].text for address in item.chunk_hashes)
    case_id = f"{what}:{item.item_id}"
    return Triple(case_id, CONSTRUCTED, item.question, context, answer, good, item.cluster)


def _pair(good: Triple, kind: str, worse: str) -> AnswerPair:
    item_id = good.case_id.partition(":")[2]
    return AnswerPair(
        f"pair_{kind}:{item_id}",
        kind,
        good.question,
        good.context,
        good.answer,
        worse,
        good.cluster,
    )


def _answer_of_another(item: Item, others: Sequence[Item], context: Sequence[str]) -> str | None:
    """Return the reference answer of a question about another page, or None if there is none.

    One that the question's own context states word for word ("yes", "1943") could be true of it
    and is passed over.
    """
    stated = f" {words_alone(' '.join(context))} "
    pages = set(item.page_urls) | {item.cluster}
    for other in sorted(others, key=lambda o: text_hash(f"{item.item_id}\n{o.item_id}")):
        answer = other.reference_answer or ""
        if pages.isdisjoint({*other.page_urls, other.cluster}):
            said = words_alone(answer)
            own = words_alone(item.reference_answer or "")
            if said and said != own and f" {said} " not in stated:
                return answer
    return None
