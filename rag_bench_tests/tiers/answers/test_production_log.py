"""The answers that users really got, measured beside a model on the same questions."""

from __future__ import annotations

import asyncio

import pytest
from small_world import ANSWERS, LAB, SCORES, World, failure, materializations
from users_questions import (
    BOOKS,
    GENERATOR,
    GONE,
    JUDGES,
    LOG,
    MODELS,
    NOTHING,
    REFUSED,
    ROOM,
    ROWS,
    RUBRICS,
    SETTINGS,
    ask,
    bench_of,
    make,
    materialize,
)
from world_data import hash_of

from rag_bench.hashing import text_hash
from rag_bench.llm.config.providers import Providers
from rag_bench.reporting import leaderboard
from rag_bench.reporting.board import generators, notes
from rag_bench.resources import BenchmarkResource
from rag_bench.store import evaluations
from rag_bench.store.case_scores import case_scores
from rag_bench.store.evaluations import Case, StoredEvaluation
from rag_bench.tiers.plan.plan import plan_sweep


def result_of(world: World, kind: str, model: str, judge: str | None = None) -> StoredEvaluation:
    found = evaluations.latest(
        world.engine,
        tier="3",
        kind=kind,  # type: ignore[arg-type]
        settings_hash=bench_of(world).run.hash,
        generation_model=model,
        benchmark_judge_model=judge,
    )
    assert found is not None
    return found


def by_question(world: World, found: StoredEvaluation) -> dict[str, Case]:
    question = {item.item_id: item.question for item in bench_of(world).items}
    return {question[case.case_id]: case for case in evaluations.cases_of(world.engine, found.id)}


def planned(world: World) -> dict[str, int]:
    bench = bench_of(world)
    made = asyncio.run(
        plan_sweep(bench, Providers({}), 16, MODELS.generation, JUDGES, [], ("2", "3"))
    )
    return {line.asset: line.n_requests for line in made.lines}


def test_the_dataset_holds_what_was_asked_and_got(asked: World) -> None:
    """By topic where there are topics; nothing of who asked but a number of this dataset."""
    ask(asked, {**ROOM, "question": "Сколько стоит комната в общаге", "user_id": 102, "score": 4})
    metadata = make(asked)
    assert (metadata["n_items"], metadata["n_rows"], metadata["n_repeated"]) == (5, 6, 1)
    assert (metadata["n_answered"], metadata["n_refused"], metadata["n_unanswered"]) == (3, 1, 1)
    assert str(metadata["topics"]).startswith("none")
    bench = bench_of(asked)
    items = {item.question: item for item in bench.items}
    room = items["Сколько стоит комната в общаге"]
    assert room.item_id == f"tr_{text_hash('сколько стоит комната в общаге')[:12]}"
    assert (room.reference_answer, room.chunk_hashes, room.page_urls) == (None, (), ())
    assert room.details == {
        "asker": room.details["asker"],
        "month": "2025-09",
        "times_asked": 2,
        "production_answer": ROOM["answer"],
        "production_page_url": ROOM["page_url"],
        "user_rating": 4,
    }
    assert room.cluster == ROOM["page_url"]
    nothing = items[NOTHING["question"]]
    assert "production_answer" not in nothing.details
    assert nothing.cluster == f"asker {nothing.details['asker']}"
    # Users 102 asked twice, once about books.
    assert room.details["asker"] == items[BOOKS["question"]].details["asker"]
    assert GONE["page_url"] not in str(items[GONE["question"]].details)

    result = asked.run(["topic_coverage"], ops={"topic_coverage": {"n_topics": 2}})
    assert result.success, failure(result)
    assert make(asked)["topics"] == 2
    assert all("topic" in item.details for item in bench_of(asked).items)
    asked_more = {"question": "новый вопрос", "answer": None, "page_url": None, "score": None}
    ask(asked, asked_more)
    assert str(make(asked)["topics"]).startswith("none"), "topics of other questions are not these"


