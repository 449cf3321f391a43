"""``rag-bench analyze-…``: what is printed, what is written, and one line when there is nothing."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest
import questions_world as world
from command_line import RagBench
from sqlalchemy import Engine, text

from rag_bench import definitions
from rag_bench.assets.results import analytics, benchmark_topics
from rag_bench.tiers.stages import ANALYTICS


@pytest.fixture(autouse=True)
def _only_analytics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build no more of the graph than these commands use: it takes seconds."""
    made = dg.Definitions(
        assets=[*analytics.ASSETS, *benchmark_topics.ASSETS],
        resources=definitions.defs.resources,
        executor=dg.in_process_executor,
        # The run is one of the stage's job, as in the project's own definitions.
        jobs=[dg.define_asset_job("analytics", selection=list(ANALYTICS.assets))],
    )
    monkeypatch.setattr(definitions, "build_defs", lambda models=None: made)


def test_utilization_is_printed_and_written(
    rag_bench: RagBench, engine: Engine, tmp_path: Path
) -> None:
    world.load(engine)
    path = tmp_path / "отчёты" / "utilization_full.json"
    arguments = ("--questions-source", "real", "--question-limit", 100000, "--top-k", 1)
    done = rag_bench("analyze-chunk-utilization", *arguments, "--output", path)
    assert done.code == 0, done.err
    assert "45 of 46 questions (1 blank)" in done.out
    assert "chunks found by any question: 0.600, 95 % interval 0.147 to 0.929" in done.out
    assert "2 chunks are never found" in done.out
    assert "[/b]" in done.out, "texts of others are no markup"
    written = json.loads(path.read_text(encoding="utf-8"))
    expected = {
        "total_chunks": 5,
        "used_chunks": 3,
        "unused_chunks": 2,
        "utilization_rate": 0.6,
        "questions_source": "real",
        "question_count": 45,
        "top_k": 1,
        "used_chunk_ids": sorted(world.chunk_hashes()[:3]),
    }
    assert {name: written[name] for name in expected} == expected
    assert list(path.parent.iterdir()) == [path], "no half-written file is left"
    again = rag_bench("analyze-chunk-utilization", *arguments, "--output", path)
    assert again.code == 0
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from rag_bench.evaluation")).scalar() == 1


def test_topics_are_written_without_questions_of_users_unless_asked(
    rag_bench: RagBench, engine: Engine, tmp_path: Path
) -> None:
    world.load(engine)
    done = rag_bench("analyze-topic-coverage", "--n-topics", 3, "--top-k", 2)
    assert done.code == 0, done.err
    assert "low answered" in done.out
    path = tmp_path / "reports" / "topic_coverage.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["n_topics"] == 3
    assert written["total_questions"] == 45
    assert [topic["question_count"] for topic in written["topic_coverage"]] == [20, 15, 10]
    assert not any(topic["sample_questions"] for topic in written["topic_coverage"])
    rag_bench("analyze-topic-coverage", "--n-topics", 3, "--top-k", 2, "--include-samples")
    written = json.loads(path.read_text(encoding="utf-8"))
    assert all(len(topic["sample_questions"]) == 5 for topic in written["topic_coverage"])


def test_the_domain_is_printed_and_written(
    rag_bench: RagBench, engine: Engine, tmp_path: Path
) -> None:
    world.load(engine)
    path = tmp_path / "domain.json"
    done = rag_bench("analyze-real-users-domain", "--limit", 100000, "--output", path)
    assert done.code == 0, done.err
    written = json.loads(path.read_text(encoding="utf-8"))
    expected = {
        "total_questions": 45,
        "with_answers": 20,
        "without_answers": 25,
        "scored_questions": 17,
        "score_5_questions": 10,
        "score_1_questions": 7,
        "score_distribution": {"1": 7, "5": 10},
    }
    assert {name: written[name] for name in expected} == expected
    assert written["top_tokens_all"][0] == ["стипендия", 20]
    assert "scores: {'1': 7, '5': 10}" in done.out


def test_nothing_to_analyse_is_one_line(rag_bench: RagBench, engine: Engine) -> None:
    real = ("analyze-chunk-utilization", "--questions-source", "real")
    assert "load-dump" in rag_bench(*real).one_line()
    world.load(engine, with_questions=False)
    assert "holds no questions of users" in rag_bench(*real).one_line()
    synthetic = ("analyze-chunk-utilization", "--questions-source", "synthetic")
    assert "no synthetic dataset" in rag_bench(*synthetic).one_line()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("analyze-chunk-utilization", "--questions-source", "all"), "synthetic or real"),
        (("analyze-topic-coverage", "--reduction", "tsne"), "pca or umap"),
    ],
)
def test_impossible_wishes_are_one_line(
    rag_bench: RagBench, arguments: tuple[str, ...], words: str
) -> None:
    assert words in rag_bench(*arguments).one_line()


def test_a_file_that_cannot_be_written_is_one_line(
    rag_bench: RagBench, engine: Engine, tmp_path: Path
) -> None:
    world.load(engine)
    (tmp_path / "file").write_text("")
    done = rag_bench("analyze-real-users-domain", "--output", tmp_path / "file" / "domain.json")
    assert done.code == 1
    assert "cannot be written" in done.err
    assert "Traceback" not in done.err
