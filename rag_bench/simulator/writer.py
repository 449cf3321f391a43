"""Questions from chunks, by rule: what a model that writes datasets does, without a model."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag_bench.simulator.extractive import extract, parts_of
from rag_bench.simulator.text import STOP_WORDS, chance, is_russian, pick

LONGEST_CLAIM = 13  # words of a sentence that is asked about as a whole
_OPENINGS = {
    True: ("Подскажите, {}?", "А {}?", "Привет! Скажите, {}?", "Народ, кто знает, {}?"),
    False: ("Hi, {}?", "Could someone tell me, {}?", "Quick question: {}?", "So, {}?"),
}
_ABOUT = {
    True: ("что важно знать на тему «{}»", "что известно на тему «{}»", "что там на тему «{}»"),
    False: ('what should I know about "{}"', 'what is known about "{}"', 'what is there on "{}"'),
}
_IS_IT_TRUE = {True: "правда, что {}", False: "is it true that {}"}
_ASKS = re.compile(
    r"^(?:(?:в|на|по|до|с|из|от|для|на|at|in|for|to)\s+)?(?:как\w*|кто|кому|кого|что|чем|где|куда|"
    r"когда|сколько|почему|зачем|можно|нужно|how|who|what|where|when|why|which|can|do|does|is|are)\b",
    re.IGNORECASE,
)
# A sentence that starts so speaks of something named before it.
_POINTS_BACK = re.compile(
    r"^(?:он|она|оно|они|его|ее|её|их|это\w*|эт[аиу]|такж?е?|там|тогда|поэтому|однако|но|и|а|"
    r"he|she|it|they|his|her|its|their|this|these|that|those|also|there|then|however|but|and)\b",
    re.IGNORECASE,
)
_CLAUSE_ENDS = re.compile(r"[,;:–—(]")


@dataclass(frozen=True)
class Draft:
    """What is asked about a chunk, without opening and question mark, and the answer to it."""

    body: str
    reference: str


def drafted(text: str, n: int = 0) -> Draft:
    """Return what the n-th question about a chunk asks: its heading first, then its sentences."""
    russian = is_russian(text)
    heading, found = heading_of(text), parts_of(text)[1] or (text,)
    claim = ""
    if n:
        claim = _claim(text, found, n)
        body = _IS_IT_TRUE[russian].format(_lowered(_clause(claim)))
    elif heading and _ASKS.match(heading):
        body = _lowered(heading)
    elif heading:
        body = pick(_ABOUT[russian], "about", text).format(
            heading.replace("«", "").replace("»", "")
        )
    else:
        claim = _claim(text, found)
        body = _IS_IT_TRUE[russian].format(_lowered(_clause(claim)))
    question = opened(body, text)
    nearest = None if claim else extract(question, ((1, text),))
    return Draft(body, claim or (nearest.text if nearest else found[0]))


def opened(body: str, text: str) -> str:
    """Return a question as somebody would begin it."""
    return pick(_OPENINGS[is_russian(text)], "opening", text).format(body)


def topic_of(text: str) -> str:
    """Return what a chunk is about: its heading, else a clause of it."""
    known = heading_of(text) or _clause(_claim(text, parts_of(text)[1] or (text,)))
    return known.replace("«", "").replace("»", "")


def heading_of(text: str) -> str:
    """Return a chunk's heading without its marks; empty if it has none."""
    if not parts_of(text)[0]:
        return ""
    return text.strip().splitlines()[0].strip(" #*\t").rstrip("?:.!")[:110]


def _claim(text: str, sentences: tuple[str, ...], n: int = 0) -> str:
    """Return a sentence that can stand alone, a short one if there is one; another for each n."""
    alone = [found for found in sentences if not _POINTS_BACK.match(found)] or list(sentences)
    short = [found for found in alone if 4 <= len(found.split()) <= LONGEST_CLAIM]
    fitting = short or alone
    return fitting[(int(chance("claim", text) * len(fitting)) + n) % len(fitting)]


def _clause(sentence: str) -> str:
    """Return a sentence without its full stop; of a long one the part to a comma near its end."""
    parts = sentence.rstrip(' .!?…»"”').split()
    if len(parts) > LONGEST_CLAIM:
        ends = [n for n in range(4, LONGEST_CLAIM + 1) if _CLAUSE_ENDS.search(parts[n - 1][-1:])]
        parts = parts[: ends[-1] if ends else LONGEST_CLAIM]
    return " ".join(parts).rstrip(",;:–—( ")


def _lowered(text: str) -> str:
    """Return a text fit to stand inside a sentence: names and abbreviations keep their capital."""
    first = text.split(maxsplit=1)[0]
    known = first.casefold() in STOP_WORDS or _ASKS.match(first)
    return text[0].lower() + text[1:] if known else text
