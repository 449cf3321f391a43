"""Targets: what misses one, and what follows for the whole."""

from __future__ import annotations

import pytest
from measured import metric

from rag_bench.reporting.baselines import BASELINES, overall_status, verdicts


def met(**values: float | None) -> dict[str, bool]:
    """Verdicts on metrics given by name, each in its own tier."""
    metrics: dict[str, dict[str, dict[str, object]]] = {}
    for name, value in values.items():
        metrics.setdefault(BASELINES[name][0], {})[name] = metric(value)
    return {verdict.metric: verdict.met for verdict in verdicts(metrics)}


def test_a_value_at_its_target_meets_it() -> None:
    assert met(chunk_mrr=0.8, rubric_faithfulness=4.5, recall=0.85) == {
        "chunk_mrr": True,
        "rubric_faithfulness": True,
        "recall": True,
    }
    assert met(chunk_mrr=0.799, rubric_faithfulness=4.499) == {
        "chunk_mrr": False,
        "rubric_faithfulness": False,
    }


def test_of_distances_less_is_better() -> None:
    assert met(avg_nn_distance=0.3) == met(avg_nn_distance=0.1) == {"avg_nn_distance": True}
    assert met(avg_nn_distance=0.31) == {"avg_nn_distance": False}


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert met(chunk_mrr=None, f1_score=0.0) == {"f1_score": False}
    assert verdicts({}) == []


def test_a_metric_counts_in_its_own_tier_only() -> None:
    assert verdicts({"tier_2": {"semantic_similarity": metric(0.1)}}) == []
    (verdict,) = verdicts({"tier_3": {"semantic_similarity": metric(0.1)}})
    assert (verdict.tier, verdict.value, verdict.target) == ("tier_3", 0.1, 0.85)


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({}, "insufficient_data"),
        ({"chunk_mrr": None}, "insufficient_data"),
        ({"chunk_mrr": 0.9}, "good"),
        ({"chunk_mrr": 0.1}, "attention"),
        ({"chunk_mrr": 0.9, "recall": 0.1, "precision": 0.1}, "attention"),
        ({"chunk_mrr": 0.1, "recall": 0.1, "precision": 0.1}, "critical"),
        ({"chunk_mrr": 0.1, "recall": 0.1, "precision": 0.1, "accuracy": 0.99}, "critical"),
    ],
)
def test_the_status_counts_missed_targets(values: dict[str, float], status: str) -> None:
    metrics = {"tier_1": {}, "tier_judge_pipeline": {}}  # type: ignore[var-annotated]
    for name, value in values.items():
        metrics[BASELINES[name][0]][name] = metric(value)
    assert overall_status(verdicts(metrics)) == status
