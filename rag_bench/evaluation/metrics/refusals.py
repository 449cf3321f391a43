"""Answers that say that there is no answer: where there is one, and where there is none."""

from __future__ import annotations

from collections.abc import Sequence

from rag_bench.evaluation.answer_metrics import AnswerCase, AnswerMetrics
from rag_bench.evaluation.metric_spec import UNIT, Need, Shown, entries

ANSWERED = "answered_rate"
UNANSWERED = "unanswered_rate"
_OF_ONE = (
    *entries(
        ("refusal_rate",),
        ("2", "3"),
        "rate",
        UNIT,
        None,
        "share of answers that are a refusal («Ответ не найден») and nothing else; questions out "
        "of scope aside",
        needs=(Need.in_scope,),
    ),
    *entries(
        ("out_of_scope_refusal_rate",),
        ("3",),
        "rate",
        UNIT,
        True,
        "datasets with questions of type `out_of_scope`: the share of those refused "
        "([datasets.md](datasets.md)). They enter no other measure of answers but consistency and "
        "latency, and none of tiers 1 and 2",
        needs=(Need.out_of_scope,),
    ),
)
METRICS = (
    *_OF_ONE,
    # Counted by `rag_bench.tiers.answers.apart`, on datasets of kind ``traffic`` only.
    *entries(
        (ANSWERED,),
        ("3",),
        "rate",
        UNIT,
        None,
        "questions of real users (dataset kind `traffic`): the share that got an answer, a text "
        "without «ответ не найден» in it, as production counts. Judges score these only. More is "
        "not better by itself: nothing may answer the question",
        shown={ANSWERED: Shown("3", "answered", 55, if_measured=True)},
    ),
    *entries(
        (UNANSWERED,),
        ("3",),
        "rate",
        UNIT,
        None,
        "of `production/log`: the share of questions for which the log holds no text at all, not "
        "even a refusal",
    ),
)


def _of_cases(cases: Sequence[AnswerCase]) -> list[dict[str, float | None]]:
    return [dict.fromkeys((m.name for m in _OF_ONE), float(case.refused)) for case in cases]


OF_ANSWERS = (AnswerMetrics(_OF_ONE, _of_cases, version=None, reads_vectors=False),)
