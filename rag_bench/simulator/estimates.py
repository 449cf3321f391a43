"""What an answer of unknown making is worth: estimated from shared words, on the rubric's scale.

For answers of `extractive` and of real models, whose truth nobody wrote down. A stand-in for
reading, no better than word overlap can be; a simulated judge then errs on top of it.
"""

from __future__ import annotations

from rag_bench.evaluation.rubrics import rubric_named
from rag_bench.simulator.answer_key import AnswerKey
from rag_bench.simulator.extractive import NOT_FOUND
from rag_bench.simulator.sections import Sections
from rag_bench.simulator.text import contains, normal, numbers, overlap, stems
from rag_bench.simulator.truth import WORTH, Quality

_SUPPORT_STEPS = (0.2, 0.4, 0.6, 0.8)
_RELEVANCE_STEPS = (0.1, 0.2, 0.35, 0.5)
_CORRECTNESS_STEPS = (0.15, 0.35, 0.6, 0.8)


def estimate(rubric: str, asked: Sections, key: AnswerKey) -> int:
    """Return 1 to 5 by a rubric, judged by what it reads: the context alone is for what is backed
    by it, a reference for what is right; without either it is about the question.
    """
    if normal(asked.answer) == normal(NOT_FOUND):
        return WORTH[rubric][Quality.refused]
    inputs = rubric_named(rubric).inputs
    if "reference_answer" not in inputs and "context" in inputs:
        return _faithfulness(asked)
    reference = asked.reference_answer or _reference(asked, key)
    if "reference_answer" not in inputs:
        near = _step(overlap(asked.question, asked.answer), _RELEVANCE_STEPS)
        return max(near, _correctness(asked, reference)) if reference else near
    return _correctness(asked, reference)


def is_good_answer(asked: Sections, key: AnswerKey) -> bool:
    """Tell whether an answer of unknown making should be shown: to the point and not invented."""
    if normal(asked.answer) == normal(NOT_FOUND):
        return False
    reference = _reference(asked, key)
    if reference:
        return _correctness(asked, reference) >= 3
    if asked.fragments and _faithfulness(asked) < 3:
        return False
    return estimate("answer_relevance", asked, key) >= 2


def _faithfulness(asked: Sections) -> int:
    worth = _step(overlap(asked.answer, asked.context), _SUPPORT_STEPS)
    # A number that the context does not have is the commonest invention.
    invented = numbers(asked.answer) - numbers(asked.context)
    return min(worth, 2) if invented else worth


def _correctness(asked: Sections, reference: str) -> int:
    if not reference:
        return 3
    if contains(asked.answer, reference):
        return 5
    worth = _step(overlap(reference, asked.answer), _CORRECTNESS_STEPS)
    missed = numbers(reference) - numbers(asked.answer)
    # Half an answer to "what do I need?" may be fine; one without its date or sum is not.
    return min(worth, 3) if missed and len(stems(reference)) > 1 else worth


def _reference(asked: Sections, key: AnswerKey) -> str:
    entry = key.find(asked.question, [text for _, text in asked.fragments])
    return entry.reference_answer if entry else ""


def _step(share: float, steps: tuple[float, ...]) -> int:
    return 1 + sum(share >= step for step in steps)
