"""Benchmark questions in the topics of users: scores by topic and weighted, on the real store."""

from __future__ import annotations

import dagster as dg
import pytest
import questions_world as world
from small_world import materializations
from sqlalchemy import Engine

from rag_bench.assets.results import analytics as analytics_assets
from rag_bench.assets.results import benchmark_topics as assets
from rag_bench.reporting.columns import Column
from rag_bench.reporting.topic_scores import topic_scores
from rag_bench.resources import DatabaseResource
from rag_bench.store.datasets import DatasetInfo, Item, save_dataset
from rag_bench.store.evaluations import cases_of
from rag_bench.tiers.traffic import analytics, benchmark_topics
from rag_bench.tiers.traffic.analysis import NoQuestionsError, open_analysis

SCORE = Column("tier_2", "rubric_correctness", "correctness", (1.0, 5.0))
CONFIG = analytics.TopicsConfig(n_topics=3, top_k=2)


@pytest.fixture
def loaded(engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", database_url)
    world.load(engine)
    return engine


def asked(engine: Engine) -> DatasetInfo:
    """Four questions about scholarships, two about the hostel; none about exams."""
    chunks = tuple(world.chunk_hashes())
    items = [
        *(Item(f"s{i}", f"когда стипендия {i}", chunk_hashes=chunks[:1]) for i in range(4)),
        *(
            Item(f"h{i}", f"сколько стоит общежитие {i}", chunk_hashes=chunks[1:2])
            for i in range(2)
        ),
    ]
    return save_dataset(engine, "mine", "manual", items)


def test_scores_by_topic_and_weighted_by_hand(loaded: Engine) -> None:
    dataset = asked(loaded)
    analysis = open_analysis(loaded)
    topics = analytics.topic_coverage(analysis, CONFIG)
    (placed,) = benchmark_topics.benchmark_topics(analysis)
    assert placed.dataset_id == dataset.id
    assert placed.metrics["covered_traffic_rate"]["value"] == pytest.approx(35 / 45, abs=1e-6)
    assert placed.metrics["n_uncovered_topics"]["value"] == 1
    keys = [case.scores["topic_key"] for case in cases_of(loaded, topics.id)]
    assert {case.case_id: case.scores["topic_key"] for case in cases_of(loaded, placed.id)} == {
        **{f"s{i}": keys[0] for i in range(4)},
        **{f"h{i}": keys[1] for i in range(2)},
    }
    given = {("m", "j"): {"s0": 5.0, "s1": 4.0, "s2": 5.0, "s3": 2.0, "h0": 1.0, "h1": 2.0}}
    pages = {**{f"s{i}": f"p{i % 3}" for i in range(4)}, "h0": "h0", "h1": "h1"}
    found = topic_scores(loaded, dataset.id, SCORE, given, pages)
    assert found is not None
    assert found.uncovered == pytest.approx(10 / 45)
    one = found.weighted["m", "j"]
    assert one.weighted.value == pytest.approx((20 * 4 + 15 * 1.5) / 35)
    assert one.plain.value == pytest.approx(19 / 6)
    assert one.uncovered == pytest.approx(10 / 45)
    assert one.high_if_uncovered == pytest.approx((20 * 4 + 15 * 1.5 + 10 * 5) / 45)
    assert [topic.n_items for topic in found.topics] == [4, 2, 0]
    score = found.of_topic(("m", "j"), keys[0])
    assert score is not None
    assert (score["value"], score["n_scored"], score["n_clusters"]) == (4.0, 4, 3)
    assert found.of_topic(("m", "j"), keys[2]) is None, "empty, and not 0"
    written = found.as_json()
    assert [topic["n_benchmark_questions"] for topic in written["topics"]] == [4, 2, 0]
    assert written["topics"][2]["scores"] == []
    assert written["weighted"][0]["uncovered_share"] == pytest.approx(10 / 45, abs=1e-6)
    assert "22 % of the traffic is in topics without" in found.sentence("m", "j")
    assert found.topic_table(("m", "j"))[1][2][3:6] == [None, "–", "0/0"]


def test_a_new_dump_with_the_same_questions_changes_no_topic(loaded: Engine) -> None:
    asked(loaded)
    first = analytics.topic_coverage(open_analysis(loaded), CONFIG)
    world.load(loaded, reverse=True)
    again = analytics.topic_coverage(open_analysis(loaded), CONFIG)
    assert again.inputs["result"]["topic_model"] == first.inputs["result"]["topic_model"]
    before, after = cases_of(loaded, first.id), cases_of(loaded, again.id)
    assert [(c.scores["topic_key"], sorted(c.retrieved or [])) for c in before] == [
        (c.scores["topic_key"], sorted(c.retrieved or [])) for c in after
    ]
    # A part of the questions is put into the topics of all, a refit makes a new generation.
    part = analytics.TopicsConfig(question_limit=30, n_topics=3, top_k=2)
    fewer = analytics.topic_coverage(open_analysis(loaded), part)
    assert fewer.inputs["result"]["topic_model"] == first.inputs["result"]["topic_model"]
    topic_of = {i: c.scores["topic_key"] for c in before for i in c.retrieved or []}
    for case in cases_of(loaded, fewer.id):
        assert {topic_of[i] for i in case.retrieved or []} == {case.scores["topic_key"]}
    refit = analytics.TopicsConfig(question_limit=30, n_topics=3, top_k=2, refit=True)
    made = analytics.topic_coverage(open_analysis(loaded), refit)
    result = made.inputs["result"]
    assert result["generation"] == 2
    assert made.metrics["changed_topic_rate"]["value"] == 0
    assert made.metrics["changed_topic_rate"]["n_scored"] == 30
    assert {c.scores["topic_key"] for c in cases_of(loaded, made.id)} <= set(topic_of.values())
    # Asked once more, there is nothing to make.
    once_more = analytics.topic_coverage(open_analysis(loaded), refit)
    assert once_more.reused
    assert once_more.id == made.id


def test_other_numbers_of_topics_have_topics_of_their_own(loaded: Engine) -> None:
    first = analytics.topic_coverage(open_analysis(loaded), CONFIG)
    two = analytics.topic_coverage(open_analysis(loaded), analytics.TopicsConfig(n_topics=2))
    assert two.inputs["result"]["generation"] == 1
    assert two.inputs["result"]["topic_model"] != first.inputs["result"]["topic_model"]


def test_without_topics_or_questions_the_asset_says_so(loaded: Engine) -> None:
    with pytest.raises(NoQuestionsError, match="topic_coverage first"):
        benchmark_topics.benchmark_topics(open_analysis(loaded))
    analytics.topic_coverage(open_analysis(loaded), CONFIG)
    with pytest.raises(NoQuestionsError, match="no dataset"):
        benchmark_topics.benchmark_topics(open_analysis(loaded))
    with dg.DagsterInstance.ephemeral() as instance:
        for said in ("note", "datasets"):
            result = dg.materialize(
                [*analytics_assets.ASSETS, *assets.ASSETS],
                selection=["benchmark_topics"],
                instance=instance,
                resources={"database": DatabaseResource()},
            )
            (made,) = materializations(result, "benchmark_topics")
            assert said in made.metadata
            asked(loaded)
    assert made.metadata["covered_traffic_rate"].value == pytest.approx(35 / 45, abs=1e-6)


def test_topics_of_another_encoder_are_not_used(
    loaded: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(loaded)
    analytics.topic_coverage(open_analysis(loaded), CONFIG)
    monkeypatch.setenv("RAG_BENCH_ENCODER_MAX_TOKENS", "32")
    with pytest.raises(NoQuestionsError, match="another encoder"):
        benchmark_topics.benchmark_topics(open_analysis(loaded))
