"""The retrieval lab over a small knowledge base: real results, real costs, one comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from small_world import LAB, World, failure, materializations, value

from rag_bench.evaluation.retrievers.retrieval_costs import METRICS, TIER
from rag_bench.resources import BenchmarkResource
from rag_bench.retrievers import retrievers
from rag_bench.settings import get_settings
from rag_bench.store import evaluations
from rag_bench.store.retrieving.retriever_costs import costs_under
from rag_bench.tiers.retrieval.retrieval import retrieved
from rag_bench.tiers.retrieval.stopwatch import Stopwatch

NAMES = ("default", "bm25", "hybrid", "hybrid_late", "dense_hnsw")


def run(world: World, *assets: str, **given: Any) -> dg.ExecuteInProcessResult:
    result = world.run(assets, **given)
    assert result.success, failure(result)
    return result


def bench_of(world: World, name: str, **fields: Any) -> Any:
    return BenchmarkResource(retriever=name, **fields).open(world.engine, None)


def test_every_retriever_is_measured_as_tier_1_measures_it(free_world: World) -> None:
    assert set(retrievers(get_settings())) == set(NAMES)
    before = free_world.count("evaluation", "tier = '1'")
    lab = run(free_world, "retrieval_lab")
    events = {event.partition: event for event in materializations(lab, "retrieval_lab")}
    assert set(events) == set(NAMES)
    # The default one was measured by tier 1 already, and is found; the others are new.
    assert free_world.count("evaluation", "tier = '1'") == before + len(NAMES) - 1
    assert value(events["default"].metadata, "reused") is True
    for name, event in events.items():
        bench = bench_of(free_world, name)
        assert value(event.metadata, "settings_hash") == bench.run.hash
        assert value(event.metadata, "p50_query_latency_ms") > 0
        assert "0.000" not in value(event.metadata, "costs").records[0].data["value"]
        # What tier 3 reads when it is run with this retriever.
        assert set(retrieved(bench).rankings) == {item.item_id for item in bench.items}
    assert len({value(e.metadata, "settings_hash") for e in events.values()}) == len(NAMES)
    answers = run(
        free_world,
        "tier3_answers",
        partition_key="simulator/sim-strong",
        benchmark={"retriever": "bm25"},
    )
    [answered] = materializations(answers, "tier3_answers")
    assert value(answered.metadata, "settings_hash") == bench_of(free_world, "bm25").run.hash


def test_costs_are_measured_anew_and_change_no_version(free_world: World) -> None:
    run(free_world, "retrieval_lab", partition_key="bm25")
    first = run(free_world, "retrieval_lab", partition_key="bm25")
    hashed = bench_of(free_world, "bm25").run.hash
    before = costs_under(free_world.engine, hashed)
    second = run(free_world, "retrieval_lab", partition_key="bm25")
    after = costs_under(free_world.engine, hashed)
    assert before is not None
    assert after is not None
    assert after.id > before.id
    assert after.metrics.keys() == {entry.name for entry in METRICS}
    assert after.metrics["p50_encoding_latency_ms"]["value"] == 0, "BM25 reads no vector"
    assert after.metrics["p50_search_latency_ms"]["value"] > 0
    versions = {
        (event.tags or {})["dagster/data_version"]
        for result in (first, second)
        for event in materializations(result, "retrieval_lab")
    }
    assert len(versions) == 1
    assert (
        free_world.count("evaluation", "tier = '1' and settings ->> 'retriever' is not null") == 1
    )
    assert free_world.count("evaluation", f"tier = '{TIER}'") == 3


def test_retrievers_are_compared_with_the_default_one(free_world: World) -> None:
    run(free_world, "retrieval_lab")
    [event] = materializations(run(free_world, "retriever_comparison"), "retriever_comparison")
    rows = [record.data for record in value(event.metadata, "table").records]
    assert [row["retriever"] for row in rows] == list(retrievers(get_settings()))
    assert value(event.metadata, "n_not_measured") == 0
    contrasts = [record.data for record in value(event.metadata, "against_default").records]
    assert len(contrasts) == (len(NAMES) - 1) * 5
    assert "data:image/png;base64," in value(event.metadata, "plot")
    stored = evaluations.latest(
        free_world.engine,
        tier="1",
        kind="metrics",
        settings_hash=bench_of(free_world, "bm25").run.hash,
    )
    assert stored is not None
    for column, metric in (("hit@1", "chunk_hit_rate@1"), ("MRR", "chunk_mrr")):
        [row] = [row for row in rows if row["retriever"] == "bm25"]
        assert row[column].startswith(f"{stored.metrics[metric]['value']:.3f} [")
        low = stored.metrics[metric]["ci_low"]
        assert f"[{low:.3f}," in row[column], "one number has one interval"


def test_what_was_not_measured_is_said_and_no_fault(free_world: World) -> None:
    result = run(free_world, "retriever_comparison")
    [event] = materializations(result, "retriever_comparison")
    # Tier 1 has measured the default one.
    assert value(event.metadata, "n_not_measured") == len(NAMES) - 1
    assert "Not measured under these settings: bm25" in value(event.metadata, "notes")
    other = run(free_world, "retriever_comparison", benchmark={"top_k": 7})
    [event] = materializations(other, "retriever_comparison")
    assert "Materialize retrieval_lab" in value(event.metadata, "note")


def test_a_retriever_that_cannot_be_used_stops_no_other(
    free_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[retrievers.words]\nsearch = "bm25"\n'
        '[retrievers.lost]\nsearch = "dense_exact"\nencoder = "/nowhere/at-all"\n'
        '[retrievers.narrow]\nsearch = "hybrid"\ncandidates = 5\n'
    )
    monkeypatch.setenv("RAG_BENCH_RETRIEVERS", str(path))
    lab = free_world.run(["retrieval_lab"])
    assert not lab.success
    assert "lost: [retrievers.lost], encoder: " in failure(lab)
    assert "narrow: top_k is 10, but the retriever 'narrow' chooses among 5" in failure(lab)
    records = free_world.instance.fetch_materializations(dg.AssetKey("retrieval_lab"), limit=9)
    assert {record.partition_key for record in records.records} == {"default", "words"}
    [event] = materializations(run(free_world, "retriever_comparison"), "retriever_comparison")
    assert value(event.metadata, "n_retrievers") == 2
    assert "narrow cannot be used under these settings: top_k is 10" in value(
        event.metadata, "notes"
    )


def test_the_lab_is_no_part_of_the_leaderboard(done_world: World) -> None:
    def boards() -> list[Any]:
        result = run(done_world, *LAB)
        return [
            value(event.metadata, "table").records
            for event in materializations(result, "leaderboard")
        ]

    before, rows = boards(), done_world.rows("select * from rag_bench.model_runs")
    run(done_world, "retrieval_lab")
    run(done_world, "retriever_comparison")
    assert boards() == before
    assert done_world.rows("select * from rag_bench.model_runs") == rows
    newest = max(done_world.reports.glob("*.html"))
    assert "<h2>Retrievers</h2>" in newest.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_asked_alone_it_finds_what_it_finds_of_all_at_once(free_world: World, name: str) -> None:
    """What the clock stops is the retriever that is measured, and not another one."""
    from rag_bench.tiers.retrieval.alone import opened

    run(free_world, "retrieval_lab", partition_key=name)
    bench = bench_of(free_world, name)
    rankings = retrieved(bench).rankings
    with opened(bench) as alone:
        assert alone.index_bytes > 0
        for item in bench.items[:10]:
            found = alone.ask(item.question, Stopwatch())
            ranked = [chunk for chunk, _ in rankings[item.item_id]]
            assert [bench.chunks[place].chunk_hash for place in found] == ranked


def test_a_trial_leaves_the_full_result_shown(free_world: World) -> None:
    run(free_world, "retrieval_lab", partition_key="bm25")
    run(free_world, "retrieval_lab", partition_key="bm25", benchmark={"limit": 2})
    [newest] = free_world.instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey("retrieval_lab"), asset_partitions=["bm25"]), limit=1
    ).records
    assert newest.asset_materialization is not None
    assert "limit" not in newest.asset_materialization.metadata
