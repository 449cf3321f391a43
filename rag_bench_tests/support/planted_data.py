"""Sentences with personal data planted in them, and how well it is found.

``python rag_bench_tests/support/planted_data.py`` prints the table of docs/privacy.md and, with
``errors``, what was missed and what was found wrongly.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rag_bench.privacy.kinds import Kind, Span
from rag_bench.privacy.masking import find_all

FOLDER = Path(__file__).parents[1] / "privacy" / "planted"
LANGUAGES = ("ru", "en")

_PLANTED = re.compile(r"\{([a-z-]+)\|([^}]+)\}")


@dataclass(frozen=True)
class Sentence:
    """A text, and the spans that must be found in it.

    ``seen``: the rules were mended while looking at it; the other half was only measured.
    """

    text: str
    spans: tuple[Span, ...]
    seen: bool


def sentences(language: str) -> list[Sentence]:
    """The planted sentences of a language; every second one is unseen, until the file says of a
    part of it that it was ``seen`` or ``unseen`` as a whole.
    """
    found: list[Sentence] = []
    seen: bool | None = None
    for line in (FOLDER / f"{language}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            part = line.removeprefix("#").partition(":")[0].strip()
            seen = {"seen": True, "unseen": False}.get(part, seen)
        elif line:
            found.append(_parsed(line, len(found) % 2 == 0 if seen is None else seen))
    return found


def _parsed(line: str, seen: bool) -> Sentence:
    text, spans, at = "", [], 0
    for match in _PLANTED.finditer(line):
        text += line[at : match.start()]
        spans.append(Span(len(text), len(text) + len(match[2]), Kind(match[1])))
        text += match[2]
        at = match.end()
    return Sentence(text + line[at:], tuple(spans), seen)


@dataclass
class Found:
    """Counts over sentences, by kind.

    Attributes:
        planted: pieces of personal data.
        hidden: those of which no letter or digit is left unmasked, by whatever kind.
        named: those of them that were found as this kind.
        marked: spans found as this kind.
        right: those of which every letter and digit is of planted data, of whatever kind.
        errors: what is wrong, to be read.
    """

    planted: Counter[Kind] = field(default_factory=Counter)
    hidden: Counter[Kind] = field(default_factory=Counter)
    named: Counter[Kind] = field(default_factory=Counter)
    marked: Counter[Kind] = field(default_factory=Counter)
    right: Counter[Kind] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def recall(self, kind: Kind) -> float:
        return self.hidden[kind] / self.planted[kind]

    def precision(self, kind: Kind) -> float:
        return self.right[kind] / self.marked[kind]


def measure(given: Sequence[Sentence]) -> Found:
    """Find personal data in the sentences and compare with what was planted."""
    found = Found()
    for sentence, spans in zip(given, find_all([one.text for one in given]), strict=True):
        for span in sentence.spans:
            found.planted[span.kind] += 1
            hidden = _inside(sentence.text, span, spans)
            found.hidden[span.kind] += hidden
            of_kind = any(
                other.kind == span.kind and other.start < span.end and span.start < other.end
                for other in spans
            )
            found.named[span.kind] += hidden and of_kind
            if not (hidden and of_kind):
                found.errors.append(
                    f"missed {_said(sentence, span)}; found {_all(sentence, spans)}"
                )
        for span in spans:
            found.marked[span.kind] += 1
            right = _inside(sentence.text, span, sentence.spans)
            found.right[span.kind] += right
            if not right:
                found.errors.append(f"wrong {_said(sentence, span)}")
    return found


def _inside(text: str, span: Span, others: Iterable[Span]) -> bool:
    covered = {i for other in others for i in range(other.start, other.end)}
    return all(i in covered or not text[i].isalnum() for i in range(span.start, span.end))


def _said(sentence: Sentence, span: Span) -> str:
    return f"{span.kind} {sentence.text[span.start : span.end]!r} in {sentence.text!r}"


def _all(sentence: Sentence, spans: Sequence[Span]) -> list[str]:
    return [f"{span.kind} {sentence.text[span.start : span.end]}" for span in spans]


def table() -> str:
    """The figures per language and kind, as Markdown."""
    rows = [
        "| | kind | planted | recall | … unseen part | precision | … unseen part |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for language in LANGUAGES:
        given = sentences(language)
        every = measure(given)
        unseen = measure([one for one in given if not one.seen])
        for kind in Kind:
            if every.planted[kind]:
                rows.append(
                    f"| {language} | `{kind}` | {every.planted[kind]} | "
                    f"{_of(every.hidden[kind], every.planted[kind])} | "
                    f"{_of(unseen.hidden[kind], unseen.planted[kind])} | "
                    f"{_of(every.right[kind], every.marked[kind])} | "
                    f"{_of(unseen.right[kind], unseen.marked[kind])} |"
                )
    return "\n".join(rows)


def _of(part: int, whole: int) -> str:
    return f"{part / whole:.2f} ({part} of {whole})" if whole else "–"


if __name__ == "__main__":
    print(table())
    for language in LANGUAGES if "errors" in sys.argv else ():
        print(*measure([one for one in sentences(language) if one.seen]).errors, sep="\n")
