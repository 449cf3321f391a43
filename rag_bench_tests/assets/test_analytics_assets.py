"""The analytics assets on the real database: what is stored, when again, and without data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pytest
import questions_world as world
from small_world import materializations
from sqlalchemy import Engine, text

from rag_bench.assets.results.analytics import ASSETS
from rag_bench.resources import DatabaseResource
from rag_bench.store.evaluations import cases_of, model_runs
from rag_bench.tiers.traffic import analytics
from rag_bench.tiers.traffic.analysis import open_analysis

REAL = {"questions_source": "real", "question_limit": 100_000, "top_k": 1}
SYNTHETIC = {"questions_source": "synthetic"}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def loaded(engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", database_url)
    world.load(engine)
    return engine


def run(
    instance: dg.DagsterInstance, asset: str, config: Mapping[str, Any] | None = None
) -> dg.AssetMaterialization:
    """Materialize one asset and return what was recorded of it."""
    ops = {asset: {"config": dict(config or {})}}
    result = dg.materialize(
        ASSETS,
        selection=[asset],
        instance=instance,
        resources={"database": DatabaseResource()},
        run_config={"ops": ops, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    (found,) = materializations(result, asset)
    return found


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"select count(*) from rag_bench.{table}")).scalar_one())


def test_utilization_of_real_questions(loaded: Engine, instance: dg.DagsterInstance) -> None:
    made = run(instance, "chunk_utilization", REAL)
    assert made.metadata["utilization_rate"].value == pytest.approx(3 / 5)
    assert made.metadata["questions_sampled"].value == 45, "all of them, rated or not"
    assert made.metadata["questions_in_source"].value == 46
    assert "Музей открыт" in str(made.metadata["never_found"].value)
    found = analytics.newest(loaded, analytics.UTILIZATION)
    assert found
    content = analytics.as_json(open_analysis(loaded), found)
    seeds = (
        *("total_chunks", "used_chunks", "unused_chunks", "question_count", "top_k"),
        "questions_source",
    )
    assert [content[name] for name in seeds] == [5, 3, 2, 45, 1, "real"]
    hashes = world.chunk_hashes()
    assert content["used_chunk_ids"] == sorted(hashes[:3])
    assert [row["retrieved"] for row in content["retrieval_counts"]] == [20, 15, 10]
    assert {row["chunk_hash"] for row in content["unused_chunk_list"]} == set(hashes[3:])
    assert found.metrics["utilization_rate"]["n_scored"] == 5


def test_the_same_inputs_are_not_measured_again(
    loaded: Engine, instance: dg.DagsterInstance
) -> None:
    first = run(instance, "chunk_utilization", REAL)
    # Another limit that leaves nothing out, and a reindexed dump: the same inputs.
    again = run(instance, "chunk_utilization", {**REAL, "question_limit": 45})
    world.load(loaded, reverse=True)
    reindexed = run(instance, "chunk_utilization", REAL)
    assert [made.metadata["reused"].value for made in (first, again, reindexed)] == [0, 1, 1]
    versions = {(made.tags or {})["dagster/data_version"] for made in (first, again, reindexed)}
    assert len(versions) == 1
    assert count(loaded, "evaluation") == 1
    fewer = run(instance, "chunk_utilization", {**REAL, "question_limit": 44})
    assert not fewer.metadata["reused"].value
    assert count(loaded, "llm_call") == 0


def test_utilization_of_synthetic_questions(loaded: Engine, instance: dg.DagsterInstance) -> None:
    made = run(instance, "chunk_utilization", SYNTHETIC)
    assert "no synthetic dataset" in str(made.metadata["note"].value)
    assert count(loaded, "evaluation") == 0
    dataset_id = world.write_synthetic(loaded)
    made = run(instance, "chunk_utilization", {**SYNTHETIC, "top_k": 1})
    assert made.metadata["utilization_rate"].value == pytest.approx(4 / 5)
    found = analytics.newest(loaded, analytics.UTILIZATION)
    assert found
    assert found.dataset_id == dataset_id


def test_users_questions_are_the_default(loaded: Engine, instance: dg.DagsterInstance) -> None:
    world.write_synthetic(loaded)
    made = run(instance, "chunk_utilization")
    assert "real questions" in str(made.metadata["summary"].value)


def test_topics_without_bertopic_say_so_and_fail_nothing(
    loaded: Engine, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_bench.analytics.clusters.find_spec", lambda name: None)
    made = run(instance, "topic_coverage")
    assert "pip install" in str(made.metadata["note"].value)


def test_topics(loaded: Engine, instance: dg.DagsterInstance) -> None:
    made = run(instance, "topic_coverage", {"n_topics": 3, "top_k": 2})
    assert made.metadata["n_topics"].value == 3
    assert "low answered" in str(made.metadata["gaps"].value)
    found = analytics.newest(loaded, analytics.TOPICS)
    assert found
    cases = cases_of(loaded, found.id)
    assert [case.scores["question_count"] for case in cases] == [20, 15, 10]
    assert [case.scores["with_answers_rate"] for case in cases] == [1.0, 0.0, 0.0]
    assert [case.scores["mean_score"] for case in cases] == [5.0, 1.0, None]
    assert [case.scores["unique_chunks"] for case in cases] == [2, 2, 2]
    assert cases[0].scores["name"].startswith("стипендия")
    assert sorted(int(i) for case in cases for i in case.retrieved) == list(range(1, 46))
    hidden = run(instance, "topic_coverage", {"n_topics": 3, "top_k": 2, "show_samples": False})
    assert "sample_questions" in made.metadata
    assert "sample_questions" not in hidden.metadata


def test_domain(loaded: Engine, instance: dg.DagsterInstance) -> None:
    made = run(instance, "domain_insights")
    assert made.metadata["with_answers_rate"].value == pytest.approx(20 / 45)
    assert made.metadata["refusal_texts"].value == 15
    found = analytics.newest(loaded, analytics.DOMAIN)
    assert found
    result = found.inputs["result"]
    assert result["score_distribution"] == {"1": 7, "5": 10}
    assert result["questions_per_month"] == {"2025-09": 23, "2025-10": 22}
    assert result["slang_indicator_counts"]["пересдача"] == 10


def test_analytics_stay_out_of_model_runs(loaded: Engine, instance: dg.DagsterInstance) -> None:
    run(instance, "domain_insights")
    found = analytics.newest(loaded, analytics.DOMAIN)
    assert found
    assert model_runs(loaded, found.settings_hash) == []


@pytest.mark.parametrize("asset", ["chunk_utilization", "topic_coverage", "domain_insights"])
def test_a_snapshot_without_questions_says_so(
    engine: Engine,
    database_url: str,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    asset: str,
) -> None:
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", database_url)
    world.load(engine, with_questions=False)
    config = REAL if asset == "chunk_utilization" else {}
    made = run(instance, asset, config)
    note = str(made.metadata["note"].value)
    assert "no data" in note
    assert "questions.dump" in note
    assert count(engine, "evaluation") == 0
