"""Words of questions, how a question is shown, and what counts as an answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from rag_bench.evaluation.text.text_folding import compounds, has_words_in_a_row
from rag_bench.privacy.masking import mask, mask_all
from rag_bench.privacy.public_names import NOBODY, PublicNames

SHORTEST_WORD = 3

_NOT_FOUND = "ответ не найден"


@cache
def stop_words() -> frozenset[str]:
    """Return words that say nothing of what a question is about, folded.

    Particles, pronouns, prepositions and the politeness of chats, written down for questions to a
    help desk.
    """
    file = Path(__file__).with_name("stop_words.txt")
    return frozenset(file.read_text(encoding="utf-8").split())


def content_words(texts: Sequence[str], public_names: PublicNames = NOBODY) -> list[list[str]]:
    """Return of each text the words that say what it is about, of its masked form.

    Without stop words and words of fewer than three letters. No lemmas: «справка» and «справку» are
    two words.
    """
    dull = stop_words()
    return [
        [word for word in compounds(text) if len(word) >= SHORTEST_WORD and word not in dull]
        for text in mask_all(texts, public_names, blank=True)
    ]


def sample_text(text: str, public_names: PublicNames = NOBODY, longest: int = 100) -> str:
    """Return a question as it may be shown: masked first, then on one line, cut to ``longest``."""
    shown = " ".join(mask(text, public_names).split())
    return shown if len(shown) <= longest else shown[: longest - 1].rstrip() + "…"


def is_answer(answer: str | None) -> bool:
    """Whether production gave an answer: not blank, and not «ответ не найден».

    The phrase counts anywhere in the text, as in the production system, which treats every
    reply that holds it as none.
    """
    if answer is None:
        return False
    return bool(answer.strip()) and not has_words_in_a_row(answer, _NOT_FOUND)
