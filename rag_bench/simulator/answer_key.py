"""The answer key: what the simulated models know beforehand about questions and labelled pairs.

`extractive` never looks here; a simulated model of stated quality has to, or its quality could
not be stated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag_bench.simulator.text import contains, normal, numbers, overlap

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: A fragment that holds this share of the reference's content stems is taken to hold the answer.
ENOUGH_SUPPORT = 0.6
#: Short references ("1943") stand in many texts; such a fragment must also be about the question.
SHORT_REFERENCE = 3  # words
ENOUGH_TOPIC = 0.34


@dataclass(frozen=True)
class KeyEntry:
    """A question whose answer is known, and the texts of the chunks that hold it, if known."""

    question: str
    reference_answer: str
    chunk_texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelledPair:
    """An answer that people labelled: should it be shown? The context may be empty."""

    question: str
    answer: str
    show: bool
    context: str = ""


class AnswerKey:
    """Questions and labelled pairs, found by their words: case and punctuation do not matter."""

    def __init__(
        self, entries: Iterable[KeyEntry] = (), pairs: Iterable[LabelledPair] = ()
    ) -> None:
        self.entries = tuple(dict.fromkeys(entries))
        self._by_question: dict[str, list[KeyEntry]] = defaultdict(list)
        for entry in self.entries:
            self._by_question[normal(entry.question)].append(entry)
        self._with_context: dict[tuple[str, str, str], bool] = {}
        self._without: dict[tuple[str, str], set[bool]] = defaultdict(set)
        for pair in pairs:
            key = (normal(pair.question), normal(pair.answer))
            self._with_context[(*key, normal(pair.context))] = pair.show
            self._without[key].add(pair.show)

    def find(self, question: str, fragments: Sequence[str] = ()) -> KeyEntry | None:
        """Return the entry of ``question``; of several, the one that the fragments fit best."""
        found = self._by_question.get(normal(question), [])
        if len(found) < 2:
            return found[0] if found else None
        return max(found, key=lambda entry: best_support(entry, fragments)[1])

    def label(self, question: str, answer: str, context: str = "") -> bool | None:
        """Return people's label of an answer, or None if there is none or they contradict."""
        key = (normal(question), normal(answer))
        exact = self._with_context.get((*key, normal(context)))
        if exact is not None:
            return exact
        labels = self._without.get(key, set())
        return next(iter(labels)) if len(labels) == 1 else None


def best_support(entry: KeyEntry, fragments: Sequence[str]) -> tuple[int | None, float]:
    """Return which fragment (from 0) holds the entry's answer, and how surely (0 to 1).

    A fragment that is one of the entry's own chunks holds it (1.0). Otherwise the share of the
    reference's content stems in the fragment counts. No fragment holds it (None) where that is
    below `ENOUGH_SUPPORT`, where a number of the reference is missing, or where a short reference
    stands in a fragment that is not about the question.
    """
    own = {normal(text) for text in entry.chunk_texts}
    best: tuple[int | None, float] = (None, 0.0)
    short = len(entry.reference_answer.split()) <= SHORT_REFERENCE
    for number, fragment in enumerate(fragments):
        if normal(fragment) in own:
            return number, 1.0
        support = overlap(entry.reference_answer, fragment)
        if short:
            held = contains(fragment, entry.reference_answer)
            support = overlap(entry.question, fragment) if held else 0.0
        elif not numbers(entry.reference_answer) <= numbers(fragment):
            continue
        least = ENOUGH_TOPIC if short else ENOUGH_SUPPORT
        if support >= least and support > best[1]:
            best = (number, support)
    return best


def answer_key_from_database(engine: Engine) -> AnswerKey:
    """Read every dataset's items into a key: questions with references, and show/hide pairs."""
    from sqlalchemy import select

    from rag_bench.store.tables import chunk, dataset_item

    with engine.connect() as connection:
        texts = dict(
            connection.execute(select(chunk.c.chunk_hash, chunk.c.text).distinct()).tuples().all()
        )
        rows = connection.execute(
            select(
                dataset_item.c.question,
                dataset_item.c.reference_answer,
                dataset_item.c.chunk_hashes,
                dataset_item.c.details,
            ).order_by(dataset_item.c.dataset_id, dataset_item.c.position)
        ).all()
    entries = [
        KeyEntry(
            row.question,
            row.reference_answer,
            tuple(texts[address] for address in row.chunk_hashes if address in texts),
        )
        for row in rows
        if row.reference_answer
    ]
    pairs = [
        LabelledPair(
            row.question,
            row.details["answer"],
            bool(row.details["ground_truth_show"]),
            row.details.get("context") or "",
        )
        for row in rows
        if row.details.get("answer") and "ground_truth_show" in row.details
    ]
    return AnswerKey(entries, pairs)
