"""A leaderboard and a report's content as tests make them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from measured import GATES, GENERATORS, JUDGES, metric

from rag_bench.reporting import report
from rag_bench.reporting.leaderboard import Leaderboard, Row
from rag_bench.store.datasets import DatasetInfo

NOW = datetime(2026, 2, 23, 18, 35, 30, 123456, tzinfo=UTC)


SETTINGS = {"judge_eval_mode": "direct", "consistency_runs": 2, "top_k": 10}


def row(
    rank: int,
    generator: str,
    judge: str | None,
    gate: str | None,
    quality: float | None = None,
    half: float = 0.1,
) -> Row:
    return Row(
        rank,
        generator,
        judge,
        gate,
        {
            "tier_0": {"avg_nn_distance": metric(0.2), "density_score": metric(None)},
            "tier_1": {"chunk_mrr": metric(0.9)},
            "tier_3": {"rubric_e2e_quality": metric(quality, half=half), "rougeL_f": metric(0.0)},
            "tier_judge_pipeline": {"f1_score": metric(0.7), "unreadable": metric(1.0)},
        },
    )


def board(
    generators: Sequence[str] = GENERATORS,
    judges: Sequence[str | None] = JUDGES,
    gates: Sequence[str | None] = GATES,
    name: str = "золотой набор",
    half: float = 0.1,
) -> Leaderboard:
    triples = itertools.product(generators, judges, gates)
    rows = [
        row(rank, *triple, quality=4.5 - generators.index(triple[0]), half=half)
        for rank, triple in enumerate(triples, 1)
    ]
    return Leaderboard("f" * 64, DatasetInfo("d" * 64, name, "manual", 20), rows)


def content(of: Leaderboard) -> dict[str, Any]:
    return report.content(of, SETTINGS, "intfloat/multilingual-e5-small", NOW)
