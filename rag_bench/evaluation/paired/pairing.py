"""Which case of one run is which of another: by the client's id, else by what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rag_bench.evaluation.text.text_folding import fold

Reason = Literal[
    "not in the other",
    "another question under this id in the other",
    "another reference answer in the other",
]


@dataclass(frozen=True)
class Asked:
    """One case, as far as it says which it is.

    ``case_id``: ``named`` tells that it is the client's or a dataset's, not a mere number.
    ``question``: None where only the id is known.
    """

    case_id: str
    named: bool
    question: str | None
    reference: str | None = None


@dataclass(frozen=True)
class Pairing:
    """Cases of two runs, by their places in either.

    ``pairs``: several places on a side are one question that was asked several times. ``by_id``:
    how many pairs were found by an id; the others by question and reference answer.
    """

    pairs: Sequence[tuple[Sequence[int], Sequence[int]]]
    only_first: Sequence[tuple[int, Reason]]
    only_second: Sequence[tuple[int, Reason]]
    by_id: int

    @property
    def rule(self) -> str:
        """By what the cases were paired, in words."""
        if not self.by_id:
            return "question and reference answer"
        if self.by_id == len(self.pairs):
            return "case id and question"
        n = len(self.pairs) - self.by_id
        return f"case id and question; {n} by question and reference answer"


def pair_cases(first: Sequence[Asked], second: Sequence[Asked]) -> Pairing:
    """Pair the cases of two runs; every case stands in at most one pair.

    By id where both are named so and the question reads the same, else by question and reference
    answer as they read (`fold`). What is asked several times under no common id is one pair.
    """
    named = {case.case_id: place for place, case in enumerate(second) if case.named}
    pairs: list[tuple[list[int], list[int]]] = []
    taken: set[int] = set()
    left: list[int] = []
    for place, case in enumerate(first):
        other = named.get(case.case_id) if case.named else None
        if other is not None and _reads_as(case.question, second[other].question):
            pairs.append(([place], [other]))
            taken.add(other)
        else:
            left.append(place)
    by_id = len(pairs)
    rest = [place for place in range(len(second)) if place not in taken]
    mine, theirs = _by_text(first, left), _by_text(second, rest)
    pairs += [(places, theirs[text]) for text, places in mine.items() if text in theirs]
    paired = mine.keys() & theirs.keys()
    return Pairing(
        pairs,
        _why(first, left, paired, second),
        _why(second, rest, paired, first),
        by_id,
    )


def _reads_as(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or fold(one) == fold(other)


Text = tuple[str, str]


def _text(case: Asked) -> Text | None:
    return None if case.question is None else (fold(case.question), fold(case.reference or ""))


def _by_text(cases: Sequence[Asked], places: Sequence[int]) -> dict[Text, list[int]]:
    found: dict[Text, list[int]] = {}
    for place in places:
        text = _text(cases[place])
        if text is not None:
            found.setdefault(text, []).append(place)
    return found


def _why(
    cases: Sequence[Asked],
    places: Sequence[int],
    paired: set[Text],
    others: Sequence[Asked],
) -> list[tuple[int, Reason]]:
    alone = [place for place in places if _text(cases[place]) not in paired]
    if not alone:
        return []
    ids = {case.case_id for case in others if case.named}
    questions = {text[0] for case in others if (text := _text(case)) is not None}
    found: list[tuple[int, Reason]] = []
    for place in alone:
        text = _text(cases[place])
        if text is not None and text[0] in questions:
            found.append((place, "another reference answer in the other"))
        elif cases[place].named and cases[place].case_id in ids:
            found.append((place, "another question under this id in the other"))
        else:
            found.append((place, "not in the other"))
    return found
