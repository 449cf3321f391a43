"""Targets: what misses one, and what follows for the whole."""

from __future__ import annotations

import pytest
from measured import metric

from rag_bench.reporting.baselines import AREAS, TARGETS, areas_missed, overall_status, verdicts

TIER_OF = {metric.name: f"tier_{target.tier}" for metric, target in TARGETS}


def met(**values: float | None) -> dict[str, bool]:
    """Verdicts on metrics given by name, each in its own tier."""
    metrics: dict[str, dict[str, dict[str, object]]] = {}
    for name, value in values.items():
        metrics.setdefault(TIER_OF[name], {})[name] = metric(value)
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
        # One ranking misses five targets at once: one area.
        (
            {
                "chunk_mrr": 0.5,
                "chunk_hit_rate@1": 0.5,
                "chunk_hit_rate@5": 0.5,
                "chunk_hit_rate@10": 0.5,
                "chunk_ndcg@5": 0.5,
            },
            "attention",
        ),
        ({"chunk_mrr": 0.9, "recall": 0.1, "precision": 0.1}, "attention"),
        ({"chunk_mrr": 0.1, "recall": 0.1, "precision": 0.1}, "attention"),
        ({"chunk_mrr": 0.1, "recall": 0.1, "rubric_faithfulness": 5.0}, "attention"),
        ({"chunk_mrr": 0.1, "recall": 0.1, "rubric_faithfulness": 2.0}, "critical"),
        ({"rubric_faithfulness": 2.0, "rubric_answer_relevance": 2.0}, "attention"),
        ({"rubric_faithfulness": 2.0, "rubric_e2e_quality": 2.0, "accuracy": 0.1}, "critical"),
    ],
)
def test_the_status_counts_areas_that_miss(values: dict[str, float], status: str) -> None:
    metrics: dict[str, dict[str, object]] = {}
    for name, value in values.items():
        metrics.setdefault(TIER_OF[name], {})[name] = metric(value)
    assert overall_status(verdicts(metrics)) == status


def test_every_target_is_of_one_area() -> None:
    assert [name for area in AREAS.values() for name in area] == list(TIER_OF)
    found = verdicts({"tier_1": {"chunk_mrr": metric(0.1), "chunk_hit_rate@5": metric(0.99)}})
    assert areas_missed(found) == ["retrieval"]
    assert {verdict.area for verdict in found} == {"retrieval"}


def test_the_targets_are_those_that_the_team_set() -> None:
    found = [(t.area, t.tier, m.name, t.value, m.higher_is_better) for m, t in TARGETS]
    assert found == [
        ("questions' embeddings", "0", "avg_nn_distance", 0.30, False),
        ("questions' embeddings", "0", "density_score", 3.0, True),
        ("retrieval", "1", "chunk_mrr", 0.8, True),
        ("retrieval", "1", "chunk_hit_rate@1", 0.7, True),
        ("retrieval", "1", "chunk_hit_rate@5", 0.9, True),
        ("retrieval", "1", "chunk_hit_rate@10", 0.95, True),
        ("retrieval", "1", "chunk_ndcg@5", 0.8, True),
        ("answers from the right chunk", "2", "rubric_faithfulness", 4.5, True),
        ("answers from the right chunk", "2", "rubric_answer_relevance", 4.2, True),
        ("answers from the right chunk", "2", "rubric_answer_correctness", 4.2, True),
        ("answers end to end", "3", "rubric_e2e_quality", 4.2, True),
        ("answers end to end", "3", "semantic_similarity", 0.85, True),
        ("repeated answers", "3", "response_exact_match_rate", 0.7, True),
        ("repeated answers", "3", "response_semantic_consistency", 0.85, True),
        ("show or hide", "judge_pipeline", "accuracy", 0.85, True),
        ("show or hide", "judge_pipeline", "precision", 0.85, True),
        ("show or hide", "judge_pipeline", "recall", 0.85, True),
        ("show or hide", "judge_pipeline", "f1_score", 0.85, True),
    ]
