"""Tier 1 with a reranker: its order, what is asked and kept, and what a failed call leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from small_world import OFFLINE, World, failure, materializations, value
from starlette.responses import JSONResponse, Response
from world_data import GOLD

from rag_bench.llm.config.providers import Providers
from rag_bench.llm.transport import client
from rag_bench.llm.transport.limits import Limits
from rag_bench.partitions import ModelLists
from rag_bench.resources import BenchmarkResource
from rag_bench.store.eval_runs.model_revisions import revise
from rag_bench.tiers.base.changed_models import configured_model
from rag_bench.tiers.plan.plan import Plan, plan_sweep
from rag_bench_tests.retrieval.rerankers.local_reranker import LocalReranker, ranking, scores_of
from rag_bench_tests.retrieval.rerankers.tiny_cross_encoder import build_cross_encoder

N = len(GOLD)
MODELS = ModelLists(
    ["simulator/extractive"], ["simulator/sim-judge-sharp"], OFFLINE.production_judges
)
TABLES = """
[retrievers.words]
search = "bm25"
reranker = "service"

[retrievers.both]
search = "hybrid"
reranker = "service"

[retrievers.tiny]
search = "dense_exact"
candidates = 6
reranker = "tiny"
top_k = 4

[retrievers.plain]
search = "dense_exact"

[rerankers.service]
kind = "http"
url = "{url}"
model = "ranker-2"
provider = "shop"
api_key_variable = "SHOP_KEY"
passages_per_call = 3

