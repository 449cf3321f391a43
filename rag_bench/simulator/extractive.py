"""The extractive baseline: it answers with the sentences of the context nearest to the question.

Nearest by the weight of shared stems (rare ones in this context weigh more) and by shared
character trigrams, which forgive misspelling. It knows no answer key.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rag_bench.simulator.text import sentences, stems, trigrams

NOT_FOUND = "Ответ не найден"
#: A second sentence is added when it is next to the best one and at least this near to it.
NEARLY_AS_GOOD = 0.7
LONGEST_PAIR = 320  # characters
#: Below this nearness the baseline says that there is no answer.
LEAST = 0.05
_ENDS_SENTENCE = re.compile(r"[.!?…:;][»\"”)]*$")


@dataclass(frozen=True)
class Found:
    """An extracted answer: its sentences as one text, and the number of their fragment."""

    text: str
    fragment: int


@lru_cache(maxsize=8_192)
def parts_of(fragment: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Split a fragment into its heading's stems and its sentences.

    A short first line without a full stop, with text under it, is a heading: it tells what the
    rest is about and answers nothing itself.
    """
    found = sentences(fragment)
    if len(found) > 1 and len(found[0]) <= 120 and not _ENDS_SENTENCE.search(found[0]):
        first_line = fragment.strip().splitlines()[0].strip()
        if first_line == found[0]:
            return stems(found[0]), found[1:]
    return frozenset(), found


def ranked_sentences(
    question: str, fragments: Sequence[tuple[int, str]]
) -> list[tuple[float, int, int, str]]:
    """Return (nearness, fragment number, place in it, sentence), nearest first.

    Nearness is 0 to about 1: the idf-weighted share of the question's stems in the sentence (half
    weight for those only in the heading) plus a tenth of the share of shared trigrams.
    """
    asked, asked_trigrams = stems(question), trigrams(question)
    parts = [(number, *parts_of(text)) for number, text in fragments]
    total = sum(len(found) for _, _, found in parts)
    counts = Counter(
        word for _, _, found in parts for sentence in found for word in stems(sentence) & asked
    )
    idf = {word: math.log(1 + total / (1 + counts[word])) for word in asked}
    whole = sum(idf.values()) or 1.0
    result = []
    for number, heading, found in parts:
        for place, sentence in enumerate(found):
            inside = stems(sentence)
            weight = sum(idf[word] for word in asked & inside)
            weight += 0.5 * sum(idf[word] for word in (asked & heading) - inside)
            near = weight / whole
            if asked_trigrams:
                near += 0.1 * len(asked_trigrams & trigrams(sentence)) / len(asked_trigrams)
            result.append((near, number, place, sentence))
    # Equal nearness: the earlier fragment, then the earlier sentence.
    result.sort(key=lambda item: (-item[0], item[1], item[2]))
    return result


def extract(question: str, fragments: Sequence[tuple[int, str]]) -> Found | None:
    """Return the nearest sentence, with its neighbour if nearly as near; None if none is near."""
    ranked = ranked_sentences(question, fragments)
    if not ranked or ranked[0][0] < LEAST:
        return None
    near, number, place, sentence = ranked[0]
    for other_near, other_number, other_place, other in ranked[1:3]:
        if (
            other_number == number
            and abs(other_place - place) == 1
            and other_near >= NEARLY_AS_GOOD * near
            and len(sentence) + len(other) <= LONGEST_PAIR
        ):
            ordered = (sentence, other) if place < other_place else (other, sentence)
            return Found(" ".join(ordered), number)
    return Found(sentence, number)


def extractive_answer(question: str, fragments: Sequence[tuple[int, str]]) -> str:
    """Return the baseline's reply: sentences and their citation, or that there is no answer."""
    found = extract(question, fragments)
    return f"{found.text} [{found.fragment}]" if found else NOT_FOUND
