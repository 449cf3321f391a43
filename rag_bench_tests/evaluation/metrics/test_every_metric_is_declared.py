"""Whatever a whole graph stores has an entry, and whatever has an entry is computed by its tier."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from labelled_answers import label_answers
from local_provider import serving
from small_world import ANSWERS, CUSTOM, PRODUCTION, RAGAS, SCORES, World, failure

from rag_bench.answer_sources import PRODUCTION_LOG
from rag_bench.automation import range_tags
from rag_bench.evaluation.catalogue import CATALOGUE, known
from rag_bench.partitions import ModelLists, Partitions
from rag_bench.store import datasets, snapshots
from rag_bench.store.datasets import OUT_OF_SCOPE, Item

MODELS = ModelLists(
    ["simulator/sim-strong", "target/desk"],
    ["simulator/sim-judge-sharp"],
    ["simulator/sim-gate-balanced"],
)
WITH_LOG = ModelLists(
    [*MODELS.generation, PRODUCTION_LOG.key], MODELS.benchmark_judges, MODELS.production_judges
)
# What is computed at all is the same by all kernels, and a whole graph takes long.
pytestmark = pytest.mark.once
ANALYTICS = ("chunk_utilization", "topic_coverage", "domain_insights", "benchmark_topics")


@pytest.fixture
def measured(free_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world with every switch on, a live assistant, and a question that nothing answers."""
    current = snapshots.require_current(free_world.engine)
    with serving(snapshots.chunks_of(free_world.engine, current.sha256)) as assistant:
        monkeypatch.setenv("TARGET_DESK_URL", assistant.url)
        monkeypatch.setenv("TARGET_DESK_IDS", "/sources/*/id")
        yield _measured(free_world, monkeypatch)


def _measured(free_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("RAG_BENCH_BERTSCORE_MODEL", "encoder")
    world = free_world
    default = datasets.newest_dataset(world.engine, "manual")
    assert default is not None
    items = list(datasets.items_of(world.engine, default.id))
    items.append(Item("impossible", "Кто станет чемпионом?", details={"type": OUT_OF_SCOPE}))
    made = datasets.save_dataset(world.engine, "with a question out of scope", "manual", items)
    benchmark = {
        "dataset": made.id,
        "search": "hnsw",
        "consistency_runs": 2,
        "tier3_all_rubrics": True,
        "cached_answers": True,
    }
    first = ("tier0_embedding_geometry", "tier1_retrieval", "tier_ux_dialogs")
    for stage in (first, ANSWERS, SCORES, PRODUCTION, CUSTOM, RAGAS):
        result = world.run(stage, MODELS, benchmark=benchmark)
        assert result.success, failure(result)
    label_answers(world.engine)
    judges = range_tags(Partitions.of(MODELS).benchmark_judges)
    result = world.run(["judge_calibration"], MODELS, tags=judges)
    assert result.success, failure(result)
    result = world.run(["retrieval_lab"], MODELS, partition_key="default")
    assert result.success, failure(result)
    result = world.run(ANALYTICS, MODELS)
    assert result.success, failure(result)
    # What users asked, and got.
    for asset in ("traffic_dataset", "tier1_retrieval", "tier3_answers", "tier3_scores"):
        result = world.run([asset], WITH_LOG, benchmark={"dataset": "traffic"})
        assert result.success, failure(result)
    for asset in ("tier3_context_scores", "benchmark_judge_quality"):
        result = world.run([asset], MODELS, benchmark=benchmark)
        assert result.success, failure(result)
    return world


def test_every_metric_stored_has_an_entry_and_every_entry_is_computed(measured: World) -> None:
    rows = measured.rows("select tier, kind, metrics from rag_bench.evaluation")
    stored = {(row["tier"], name) for row in rows for name in row["metrics"]}
    for tier, name in sorted(stored):
        entry = known(name)
        assert entry is not None, f"{name} of tier {tier} has no entry"
        assert tier in entry.tiers, f"{name} has no entry for tier {tier}"
    for row in rows:
        for name, metric in row["metrics"].items():
            entry = known(name)
            if entry:
                scale = metric.get("scale")
                assert (scale and tuple(scale)) == entry.scale, name
    computed = {
        (tier, re.sub(r"^hnsw_recall@\d+$", "hnsw_recall@k", name)) for tier, name in stored
    }
    declared = {(tier, entry.name) for entry in CATALOGUE.values() for tier in entry.tiers}
    assert declared - computed == set(), "no tier computes them"
