"""Verdicts against what was to be judged: a ratio is taken only where the judge answered in full.

ragas 0.4.3 divides by the verdicts that came back, so a judge that answers one of five statements
gives 1.0. Here every difference is an error of the case with both counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from rag_bench.errors import CaseError, ErrorCode

#: Least share of a sentence's words that the classified statements must hold, and the reverse.
#: Not 1: a judge may put a noun for a pronoun. Below it a fact is missing or was made up.
ENOUGH_OF_SENTENCE = 0.75
ENOUGH_OF_STATEMENT = 0.5

_WORD = re.compile(r"[^\W_]+")
_MARKER = re.compile(r"\[\d{1,2}(?:\s*,\s*\d{1,2})*\]")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[»\"”)]*\s+(?=[«\"“(—–-]*\s*[A-ZА-ЯЁ0-9])")
_SHORT = 3  # shorter words are mostly prepositions and articles


def mismatch(detail: str) -> CaseError:
    """Return the error of a case whose verdicts do not fit what was asked."""
    return CaseError(ErrorCode.METRIC_ERROR, f"verdict count mismatch: {detail}")


def require_statements(statements: Sequence[str], of: str) -> None:
    """Raise METRIC_ERROR where a judge found nothing stated in a text that is no refusal."""
    if not statements:
        raise mismatch(f"0 statements found in {of}, which is not empty and no refusal")


def require_verdicts(submitted: Sequence[str], judged: Sequence[str]) -> None:
    """Raise METRIC_ERROR unless there is one verdict per submitted statement.

    The same statement judged twice stands for another one that was left out.
    """
    if len(judged) != len(submitted):
        raise mismatch(f"{len(submitted)} statements submitted, {len(judged)} verdicts returned")
    asked, answered = _distinct(submitted), _distinct(judged)
    if answered < asked:
        raise mismatch(f"{asked} different statements submitted, verdicts on {answered} returned")


def require_coverage(reference: str, classified: Sequence[str], question: str = "") -> None:
    """Raise METRIC_ERROR unless the classified statements are the reference, whole and once.

    Judges choose how to split the reference, so there is no number to compare with. Instead every
    sentence must be covered: all of its numbers and `ENOUGH_OF_SENTENCE` of its words stand in the
    statements taken together. No statement comes twice, and each shares `ENOUGH_OF_STATEMENT` of
    its words with the reference or the question (an answer of one word is restated with it).
    """
    parts = sentences(reference)
    said = [_words(statement) for statement in classified]
    everything = frozenset().union(*said)
    missed = [part for part in parts if not _holds(everything, _words(part))]
    if missed or not classified:
        raise mismatch(
            f"the reference has {len(parts)} sentences, {len(classified)} classifications "
            f"returned, {len(missed)} sentences not covered: {' '.join(missed)[:120]!r}"
        )
    if len(classified) - _distinct(classified) > len(parts) - _distinct(parts):
        raise mismatch(
            f"{len(classified)} classifications returned of {_distinct(classified)} statements"
        )
    whole = _words(reference) | _words(question)
    strange = [
        statement
        for statement, found in zip(classified, said, strict=True)
        if not found or len(found & whole) / len(found) < ENOUGH_OF_STATEMENT
    ]
    if strange:
        raise mismatch(
            f"{len(strange)} of {len(classified)} classified statements are not of the reference, "
            f"as {strange[0][:80]!r}"
        )


def require_sorted(
    answer: Sequence[str],
    reference: Sequence[str],
    tp: Sequence[str],
    fp: Sequence[str],
    fn: Sequence[str],
) -> None:
    """Raise METRIC_ERROR unless TP and FP are the answer's statements, each once, and FN are
    some of the reference's.
    """
    if len(tp) + len(fp) != len(answer):
        raise mismatch(f"{len(answer)} statements of the answer, {len(tp)} TP and {len(fp)} FP")
    if _distinct([*tp, *fp]) < _distinct(answer):
        raise mismatch(
            f"{_distinct(answer)} different statements of the answer, TP and FP hold "
            f"{_distinct([*tp, *fp])}"
        )
    if len(fn) > len(reference) or _distinct(fn) < len(fn):
        raise mismatch(
            f"{len(reference)} statements of the reference, {len(fn)} FN, "
            f"{_distinct(fn)} of them different"
        )


def sentences(text: str) -> list[str]:
    """Return the sentences of a text: split at line ends and where a new sentence starts."""
    lines = _MARKER.sub(" ", text).splitlines()
    parts = [part.strip() for line in lines for part in _SENTENCE_END.split(line)]
    return [part for part in parts if _WORD.search(part)]


def _holds(said: frozenset[str], needed: frozenset[str]) -> bool:
    numbers = {word for word in needed if word.isdigit()}
    return numbers <= said and len(needed & said) >= ENOUGH_OF_SENTENCE * len(needed)


def _words(text: str) -> frozenset[str]:
    """Return what the words of a text begin with: both languages inflect at the end."""
    found = _plain(text)
    chosen = [word for word in found if len(word) >= _SHORT or word.isdigit()] or found
    return frozenset(
        word if word.isdigit() or len(word) < 5 else word[: max(4, len(word) * 7 // 10)]
        for word in chosen
    )


def _plain(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", _MARKER.sub(" ", text)).casefold().replace("ё", "е")
    return _WORD.findall(folded)


def _distinct(statements: Sequence[str]) -> int:
    return len({tuple(_plain(statement)) for statement in statements})
