"""Scores by a benchmark judge, each rubric declared in its prompt's file; and how often a judge's
reply could not be read at first: how well it keeps to the form.
"""

from __future__ import annotations

from rag_bench.evaluation.metric_spec import UNIT, entries
from rag_bench.evaluation.rubrics import RUBRICS

#: Of judges' replies, those that could not be read at first, so that the judge was asked again.
ASKED_AGAIN_RATE = "asked_again_rate"
_FORMULA = (
    "of the judge's replies (RAGAS: scores), those that could not be read at first, so that it was "
    "asked once more with the reason (`RAG_BENCH_REASK_UNREADABLE`); what stays unreadable is "
    "`METRIC_ERROR`"
)
_ASKED_AGAIN = (
    *entries((ASKED_AGAIN_RATE,), ("2", "3", "judge"), "rate", UNIT, False, _FORMULA),
    *entries((f"ragas_{ASKED_AGAIN_RATE}",), ("2", "3"), "rate", UNIT, False, _FORMULA),
    *entries((f"ragas_context_{ASKED_AGAIN_RATE}",), ("3",), "rate", UNIT, False, _FORMULA),
)
METRICS = (*(rubric.metric for rubric in RUBRICS.values()), *_ASKED_AGAIN)