def test_the_log_is_measured_beside_a_model_and_asks_nobody(asked: World) -> None:
    materialize(asked, "tier1_retrieval")
    # The model is asked all five questions, twice; the log has three answers to score, one of which
    # no page backs, and the model's answers are scored as far as it gives any.
    plan = planned(asked)
    assert plan["tier3_answers"] == 2 * len(ROWS)
    assert "tier2_answers" not in plan
    materialize(asked, "tier3_answers")
    calls = asked.rows("select role, model from rag_bench.llm_call")
    assert {(call["role"], call["model"]) for call in calls} == {("generation", "extractive")}

    stored = result_of(asked, "answers", LOG)
    assert stored.status == "succeeded"
    cases = by_question(asked, stored)
    room = cases[ROOM["question"]]
    assert room.answer == ROOM["answer"]
    assert room.flags == ["logged_answer"]
    assert room.scores["user_rating"] == 5
    assert room.scores["latency_ms"] is None
    # The page's chunks, the one about the price of rooms first.
    assert [row["chunk_hash"] for row in room.retrieved] == [hash_of(3), hash_of(2)]
    assert cases[GONE["question"]].retrieved == []
    assert cases[REFUSED["question"]].answer == REFUSED["answer"]
    nothing = cases[NOTHING["question"]]
    assert (nothing.answer, nothing.error_code) == (None, None)
    assert set(nothing.flags) == {"logged_answer", "unanswered"}
    assert "user_rating" not in nothing.scores

    metrics = stored.metrics
    assert (metrics["answered_rate"]["value"], metrics["answered_rate"]["n_scored"]) == (0.6, 5)
    assert metrics["unanswered_rate"]["value"] == 0.2
    # One of the four texts that there are says that there is no answer.
    assert (metrics["refusal_rate"]["value"], metrics["refusal_rate"]["n_expected"]) == (0.25, 4)
    assert metrics["citation_recall"]["n_expected"] == 0
    assert metrics["avg_latency_ms"]["n_expected"] == 0
    assert "response_consistency" not in " ".join(metrics)  # the log has one answer to a question
    model = result_of(asked, "answers", GENERATOR)
    assert model.metrics["answered_rate"]["n_expected"] == 5
    assert "unanswered_rate" not in model.metrics


def test_judges_score_answers_by_what_needs_no_reference(asked: World) -> None:
    materialize(asked, "tier1_retrieval", "tier3_answers", "tier3_scores")
    for judge in JUDGES:
        scored = result_of(asked, "scores", LOG, judge)
        cases = by_question(asked, scored)
        for question in (ROOM["question"], BOOKS["question"]):
            assert cases[question].error_code is None
            assert all(cases[question].scores[f"rubric_{name}"] in range(1, 6) for name in RUBRICS)
        # The rating stands beside the scores.
        assert cases[ROOM["question"]].scores["user_rating"] == 5
        assert cases[BOOKS["question"]].scores["user_rating"] == 1
        assert "user_rating" not in cases[GONE["question"]].scores
        gone = cases[GONE["question"]]
        assert gone.error_code == "INVALID_INPUT"
        assert "rubric_faithfulness" not in gone.scores
        assert gone.scores["rubric_answer_relevance"] in range(1, 6)
        assert gone.scores["rubric_reference_free_quality"] in range(1, 6)
        # What is counted apart has no score, and none is missing.
        for question in (REFUSED["question"], NOTHING["question"]):
            assert not [name for name in cases[question].scores if name.startswith("rubric_")]
            assert cases[question].error_code is None
        expected = {name: scored.metrics[f"rubric_{name}"]["n_expected"] for name in RUBRICS}
        assert expected == dict.fromkeys(RUBRICS, 3)
        assert scored.metrics["rubric_faithfulness"]["n_scored"] == 2
        assert not {"rubric_e2e_quality", "rubric_answer_correctness"} & scored.metrics.keys()
        model = result_of(asked, "scores", GENERATOR, judge)
        assert {n for n in model.metrics if n.startswith("rubric_")} == {
            f"rubric_{name}" for name in RUBRICS
        }
        assert not any("user_rating" in c.scores for c in by_question(asked, model).values())

    # Again: nothing is asked, and nothing is stored.
    before = asked.count("llm_call"), asked.count("evaluation")
    assert planned(asked)["tier3_scores"] > 0
    materialize(asked, "tier3_answers", "tier3_scores")
    assert (asked.count("llm_call"), asked.count("evaluation")) == before


