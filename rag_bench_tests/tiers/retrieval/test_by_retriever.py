"""Tier 1 by retriever: each finds, is stored under settings of its own, and tier 3 reads it."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree

import pytest
from small_world import OFFLINE, World, failure

from rag_bench.errors import RagBenchError
from rag_bench.partitions import ModelLists
from rag_bench.reporting.leaderboard import build
from rag_bench.resources import BenchmarkResource
from rag_bench.retrievers import retrievers
from rag_bench.settings import Settings
from rag_bench.tiers.registry import step_named
from rag_bench.tiers.retrieval.retrieval import NotRetrievedError, stored_retrieval
from rag_bench_tests.retrieval.conftest import build_tiny_model


def retrieve(world: World, retriever: str, **settings: object) -> dict:
    result = world.run(["tier1_retrieval"], benchmark={"retriever": retriever, **settings})
    assert result.success, failure(result)
    [row] = world.rows(
        "select * from rag_bench.evaluation where tier = '1' "
        "and settings ->> 'retriever_name' is not distinct from :name order by id desc limit 1",
        name=None if retriever == "default" else retriever,
    )
    return dict(row)


def found(world: World, evaluation: dict) -> dict[str, list[dict]]:
    rows = world.rows(
        "select case_id, retrieved from rag_bench.evaluation_case where evaluation_id = :id",
        id=evaluation["id"],
    )
    return {row["case_id"]: row["retrieved"] for row in rows}


@pytest.mark.parametrize("name", ["bm25", "hybrid", "hybrid_late", "dense_hnsw"])
def test_every_shipped_retriever_finds_and_stands_apart(free_world: World, name: str) -> None:
    default = retrieve(free_world, "default")
    mine = retrieve(free_world, name)
    assert mine["settings_hash"] != default["settings_hash"]
    assert mine["settings"]["retriever_name"] == name
    assert mine["metrics"]["chunk_mrr"]["value"] > 0.6
    rankings = found(free_world, mine)
    assert rankings.keys() == found(free_world, default).keys()
    for rows in rankings.values():
        scores = [row["score"] for row in rows]
        assert scores == sorted(scores, reverse=True)
        assert len({row["chunk_hash"] for row in rows}) == len(rows) <= 10
    # The same again is found, not made.
    assert retrieve(free_world, name)["id"] == mine["id"]


def test_hybrid_is_what_fusing_both_lists_by_hand_gives(free_world: World) -> None:
    n_chunks = free_world.rows("select count(*) as n from rag_bench.chunk")[0]["n"]
    depth = {"top_k": min(100, n_chunks)}
    lists = [found(free_world, retrieve(free_world, one, **depth)) for one in ("default", "bm25")]
    fused = found(free_world, retrieve(free_world, "hybrid"))
    for case, rows in fused.items():
        worth: dict[str, float] = {}
        for one in lists:
            for place, row in enumerate(one[case], start=1):
                worth[row["chunk_hash"]] = worth.get(row["chunk_hash"], 0) + 1 / (60 + place)
        by_hand = sorted((round(score, 9) for score in worth.values()), reverse=True)[:10]
        assert [round(row["score"], 9) for row in rows] == by_hand
        assert all(round(worth[row["chunk_hash"]] - row["score"], 9) == 0 for row in rows)


def test_a_threshold_of_another_kind_of_score_is_not_the_settings(
    free_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.9 is a high cosine, and no BM25 score at all."""
    path = tmp_path / "mine.toml"
    path.write_text(
        '[retrievers.words]\nsearch = "bm25"\n'
        '[retrievers.strict]\nsearch = "bm25"\nthreshold = 1e9\n'
    )
    monkeypatch.setenv("RAG_BENCH_RETRIEVERS", str(path))
    monkeypatch.setenv("RAG_BENCH_RETRIEVAL_THRESHOLD", "0.9")
    words = retrieve(free_world, "words")
    assert words["settings"]["retrieval_threshold"] is None
    assert words["metrics"]["id_based_context_recall"]["value"] > 0.5
    strict = retrieve(free_world, "strict")
    assert strict["metrics"]["id_based_context_recall"]["value"] == 0


ONE = ModelLists(["simulator/extractive"], ["simulator/sim-judge-sharp"], OFFLINE.production_judges)


