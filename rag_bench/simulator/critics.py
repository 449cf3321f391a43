"""Simulated critics of questions: they know, or estimate, what is wrong, and err as stated.

Their errors are those of the benchmark judge of the same name: a good question is taken with its
sensitivity, a bad one seen with its specificity. A model that is no judge makes no errors beyond
those of its estimate, which is word overlap.
"""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from functools import lru_cache

from rag_bench.simulator.judges import judged_score
from rag_bench.simulator.models import Judge, OfflineModel
from rag_bench.simulator.question_types import SLANG, is_undocumented, is_vague
from rag_bench.simulator.sections import Sections
from rag_bench.simulator.text import (
    chance,
    is_russian,
    normal,
    numbers,
    overlap,
    stable_chance,
    stems,
)

CRITICS = ("critic_groundedness", "critic_self_containedness", "critic_answerability")
#: Share of the question's own words that a fragment must have to be taken as its answer.
ENOUGH_WORDS = 0.5
ENOUGH_SUPPORT = 0.6
_LIKE = 0.72  # of a misspelt stem and the right one
# What the simulated writers say around their topics: it tells nothing about a chunk.
_SAID_ANYWHERE = stems(
    "подскажите привет скажите народ кто знает что важно знать на тему известно там правда если "
    "то первокурсник учусь на платном заочке приехал из другой страны мне нужно для этого "
    "ну типа вообще короче hi could someone tell me quick question so what should know about "
    "is known there it true that first-year student pay tuition study part-time from abroad need "
    "both like well anyway kinda hey guys"
)
_REASONS = {
    True: ("Замечаний нет.", "Найден недостаток."),
    False: ("Nothing to object to.", "A fault was found."),
}


def critic_reply(model: OfflineModel, critic: str, asked: Sections, replicate: int) -> str:
    """Return the JSON of a critic's reply, or now and then something unreadable, as stated."""
    seed = (model.name, critic, normal(asked.question), normal(asked.reference_answer))
    if isinstance(model, Judge) and chance("unreadable", replicate, *seed) < model.unreadable:
        return "Вопрос хороший."
    if critic == "critic_answerability":
        needed = needed_fragments(asked)
        answered = _sees(model, bool(needed), replicate, *seed)
        if answered and not needed:
            needed = [asked.fragments[0][0]] if asked.fragments else [1]
        return _reply(asked, answered, answered=answered, fragments=needed if answered else [])
    good = is_grounded(asked) if critic == "critic_groundedness" else not is_vague(asked.question)
    worth = 5 if good else 1
    score = judged_score(model, worth, replicate, *seed) if isinstance(model, Judge) else worth
    return _reply(asked, score >= 4, score=score)


def is_grounded(asked: Sections) -> bool:
    """Tell whether the reference answer's words and numbers are the fragments'."""
    support = overlap(asked.reference_answer, asked.context)
    return support >= ENOUGH_SUPPORT and numbers(asked.reference_answer) <= numbers(asked.context)


def needed_fragments(asked: Sections) -> list[int]:
    """Return the numbers of the fragments that answer the question; none: it is not answered.

    Of two fragments, each that has words of the question which the other lacks; of more, or
    where both have the same, the one that has most.
    """
    words = frozenset(stems(_plain(asked.question)) - _SAID_ANYWHERE)
    if not words or is_undocumented(asked.question) or is_vague(asked.question):
        return []
    has = {number: _matched(words, stems(text)) for number, text in asked.fragments}
    together = frozenset[str]().union(*has.values())
    best = max(has, key=lambda number: (len(has[number]), -number))
    if len(has) == 2 and len(together) >= ENOUGH_WORDS * len(words):
        first, second = has
        alone = [n for n, other in ((first, second), (second, first)) if has[n] - has[other]]
        return sorted(alone) or [best]
    return [best] if len(has[best]) >= ENOUGH_WORDS * len(words) else []


def _sees(model: OfflineModel, truth: bool, replicate: int, *seed: object) -> bool:
    """Return whether a model says that a question is answered."""
    if not isinstance(model, Judge):
        return truth
    right = model.sensitivity if truth else model.specificity
    draw = stable_chance(model.variation, replicate, "criticised", *seed)
    return truth if draw < right else not truth


def _reply(asked: Sections, good: bool, **fields: object) -> str:
    reason = _REASONS[is_russian(asked.question)][not good]
    return json.dumps({"reason": reason, **fields}, ensure_ascii=False)


@lru_cache(maxsize=8_192)
def _matched(words: frozenset[str], known: frozenset[str]) -> frozenset[str]:
    """Return those of the words that a fragment has, a slip of the keyboard forgiven."""
    return frozenset(
        word for word in words if word in known or get_close_matches(word, known, 1, _LIKE)
    )


def _plain(question: str) -> str:
    """Return a question without slang."""
    plain = question.casefold()
    for word, slang in SLANG:
        plain = re.sub(rf"\b{slang}\b", word, plain)
    return plain