def test_where_there_is_nothing_to_measure_a_note_says_so_and_all_is_green(asked: World) -> None:
    """The log on other questions, and users' questions in tier 2: from the UI both are a click."""
    for assets in (ANSWERS, SCORES):
        materialize(asked, "tier1_retrieval", dataset="gold", consistency_runs=1)
        result = asked.run(assets, MODELS, benchmark={"dataset": "gold"})
        assert result.success, failure(result)
    for asset, settings, said in (
        ("tier3_answers", {"dataset": "gold"}, "make-traffic-dataset"),
        ("tier3_scores", {"dataset": "gold"}, "make-traffic-dataset"),
        ("tier2_answers", SETTINGS, "no relevant chunks"),
        ("tier2_scores", SETTINGS, "no relevant chunks"),
        ("tier2_custom_metrics", SETTINGS, ""),
        ("tier2_ragas_scores", SETTINGS, "no relevant chunks"),
    ):
        result = asked.run([asset], MODELS, benchmark=settings)
        assert result.success, failure(result)
        notes = [
            str(event.metadata["note"].value)
            for event in materializations(result, asset)
            if "note" in event.metadata and LOG in str(event.partition)
        ]
        assert notes, asset
        assert all(said in note for note in notes), asset
    assert not asked.rows(
        "select * from rag_bench.evaluation where generation_model = :log", log=LOG
    )
    check = asked.check("model_runs", MODELS, benchmark={"dataset": "gold"})
    assert "production/log" not in str(check["every_cell_is_measured"].metadata)


def test_the_whole_graph_is_green_on_users_questions(asked: World) -> None:
    settings = {"dataset": "traffic"}
    for stage in (["tier0_embedding_geometry", "tier1_retrieval"], ANSWERS, SCORES, LAB):
        result = asked.run(stage, MODELS, benchmark=settings)
        assert result.success, failure(result)
        if "tier3_scores" in stage:
            [event] = [
                event
                for event in materializations(result, "tier3_scores")
                if LOG in str(event.partition) and JUDGES[0] in str(event.partition)
            ]
            beside = event.metadata["scores_by_rating"]
    result = asked.run(["benchmark_judge_quality"], MODELS, benchmark=settings)
    assert result.success, failure(result)
    for name, check in asked.check("tier1_retrieval", MODELS, benchmark=settings).items():
        assert check.passed, (name, check.description)

    # Two rated answers, one of which is scored; a third was rated and is a refusal.
    rows = [dict(record.data) for record in beside.records]
    mine = [row for row in rows if row["measure"] == "quality without reference"]
    assert [(row["users' rating"], row["answers"], row["not scored"]) for row in mine] == [
        ("5", 1, 0),
        ("1", 2, 1),
    ]
    assert all(sum(row[f"scored {n}"] for n in range(1, 6)) == 1 for row in mine)

    bench = BenchmarkResource(dataset="traffic").open(asked.engine, None)
    found = leaderboard.build(asked.engine, bench.run.hash)
    assert {line.model for line in generators(found)} == {GENERATOR, LOG}
    assert any("production/log is no model" in note for note in notes(found))
    assert "rubric_reference_free_quality" in found.as_json()["ordered_by"][0]
    against = found.as_json()["against_production"]
    lines = {
        (line["metric"], line["benchmark_judge_model"]): line for line in against["comparisons"]
    }
    assert set(lines) == {
        *((f"rubric_{name}", judge) for name in RUBRICS for judge in JUDGES),
        ("answered_rate", None),
    }
    answered = lines["answered_rate", None]
    assert answered["generation_model"] == GENERATOR
    assert answered["baseline_mean"] == 0.6
    assert answered["difference"]["n_scored"] == len(ROWS)
    scores = case_scores(
        asked.engine,
        bench.run.hash,
        tier="3",
        kind="scores",
        metric="rubric_reference_free_quality",
    )
    log, model = scores[LOG, JUDGES[0]], scores[GENERATOR, JUDGES[0]]
    both = sorted(log.keys() & model.keys())
    line = lines["rubric_reference_free_quality", JUDGES[0]]
    assert line["difference"]["n_scored"] == len(both) > 0
    mean = sum(model[case] - log[case] for case in both) / len(both)
    assert line["difference"]["value"] == pytest.approx(mean, abs=1e-6)

    markdown = next(asked.reports.glob("*.md")).read_text(encoding="utf-8")
    section = markdown.partition("## Against what users got")[2].partition("\n## ")[0]
    rows_of = [line for line in section.splitlines() if line.startswith("|")]
    assert len(rows_of) == 2 + len(lines) + 2 + 2 * 3 * 2  # judges, rubrics, ratings
    assert len({line.count("|") for line in rows_of[: 2 + len(lines)]}) == 1
    page = next(asked.reports.glob("*.html")).read_text(encoding="utf-8")
    assert "<h2>Against what users got</h2>" in page
    assert "Scores of what users got, by the rating they gave" in page