def test_tier_3_answers_from_its_own_retriever_and_boards_stand_side_by_side(
    free_world: World,
) -> None:
    hashes = {}
    for name in ("default", "bm25"):
        retrieve(free_world, name, limit=6)
        settings = {"retriever": name, "limit": 6}
        result = free_world.run(["tier3_answers"], ONE, benchmark=settings)
        assert result.success, failure(result)
        board = build(free_world.engine)
        assert board.retriever == name
        hashes[name] = board.settings_hash
        given = free_world.rows(
            "select c.case_id, c.retrieved from rag_bench.evaluation_case c join "
            "rag_bench.evaluation e on e.id = c.evaluation_id where e.tier = '3' "
            "and e.kind = 'answers' and e.settings_hash = :hash",
            hash=board.settings_hash,
        )
        rankings = found(free_world, retrieve(free_world, name, limit=6))
        assert len(given) == 6
        for row in given:
            first = [one["chunk_hash"] for one in rankings[row["case_id"]][:3]]
            assert [one["chunk_hash"] for one in row["retrieved"]] == first
    assert hashes["default"] != hashes["bm25"]
    # Each board has the results of its own settings, whichever was measured last.
    for name, settings_hash in hashes.items():
        board = build(free_world.engine, settings_hash)
        assert (board.retriever, board.as_json()["retriever"]) == (name, name)
    bench = BenchmarkResource(retriever="hybrid", limit=6).open(free_world.engine, None)
    with pytest.raises(NotRetrievedError, match="the retriever 'bm25' instead of 'hybrid'"):
        stored_retrieval(bench)


def test_an_encoder_of_its_own_is_for_retrieval_alone(
    free_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retriever's encoder reads questions and chunks; the settings' one stays what it was."""
    folder = build_tiny_model(tmp_path / "tiny")
    path = tmp_path / "mine.toml"
    path.write_text(f'[retrievers.tiny]\nsearch = "dense_exact"\nencoder = "{folder}"\n')
    monkeypatch.setenv("RAG_BENCH_RETRIEVERS", str(path))
    # Meant for the settings' encoder, and more than the tiny one reads.
    monkeypatch.setenv("RAG_BENCH_ENCODER_MAX_TOKENS", "500")
    bench = BenchmarkResource(retriever="tiny").open(free_world.engine, None)
    default = BenchmarkResource().open(free_world.engine, None)
    own = bench.searched.identity
    assert own != bench.encoder_identity == default.encoder_identity
    assert bench.run.encoder == default.run.encoder
    assert bench.run.retriever == {"search": "dense_exact", "encoder": own.key}
    # The dense matrices are of the tiny encoder, so the search is that of its vectors.
    measured = retrieve(free_world, "tiny")
    assert measured["embedding_model"] == "tiny"
    texts = [chunk.text for chunk in bench.chunks]
    questions = bench.searched.of_questions([item.question for item in bench.items])
    chunks = bench.searched.of_chunks(texts)
    assert chunks.shape == (len(texts), 16)
    best = {
        item.item_id: row.max() for item, row in zip(bench.items, questions @ chunks.T, strict=True)
    }
    for case, rows in found(free_world, measured).items():
        assert rows[0]["score"] == pytest.approx(best[case], abs=2e-6)
    # Other weights in the same folder are another retriever.
    rmtree(folder)
    build_tiny_model(folder, seed=1)
    again = BenchmarkResource(retriever="tiny").open(free_world.engine, None)
    assert again.run.hash != bench.run.hash
    rmtree(folder)
    with pytest.raises(RagBenchError, match=r"\[retrievers.tiny\], encoder: "):
        BenchmarkResource(retriever="tiny").open(free_world.engine, None)


def test_no_shipped_retriever_asks_anybody(free_world: World) -> None:
    """So whatever runs by itself, as the sensor of dumps does, costs nothing."""
    step = step_named("tier1_retrieval")
    assert step.may_ask
    assert not step.pays
    for name in retrievers(Settings()):
        bench = BenchmarkResource(retriever=name).open(free_world.engine, None)
        assert not step.asks(bench, [None]), name


def test_what_no_chunk_enters_is_made_again_without_a_call(free_world: World) -> None:
    calls = []
    for name in ("default", "bm25"):
        settings = {"retriever": name, "limit": 6}
        result = free_world.run(["tier2_answers"], ONE, benchmark=settings)
        assert result.success, failure(result)
        calls.append(free_world.count("llm_call"))
    assert calls[0] == calls[1] > 0
    rows = free_world.rows("select * from rag_bench.evaluation where tier = '2'")
    first, second = sorted(rows, key=lambda row: row["id"])[-2:]
    assert first["settings_hash"] != second["settings_hash"]
    assert first["metrics"] == second["metrics"]