[rerankers.tiny]
kind = "cross_encoder"
model = "{folder}"
"""


@pytest.fixture
def service(
    free_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalReranker]:
    """A service that the retrievers `words` and `both` name; waits are short."""
    monkeypatch.setattr(client, "Limits", partial(Limits, backoff_base=0.01, backoff_max=0.05))
    monkeypatch.setenv("SHOP_KEY", "sk-planted-0123456789")
    monkeypatch.setenv("PROVIDER_SHOP_CONCURRENCY", "4")
    monkeypatch.setenv("PROVIDER_SHOP_TIMEOUT_SECONDS", "3")
    monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "0")
    folder = build_cross_encoder(tmp_path / "tiny")
    path = tmp_path / "retrievers.toml"
    monkeypatch.setenv("RAG_BENCH_RETRIEVERS", str(path))
    with LocalReranker().serving() as serving:
        path.write_text(TABLES.format(url=serving.url, folder=folder), encoding="utf-8")
        yield serving


def run(world: World, retriever: str, **settings: object) -> Any:
    return world.run(["tier1_retrieval"], benchmark={"retriever": retriever, **settings})


def newest(world: World) -> dict[str, Any]:
    [row] = world.rows(
        "select * from rag_bench.evaluation where tier = '1' order by id desc limit 1"
    )
    return dict(row)


def cases(world: World, evaluation: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    rows = world.rows(
        "select * from rag_bench.evaluation_case where evaluation_id = :id", id=evaluation["id"]
    )
    return {row["case_id"]: dict(row) for row in rows}


def items(world: World) -> dict[str, str]:
    """The questions by id, in their order."""
    rows = world.rows(
        "select item_id, question from rag_bench.dataset_item join rag_bench.dataset "
        "on dataset.id = dataset_id where kind = 'manual' order by position"
    )
    assert [row["question"] for row in rows] == [question for question, _, _ in GOLD]
    return {row["item_id"]: row["question"] for row in rows}


def texts(world: World) -> dict[str, str]:
    rows = world.rows("select chunk_hash, text from rag_bench.chunk")
    return {row["chunk_hash"]: row["text"] for row in rows}


def test_a_service_gives_the_order_and_is_asked_once(
    free_world: World, service: LocalReranker
) -> None:
    result = run(free_world, "words")
    assert result.success, failure(result)
    evaluation = newest(free_world)
    assert evaluation["status"] == "succeeded"
    found, text_of = cases(free_world, evaluation), texts(free_world)
    for item_id, question in items(free_world).items():
        rows = found[item_id]["retrieved"]
        by_hand = scores_of(question, [text_of[row["chunk_hash"]] for row in rows])
        assert [row["score"] for row in rows] == [round(score, 6) for score in by_hand]
        assert by_hand == sorted(by_hand, reverse=True)
    # A question that no chunk shares a word with has no candidates; nothing is asked about it.
    assert sum(bool(case["retrieved"]) for case in found.values()) >= N - 2
    asked = service.count
    assert asked == free_world.count("llm_call", "role = 'reranker' and provider = 'shop'")
    assert max(len(body["documents"]) for body in service.bodies) == 3
    assert all(len(body["documents"]) <= 3 for body in service.bodies)
    assert all(header["authorization"].endswith("0123456789") for header in service.headers)
    [record] = materializations(result, "tier1_retrieval")
    assert "sk-planted" not in str(record)
    assert asked == value(record.metadata, "calls_sent")
    assert "data:image/png;base64," in value(record.metadata, "plot")

    # The same again is found; another limit is another evaluation of pairs that are known.
    assert run(free_world, "words").success
    assert newest(free_world)["id"] == evaluation["id"]
    assert run(free_world, "words", limit=5).success
    assert newest(free_world)["id"] != evaluation["id"]
    assert service.count == asked
    # Another search with the same reranker asks only about pairs that are new.
    pairs = {(body["query"], text) for body in service.bodies for text in body["documents"]}
    assert run(free_world, "both").success
    new = [(b["query"], t) for b in service.bodies[asked:] for t in b["documents"]]
    assert new
    assert not pairs & set(new)
    assert len(new) == len(set(new))


def test_the_plan_counts_what_is_then_asked(free_world: World, service: LocalReranker) -> None:
    def plan() -> Plan:
        bench = BenchmarkResource(retriever="words").open(free_world.engine, None)
        return asyncio.run(plan_sweep(bench, Providers.from_environment(), 16, [], [], [], ["1"]))

    assert run(free_world, "plain").success  # the questions are encoded by some tier before
    [line] = plan().lines
    assert (line.asset, line.role, line.model) == ("tier1_retrieval", "reranker", "shop/ranker-2")
    assert line.prompt_tokens > 0
    assert line.cost_usd is None
    assert service.count == 0
    assert run(free_world, "words").success
    assert line.n_to_send == service.count
    assert plan().n_to_send == 0


def test_a_service_that_was_changed_behind_its_name_is_asked_anew(
    free_world: World, service: LocalReranker
) -> None:
    assert run(free_world, "words").success
    first = newest(free_world)
    before, n_asked = cases(free_world, first), service.count
    n_pairs = free_world.count("rerank_score")

    async def otherwise(body: dict[str, Any], number: int) -> Response:
        return ranking([-score for score in scores_of(body["query"], body["documents"])])

    service.misbehave = otherwise
    assert run(free_world, "words").success
    assert service.count == n_asked, "nobody has said that it is another one"

    key = configured_model("service")
    assert key == configured_model("ranker-2") == configured_model("shop/ranker-2")
    with free_world.engine.begin() as connection:
        revise(connection, key, "a test")
    bench = BenchmarkResource(retriever="words").open(free_world.engine, None)
    plan = asyncio.run(plan_sweep(bench, Providers.from_environment(), 16, [], [], [], ["1"]))
    assert plan.n_to_send == n_asked
    result = run(free_world, "words")
    assert result.success, failure(result)
    assert service.count == 2 * n_asked
    second, text_of = newest(free_world), texts(free_world)
    assert second["id"] != first["id"]
    assert second["inputs"]["model_revisions"] == {key: 1}
    found = cases(free_world, second)
    for item_id, question in items(free_world).items():
        rows = found[item_id]["retrieved"]
        by_hand = scores_of(question, [text_of[row["chunk_hash"]] for row in rows])
        assert [row["score"] for row in rows] == [round(-score, 6) for score in by_hand]
    assert any(found[n]["retrieved"] != before[n]["retrieved"] for n in before)
    # What was measured before is read as ever; what is measured now is kept in its turn.
    assert cases(free_world, first) == before
    assert free_world.count("rerank_score") == 2 * n_pairs
    assert run(free_world, "words").success
    assert (newest(free_world)["id"], service.count) == (second["id"], 2 * n_asked)
    # Who reads what was found makes it anew; where a chunk stayed in its place nobody is asked.
    answered = free_world.run(["tier3_answers"], MODELS, benchmark={"retriever": "words"})
    assert answered.success, failure(answered)
    [answers] = free_world.rows(
        "select * from rag_bench.evaluation where tier = '3' order by id desc limit 1"
    )
    assert answers["inputs"]["retrieval_evaluation"] == second["id"]


def test_a_failed_call_is_no_score_and_no_other_order(
    free_world: World, service: LocalReranker
) -> None:
    ids = {question: item_id for item_id, question in items(free_world).items()}
    bad = sorted(ids)[:3]

    async def misbehave(body: dict[str, Any], number: int) -> Response | None:
        if body["query"] == bad[0]:
            return JSONResponse({"message": "отказ"}, 500)
        if body["query"] == bad[1]:
            return Response(b'[{"index": 0, "score": NaN}]')
        if body["query"] == bad[2]:
            return ranking([0.5])
        return None

    service.misbehave = misbehave
    first = run(free_world, "words")
    assert not first.success
    assert "not complete" in failure(first)
    evaluation = newest(free_world)
    assert evaluation["status"] == "partial"
    metric = evaluation["metrics"]["chunk_mrr"]
    assert (metric["n_scored"], metric["n_expected"]) == (N - 3, N)
    assert evaluation["metrics"]["id_based_context_recall"]["n_scored"] <= N - 3
    found = cases(free_world, evaluation)
    for question in bad:
        case = found[ids[question]]
        assert case["error_code"] == "LLM_FAILED"
        assert case["retrieved"] is None
        assert not any(value is not None for value in case["scores"].values())
    assert "http 500" in found[ids[bad[0]]]["error_detail"]
    assert "not JSON" in found[ids[bad[1]]]["error_detail"]
    assert "passages have a score" in found[ids[bad[2]]]["error_detail"]

    # Tier 3 asks nothing about them, and says why.
    answered = free_world.run(["tier3_answers"], MODELS, benchmark={"retriever": "words"})
    assert answered.success, failure(answered)
    [answers] = free_world.rows(
        "select * from rag_bench.evaluation where tier = '3' order by id desc limit 1"
    )
    for question in bad:
        case = cases(free_world, answers)[ids[question]]
        assert (case["error_code"], case["answer"]) == ("LLM_FAILED", None)
        assert case["error_detail"].startswith("its chunks were not retrieved: ")

    # What may pass is asked again by itself, what came and could not be read on demand.
    service.misbehave = None
    before = service.count
    second = run(free_world, "words")
    assert second.success, failure(second)
    assert {body["query"] for body in service.bodies[before:]} == {bad[0]}
    third = run(free_world, "words", retry_failed=True)
    assert third.success, failure(third)
    evaluation = newest(free_world)
    assert (evaluation["status"], evaluation["errors"]) == ("succeeded", {})
    assert evaluation["metrics"]["chunk_mrr"]["n_scored"] == N


def test_a_service_that_is_gone_is_not_asked_on_and_on(
    free_world: World, service: LocalReranker
) -> None:
    async def misbehave(body: dict[str, Any], number: int) -> Response | None:
        return JSONResponse({"message": "отказ"}, 503)

    service.misbehave = misbehave
    result = run(free_world, "words")
    assert not result.success
    assert service.count <= 25 + 5
    evaluation = newest(free_world)
    nothing_found = sum(case["retrieved"] == [] for case in cases(free_world, evaluation).values())
    assert evaluation["errors"] == {"LLM_FAILED": N - nothing_found}


def test_a_key_that_is_not_set_is_said_before_anything_is_asked(
    free_world: World, service: LocalReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_KEY")
    result = run(free_world, "words")
    assert not result.success
    assert "SHOP_KEY, which is not set" in failure(result)
    assert service.count == 0


def test_a_cross_encoder_orders_the_candidates_of_the_search(
    free_world: World, service: LocalReranker
) -> None:
    assert run(free_world, "plain", top_k=6).success
    plain = cases(free_world, newest(free_world))
    result = run(free_world, "tiny")
    assert result.success, failure(result)
    evaluation = newest(free_world)
    content = evaluation["settings"]["retriever"]["reranker"]
    assert set(content) == {"kind", "weights", "max_tokens", "version"}
    for case_id, case in cases(free_world, evaluation).items():
        mine = [row["chunk_hash"] for row in case["retrieved"]]
        assert len(mine) == 4
        assert set(mine) <= {row["chunk_hash"] for row in plain[case_id]["retrieved"]}
        scores = [row["score"] for row in case["retrieved"]]
        assert scores == sorted(scores, reverse=True)
    assert free_world.count("rerank_score") == 6 * N
    assert service.count == 0


def test_broken_weights_leave_no_ranking(
    free_world: World, service: LocalReranker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_cross_encoder(tmp_path / "nan", broken=True)
    path = tmp_path / "broken.toml"
    path.write_text(TABLES.format(url=service.url, folder=folder), encoding="utf-8")
    monkeypatch.setenv("RAG_BENCH_RETRIEVERS", str(path))
    run(free_world, "tiny")
    evaluation = newest(free_world)
    assert evaluation["status"] == "failed"
    assert evaluation["errors"] == {"METRIC_ERROR": N}
    assert free_world.count("rerank_score") == 0
