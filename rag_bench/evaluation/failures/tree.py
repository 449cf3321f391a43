"""Where an answer failed: a decision tree over ids; a judge is believed only where ids are silent.

The order is that of the pipeline: an answer cannot be misread before its page was retrieved, and
nothing is retrieved that does not exist. So each failed case has one place, the first that fits.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from rag_bench.evaluation.text.text_folding import words

Place = Literal[
    "no_answer",
    "answered_what_nobody_can",
    "no_page",
    "not_retrieved",
    "cut_off",
    "refused",
    "ignored",
    "misread",
    "judge_alone",
    "unknown",
]
#: In the order in which they are tried, with what they mean.
PLACES: dict[Place, str] = {
    "no_answer": "the model gave no answer: the call failed or could not be read",
    "answered_what_nobody_can": "the documents do not answer this, and it was answered anyway",
    "no_page": "no page that answers is in the dump any more",
    "not_retrieved": "the page is there, and the search did not find it",
    "cut_off": "the search found the page, too far down to be given to the model",
    "refused": "the page was given, and the model said that there is no answer",
    "ignored": "the page was given, and the answer rests on others",
    "misread": "the answer cites the page, and lacks what the reference says",
    "judge_alone": "by all ids the answer is good, and only the judge says that it is not",
    "unknown": "nobody has said which page answers, so only the judge knows",
}
#: Below this part of a scale an answer counts as bad: 4 on a scale from 1 to 5.
GOOD = 0.75
#: Of the reference's words so many must stand in an answer that is said to hold it.
_HOLDS = 0.6


@dataclass(frozen=True)
class Answered:
    """One case, as far as the tree reads it.

    Attributes:
        case_id: of the question.
        in_scope: the documents should answer it.
        relevant: ids (chunk hashes or page URLs) that answer it; empty: nobody has said.
        there: those of them that are in the dump.
        found: ids that the search ranked, given or not.
        given: ids of what the model was given.
        cited: ids that the answer cites.
        answer: None where there is none.
        refused: it says that there is no answer.
        reference: the right answer, None where there is none.
        score: the judge's, as a part of its scale, 0 to 1; None where it has not said.
        weight: how often users ask it.
    """

    case_id: str
    in_scope: bool
    relevant: frozenset[str]
    there: frozenset[str]
    found: frozenset[str]
    given: frozenset[str]
    cited: frozenset[str]
    answer: str | None
    refused: bool
    reference: str | None
    score: float | None
    weight: float = 1.0


@dataclass(frozen=True)
class Count:
    """Failures of one place: cases, their share of all cases, and of all that users ask."""

    place: Place
    cases: Sequence[str]
    share: float
    traffic_share: float


def place_of(case: Answered, *, good: float = GOOD) -> Place | None:
    """Return where a case failed; None: it did not, or nobody has said.

    ``good``: least part of the judge's scale.
    """
    if case.answer is None:
        return "no_answer"
    if not case.in_scope:
        return None if case.refused else "answered_what_nobody_can"
    if not case.refused and (case.score is None or case.score >= good):
        return None
    if not case.relevant:
        return "refused" if case.refused and case.score is None else "unknown"
    if not case.there:
        return "no_page"
    if not case.there & case.given:
        return "cut_off" if case.there & case.found else "not_retrieved"
    if case.refused:
        return "refused"
    if not case.there & case.cited:
        return "ignored"
    if case.reference and not holds(case.answer, case.reference):
        return "misread"
    return "judge_alone"


def holds(answer: str, reference: str) -> bool:
    """Whether an answer holds most words of the reference, folded; a reference without words, as
    of signs alone, must stand in it as it is.
    """
    wanted = set(words(reference))
    if not wanted:
        return reference.strip() in answer
    return len(wanted & set(words(answer))) / len(wanted) >= _HOLDS


def counted(cases: Collection[Answered], *, good: float = GOOD) -> list[Count]:
    """Return the failures by place, in the tree's order; shares are of all cases."""
    asked = sum(case.weight for case in cases)
    by_place: dict[Place, list[Answered]] = {}
    for case in cases:
        place = place_of(case, good=good)
        if place is not None:
            by_place.setdefault(place, []).append(case)
    return [
        Count(
            place,
            sorted(case.case_id for case in by_place[place]),
            len(by_place[place]) / len(cases),
            sum(case.weight for case in by_place[place]) / asked if asked else 0.0,
        )
        for place in PLACES
        if place in by_place
    ]
