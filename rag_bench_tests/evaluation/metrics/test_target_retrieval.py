"""What a target retrieved, by hand and against tier 1's measures of the same lists."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rag_bench.evaluation.catalogue import spec
from rag_bench.evaluation.metrics.retrieval import RetrievalCase, score_retrieval
from rag_bench.evaluation.metrics.target_retrieval import (
    METRICS,
    TargetCase,
    target_retrieval,
)


def case(case_id: str, contexts: Any, **fields: Any) -> TargetCase:
    named = len(contexts or ())
    lost = sum(chunk is None and page is None for chunk, page in contexts or ())
    given = {
        "n_named": named,
        "n_unresolved": lost,
        "relevant_chunks": ["c1"],
        "relevant_pages": ["p1"],
        "cluster": case_id,
        "in_scope": True,
    }
    return TargetCase(case_id, contexts, **{**given, **fields})


def test_what_is_not_found_keeps_its_place() -> None:
    scores, metrics = target_retrieval(
        [case("a", [(None, None), ("c1", "p1"), (None, None), ("c2", "p2")])]
    )
    found = scores["a"]
    assert found["target_chunk_hit_rate@1"] == 0
    assert found["target_chunk_hit_rate@5"] == 1
    assert found["target_chunk_mrr"] == 0.5
    assert found["target_chunk_ndcg@5"] == pytest.approx(1 / math.log2(3))
    assert found["target_chunk_recall@3"] == 1
    assert found["target_id_based_context_precision"] == 0.25
    assert found["target_id_based_context_recall"] == 1
    assert found["target_contexts"] == 4
    assert found["target_unresolved_share"] == 0.5
    assert metrics["target_unresolved_share"].value == 0.5


def test_a_list_of_chunks_scores_as_in_tier_1() -> None:
    lists = {"a": ["c3", "c1", "c2"], "b": ["c1"], "c": []}
    pages = {"c1": "p1", "c2": "p1", "c3": "p3"}
    cases = [case(name, [(c, pages[c]) for c in found]) for name, found in lists.items()]
    scores, _ = target_retrieval(cases)
    expected = score_retrieval(
        [
            RetrievalCase(name, [(c, pages[c]) for c in found], ["c1"], ["p1"])
            for name, found in lists.items()
        ]
    )
    for name, values in expected.items():
        for metric, value in values.items():
            assert scores[name][f"target_{metric}"] == value, (name, metric)


def test_a_page_alone_has_no_rank_among_chunks() -> None:
    scores, metrics = target_retrieval(
        [case("a", [(None, "p1")]), case("b", [("c1", "p1"), ("c1", "p1")])]
    )
    assert scores["a"]["target_page_hit_rate@1"] == 1
    assert "target_chunk_hit_rate@1" not in scores["a"]
    assert metrics["target_chunk_hit_rate@1"].n_expected == 1
    assert metrics["target_page_hit_rate@1"].n_expected == 2
    assert scores["b"]["target_id_based_context_precision"] == 1


def test_a_failed_call_is_expected_and_no_score() -> None:
    scores, metrics = target_retrieval([case("a", None), case("b", [("c1", "p1")])])
    for name in ("target_chunk_hit_rate@1", "target_page_mrr", "target_contexts"):
        assert (metrics[name].n_scored, metrics[name].n_expected) == (1, 2), name
    assert scores["a"]["target_chunk_mrr"] is None
    # Whether it would have named one that is not here nobody knows.
    assert metrics["target_unresolved_share"].n_expected == 2


def test_questions_out_of_scope_have_no_rank() -> None:
    _, metrics = target_retrieval(
        [
            case("a", [("c9", "p9")], in_scope=False, relevant_chunks=[], relevant_pages=[]),
            case("b", []),
        ]
    )
    assert metrics["target_chunk_hit_rate@1"].n_expected == 1
    assert metrics["target_contexts"].value == 0.5
    assert metrics["target_unresolved_share"].n_expected == 1


def test_every_metric_is_declared_for_tier_3() -> None:
    _, metrics = target_retrieval([case("a", [("c1", "p1")])])
    assert set(metrics) == {metric.name for metric in METRICS}
    assert all(spec(name).tiers == ("3",) for name in metrics)


def test_where_nobody_said_what_is_relevant_only_contexts_are_counted() -> None:
    unknown = {"relevant_chunks": [], "relevant_pages": []}
    scores, metrics = target_retrieval([case("a", [("c1", "p1")], **unknown)])
    assert set(metrics) == {"target_contexts", "target_unresolved_share"}
    assert scores["a"] == {"target_contexts": 1, "target_unresolved_share": 0}
    _, metrics = target_retrieval([case("a", [("c1", "p1")], relevant_chunks=[])])
    assert "target_page_mrr" in metrics
    assert "target_chunk_mrr" not in metrics
