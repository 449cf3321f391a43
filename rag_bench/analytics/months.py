"""What questions got month by month, where their time is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rag_bench.analytics.traffic import Asked
from rag_bench.evaluation.statistics import mean_metric, rate_metric


def by_month(
    questions: Sequence[Asked],
    found: np.ndarray | None = None,
    best_scores: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """Return a record per month (UTC), the earliest first: questions, the share answered, and with
    ``found`` what retrieval found for them.

    A month with more questions finds more chunks: ``used_chunks`` of unlike months do not compare,
    ``mean_best_similarity`` does. Questions without a time are of no month.

    Args:
        questions: n of them.
        found: int, shape (n, k): positions of the found chunks.
        best_scores: shape (n,): cosine of each question's first chunk.
    """
    months = sorted({question.month for question in questions if question.month})
    records = []
    for month in months:
        members = [i for i, question in enumerate(questions) if question.month == month]
        whose = [questions[i].cluster for i in members]
        answered = rate_metric([questions[i].answered for i in members], clusters=whose)
        record: dict[str, Any] = {
            "month": month,
            "questions": len(members),
            "with_answers_rate": answered.to_json(),
        }
        if found is not None and best_scores is not None:
            best = [float(best_scores[i]) for i in members]
            record["used_chunks"] = len(np.unique(found[members]))
            record["mean_best_similarity"] = mean_metric(best, whose, scale=(-1.0, 1.0)).to_json()
        records.append(record)
    return records
