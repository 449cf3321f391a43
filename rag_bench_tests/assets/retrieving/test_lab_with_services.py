"""The lab with a reranker that is a service: it is asked once per pair, and never by the clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from evaluation_calls import calls_of_evaluation
from small_world import World, checks_of, failure, materializations, value
from world_data import GOLD

from rag_bench.llm.tasks.reranking import ROLE
from rag_bench_tests.retrieval.rerankers.local_reranker import LocalReranker

TABLES = """
[retrievers.words]
search = "bm25"

[retrievers.served]
search = "bm25"
candidates = 5
top_k = 5
reranker = "service"

[rerankers.service]
kind = "http"
url = "{url}"
provider = "shop"
"""


def test_a_service_is_asked_for_results_and_not_for_the_clock(
    free_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "retrievers.toml"
    monkeypatch.setenv("RAG_BENCH_RETRIEVERS", str(path))
    with LocalReranker().serving() as service:
        path.write_text(TABLES.format(url=service.url), encoding="utf-8")
        # One run over what asks and what does not.
        first = free_world.run(["retrieval_lab"])
        assert first.success, failure(first)
        events = {e.partition: e for e in materializations(first, "retrieval_lab")}
        assert set(events) == {"default", "words", "served"}
        asked = free_world.count("llm_call")
        assert 0 < asked <= len(GOLD)
        again = free_world.run(["retrieval_lab"], partition_key="served")
        assert again.success, failure(again)
    assert free_world.count("llm_call") == asked, "the ledger has them"
    behind = calls_of_evaluation(
        free_world.engine, int(str(value(events["served"].metadata, "evaluation_id")))
    )
    assert len(behind) == asked
    assert {(call.role, call.made_for, call.how) for call in behind} == {
        (ROLE, "reranking", "sent")
    }
    served = events["served"].metadata
    assert "p50_query_latency_ms" not in served
    assert "p50_reranking_latency_ms" not in served
    assert value(served, "p50_search_latency_ms") > 0
    assert value(events["words"].metadata, "p50_query_latency_ms") > 0
    compared = free_world.run(["retriever_comparison"])
    assert compared.success, failure(compared)
    [event] = materializations(compared, "retriever_comparison")
    rows = {row.data["retriever"]: row.data for row in value(event.metadata, "table").records}
    assert rows["served"]["p50, ms"] == "–"
    assert rows["words"]["p50, ms"] != "–"
    assert "The latency of served is not measured" in value(event.metadata, "notes")


def test_a_service_that_fails_leaves_the_others_recorded(
    free_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "retrievers.toml"
    path.write_text(TABLES.format(url="http://127.0.0.1:9/rerank"), encoding="utf-8")
    monkeypatch.setenv("RAG_BENCH_RETRIEVERS", str(path))
    monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "0")
    result = free_world.run(["retrieval_lab"])
    assert not result.success
    assert "served (" in failure(result)
    recorded = {event.partition for event in materializations(result, "retrieval_lab")}
    # A question without any candidate is a miss, and nobody is asked: `served` has a part.
    assert recorded == {"default", "words", "served"}
    check = checks_of(result)["retrievers_are_measured_alike"]
    assert not check.passed
    scored = value(check.metadata, "questions_scored")
    assert scored["served"] < scored["words"] == scored["default"] == len(GOLD)
