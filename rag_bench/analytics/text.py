"""Words of questions, what counts as an answer, and masking of personal data."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from rag_bench.evaluation.text.text_folding import compounds, has_words_in_a_row, readable

SHORTEST_WORD = 3

_NOT_FOUND = "ответ не найден"

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_LINK = re.compile(r"(?:https?://|www\.|t\.me/|vk\.com/)\S+", re.IGNORECASE)
_HANDLE = re.compile(r"(?<![\w@])@\w{3,}")
# Ten digits or more, whatever stands between them; then local numbers (12-34-56); then documents
# (1234 567890) and any long run of digits. Dates (01.09.2025) and years stay readable.
_PHONE = re.compile(r"(?<![\w])\+?\d(?:[\s().\u00a0\u2010-\u2015-]*\d){9,}")
_LOCAL_PHONE = re.compile(r"(?<![\d-])\d{2,3}[-\u2010-\u2015]\d{2}[-\u2010-\u2015]\d{2}(?![\d-])")
_DIGITS = re.compile(r"\d{6,}")
_MASKS = (
    (_EMAIL, "[e-mail]"),
    (_LINK, "[link]"),
    (_HANDLE, "[name]"),
    (_PHONE, "[number]"),
    (_LOCAL_PHONE, "[number]"),
    (_DIGITS, "[number]"),
)


@cache
def stop_words() -> frozenset[str]:
    """Return words that say nothing of what a question is about, folded.

    Particles, pronouns, prepositions and the politeness of chats, written down for questions to a
    help desk.
    """
    file = Path(__file__).with_name("stop_words.txt")
    return frozenset(file.read_text(encoding="utf-8").split())


def content_words(text: str) -> list[str]:
    """Return the words that say what a text is about, of its masked form.

    Without stop words and words of fewer than three letters. No lemmas: «справка» and «справку» are
    two words.
    """
    dull = stop_words()
    return [
        word
        for word in compounds(mask(text, blank=True))
        if len(word) >= SHORTEST_WORD and word not in dull
    ]


def mask(text: str, *, blank: bool = False) -> str:
    """Return the text with e-mails, links, handles, phone numbers and long numbers masked.

    A space instead of a name in brackets with ``blank``. Names of people are not recognised.
    """
    # Full-width digits and what is invisible between digits would pass the patterns by.
    text = readable(text)
    for pattern, name in _MASKS:
        text = pattern.sub(" " if blank else name, text)
    return text


def sample_text(text: str, longest: int = 100) -> str:
    """Return a question as it may be shown: masked first, then on one line, cut to ``longest``."""
    shown = " ".join(mask(text).split())
    return shown if len(shown) <= longest else shown[: longest - 1].rstrip() + "…"


def is_answer(answer: str | None) -> bool:
    """Whether production gave an answer: not blank, and not «ответ не найден».

    The phrase counts anywhere in the text, as in the production system, which treats every
    reply that holds it as none.
    """
    if answer is None:
        return False
    return bool(answer.strip()) and not has_words_in_a_row(answer, _NOT_FOUND)
