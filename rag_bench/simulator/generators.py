"""Simulated generation models: the quality of an answer is drawn first, then its text is made."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag_bench.simulator.answer_key import AnswerKey, KeyEntry, best_support
from rag_bench.simulator.extractive import NOT_FOUND, extract, ranked_sentences
from rag_bench.simulator.inventions import invent
from rag_bench.simulator.models import Generator
from rag_bench.simulator.sections import Sections
from rag_bench.simulator.text import (
    chance,
    contains,
    is_russian,
    normal,
    overlap,
    sentences,
    stable_chance,
)
from rag_bench.simulator.truth import Quality

#: A sentence that shares this much with the reference may be right: not taken for a wrong answer.
MAY_BE_RIGHT = 0.35
LONGEST_SENTENCE = 400  # characters of a whole sentence given as an answer
#: Added to the number of a citation that is meant to be invalid: no prompt has so many fragments.
NO_SUCH_FRAGMENT = 60


@dataclass(frozen=True)
class Generated:
    """A reply, and what its maker knows of it: None where it knew no answer to compare with."""

    text: str
    quality: Quality | None


@dataclass(frozen=True)
class _Draft:
    text: str
    fragment: int | None
    quality: Quality | None


def generate(model: Generator, asked: Sections, key: AnswerKey, replicate: int) -> Generated:
    """Answer the question in ``asked`` from its fragments, as ``model`` would at ``replicate``."""
    # The normalised question: a different template or case must not change what a model knows.
    seed = (model.name, normal(asked.question))
    entry = key.find(asked.question, [text for _, text in asked.fragments])
    draft = _draft(model, asked, key, entry, replicate, seed)
    if draft.quality is Quality.refused:
        return Generated(NOT_FOUND, Quality.refused)
    return Generated(_cite(model, asked, draft, replicate, seed), draft.quality)


def drawn_quality(model: Generator, question: str, replicate: int) -> Quality:
    """Return the quality drawn for a question, before the context is looked at."""
    draw = stable_chance(model.variation, replicate, "quality", model.name, normal(question))
    for quality, share in model.shares.items():
        draw -= share
        if draw < 0:
            return quality
    return Quality.refused  # only by rounding of the sum


def _draft(
    model: Generator,
    asked: Sections,
    key: AnswerKey,
    entry: KeyEntry | None,
    replicate: int,
    seed: tuple[object, ...],
) -> _Draft:
    quality = drawn_quality(model, asked.question, replicate)
    if quality in (Quality.correct, Quality.partial):
        if entry is None:
            return _from_context(asked, quality)
        place, _ = best_support(entry, [text for _, text in asked.fragments])
        if place is not None:
            return _known(model, asked, entry, place, quality, replicate, seed)
        draw = stable_chance(model.variation, replicate, "absent", *seed)
        refuses = draw < model.refuses_when_absent
        quality = Quality.refused if refuses else Quality.hallucinated
    if quality is Quality.wrong:
        wrong = _wrong(asked, key, entry, seed)
        if wrong is not None:
            return wrong
        quality = Quality.hallucinated
    if quality is Quality.hallucinated:
        text = invent(asked.question, asked.context, *seed)
        return _Draft(text, _any_fragment(asked, seed), quality)
    return _Draft(NOT_FOUND, None, Quality.refused)


def _from_context(asked: Sections, quality: Quality) -> _Draft:
    """Answer a question that is not in the key as the baseline does; nobody knows how well."""
    found = extract(asked.question, asked.fragments)
    if found is None:
        return _Draft(NOT_FOUND, None, Quality.refused)
    text = found.text if quality is Quality.correct else _first_half(found.text)
    return _Draft(text, found.fragment, None)


def _known(
    model: Generator,
    asked: Sections,
    entry: KeyEntry,
    place: int,
    quality: Quality,
    replicate: int,
    seed: tuple[object, ...],
) -> _Draft:
    number, fragment = asked.fragments[place]
    reference = entry.reference_answer.strip()
    if quality is Quality.partial:
        return _Draft(_partial(reference, asked.question), number, quality)
    if stable_chance(model.variation, replicate, "verbose", *seed) < model.verbose:
        for sentence in sentences(fragment):
            if len(sentence) <= LONGEST_SENTENCE and contains(sentence, reference):
                return _Draft(sentence, number, quality)
    return _Draft(reference, number, quality)


def _partial(reference: str, question: str) -> str:
    """Return half of a long reference; a short one as a guess, since it cannot be halved."""
    if len(reference.split()) >= 6:
        return _first_half(reference)
    if is_russian(question):
        return f"Возможно, {reference}, но точнее сказать не могу."
    return f"Possibly {reference}, but I cannot say more exactly."


def _first_half(text: str) -> str:
    """Return about the first half of a text, cut at a clause where one ends near the middle."""
    parts = text.split()
    middle = (len(parts) + 1) // 2
    for length in sorted(range(3, len(parts)), key=lambda n: abs(n - middle)):
        if abs(length - middle) <= len(parts) // 5 and re.search(r"[,;:.]$", parts[length - 1]):
            middle = length
            break
    return " ".join(parts[:middle]).rstrip(",;:.") + "."


def _wrong(
    asked: Sections, key: AnswerKey, entry: KeyEntry | None, seed: tuple[object, ...]
) -> _Draft | None:
    """Return a sentence of the context that does not answer, or another question's reference."""
    reference = entry.reference_answer if entry else ""
    ranked = ranked_sentences(asked.question, asked.fragments)
    beside = [
        (number, sentence)
        for _, number, _, sentence in ranked[2:]  # the two nearest may well answer
        if len(sentence.split()) >= 4
        and len(sentence) <= LONGEST_SENTENCE
        and not contains(sentence, reference)
        and overlap(reference, sentence) < MAY_BE_RIGHT
    ]
    if beside:
        number, sentence = beside[int(chance("wrong", *seed) * len(beside))]
        return _Draft(sentence, number, Quality.wrong)
    russian = is_russian(asked.question)
    for attempt in range(30 if key.entries else 0):
        other = key.entries[int(chance("other", attempt, *seed) * len(key.entries))]
        if (
            is_russian(other.question) == russian
            and normal(other.question) != normal(asked.question)
            and overlap(reference, other.reference_answer) < MAY_BE_RIGHT
        ):
            text = other.reference_answer.strip()
            return _Draft(text, _any_fragment(asked, seed), Quality.wrong)
    return None


def _any_fragment(asked: Sections, seed: tuple[object, ...]) -> int | None:
    if not asked.fragments:
        return None
    return asked.fragments[int(chance("fragment", *seed) * len(asked.fragments))][0]


def _cite(
    model: Generator,
    asked: Sections,
    draft: _Draft,
    replicate: int,
    seed: tuple[object, ...],
) -> str:
    draw = stable_chance(model.variation, replicate, "citation", *seed)
    if draft.fragment is None or draw < model.no_citation:
        return draft.text
    number = draft.fragment
    if draw < model.no_citation + model.invalid_citation:
        number += NO_SUCH_FRAGMENT if number < 40 else 1
    return f"{draft.text} [{number}]"
