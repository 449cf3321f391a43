"""Answers that say that there is no answer: where there is one, and where there is none."""

from __future__ import annotations

from collections.abc import Sequence

from rag_bench.evaluation.answer_metrics import AnswerCase, AnswerMetrics
from rag_bench.evaluation.metric_spec import UNIT, Need, entries

METRICS = (
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


def _of_cases(cases: Sequence[AnswerCase]) -> list[dict[str, float | None]]:
    return [dict.fromkeys((m.name for m in METRICS), float(case.refused)) for case in cases]


OF_ANSWERS = (AnswerMetrics(METRICS, _of_cases, version=None),)
