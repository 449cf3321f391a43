"""The whole graph on a small world: numbers, joins, files; and nothing is done twice."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest
from small_world import (
    ANSWERS,
    FREE,
    LAB,
    OFFLINE,
    PRODUCTION,
    SCORES,
    Done,
    World,
    failure,
    materializations,
    value,
)
from world_data import CHUNKS, GOLD, PAIRS, TRAFFIC, hash_of, plain_dump

from rag_bench.partitions import ModelLists

N = len(GOLD)
STORED = ("llm_call", "embedding", "evaluation", "evaluation_case", "dataset", "simulated_truth")


def metrics_of(world: World, **where: Any) -> dict[str, Any]:
    """The metrics of the one evaluation with these columns."""
    conditions = " and ".join(f"{name} = :{name}" for name in where)
    [row] = world.rows(f"select metrics from rag_bench.evaluation where {conditions}", **where)
    return dict(row["metrics"])


def cases_of(world: World, **where: Any) -> list[dict[str, Any]]:
    conditions = " and ".join(f"{name} = :{name}" for name in where)
    return [
        dict(row)
        for row in world.rows(
            "select c.* from rag_bench.evaluation e join rag_bench.evaluation_case c "
            f"on c.evaluation_id = e.id where {conditions} order by case_id",
            **where,
        )
    ]


def test_the_source_is_what_the_dump_holds(done_world: World) -> None:
    assert done_world.count("chunk") == len(CHUNKS)
    assert done_world.count("question_answer") == len(TRAFFIC)
    [snapshot] = done_world.rows("select * from rag_bench.dump")
    [gold] = done_world.rows("select * from rag_bench.dataset where kind = 'manual'")
    assert snapshot["default_dataset_id"] == gold["id"]
    assert gold["n_items"] == N
    [pairs] = done_world.rows("select * from rag_bench.dataset where kind = 'show_hide'")
    assert pairs["n_items"] == len(PAIRS)


def test_everything_that_is_searched_has_a_vector(done_world: World) -> None:
    made_of = {f"passage: {words}" for _, words in CHUNKS}
    made_of |= {f"query: {question}" for question, _, _ in (*GOLD, *TRAFFIC_QUESTIONS)}
    made_of |= {f"query: {reference}" for _, reference, _ in GOLD}
    found = {row["text_hash"] for row in done_world.rows("select * from rag_bench.embedding")}
    from rag_bench.hashing import text_hash

    assert {text_hash(words) for words in made_of} <= found


TRAFFIC_QUESTIONS = [(question, None, None) for question, *_ in TRAFFIC]


def test_tier_0_and_1(done_world: World) -> None:
    geometry = metrics_of(done_world, tier="0")
    assert geometry["avg_pairwise_distance"]["n_expected"] == N
    assert geometry["avg_pairwise_distance"]["value"] > 0

    found = metrics_of(done_world, tier="1")
    cases = {case["case_id"]: case for case in cases_of(done_world, tier="1")}
    assert len(cases) == N
    # Worked out anew from the stored rankings.
    ranks, page_ranks = [], []
    for number, (_, _, relevant) in enumerate(GOLD):
        ranking = cases[f"вопрос-{number:02}"]["retrieved"]
        assert len(ranking) == len(CHUNKS)
        assert [row["score"] for row in ranking] == sorted(
            (row["score"] for row in ranking), reverse=True
        )
        ranks.append([row["chunk_hash"] for row in ranking].index(hash_of(relevant)) + 1)
        pages = list(dict.fromkeys(row["page_url"] for row in ranking))
        page_ranks.append(pages.index(f"https://help.example.org/{CHUNKS[relevant][0]}") + 1)
    assert found["chunk_mrr"]["value"] == pytest.approx(sum(1 / r for r in ranks) / N, abs=1e-6)
    assert found["page_mrr"]["value"] == pytest.approx(sum(1 / r for r in page_ranks) / N, abs=1e-6)
    first = sum(r == 1 for r in ranks) / N
    assert found["chunk_hit_rate@1"]["value"] == pytest.approx(first, abs=1e-6)
    assert found["chunk_ndcg@10"]["value"] == pytest.approx(
        sum(1 / math.log2(r + 1) for r in ranks) / N, abs=1e-6
    )
    assert found["chunk_mrr"]["value"] > 0.8
    assert all(metric["n_scored"] == N for metric in found.values())


def test_answers_on_gold_and_on_retrieved_chunks(done_world: World) -> None:
    for tier, n_contexts in (("2", 1), ("3", 3)):
        for model in OFFLINE.generation:
            where = {"tier": tier, "kind": "answers", "generation_model": model}
            cases = cases_of(done_world, **where)
            assert [len(case["retrieved"]) for case in cases] == [n_contexts] * N
            metrics = metrics_of(done_world, **where)
            for name in ("rougeL_f", "semantic_similarity", "refusal_rate"):
                assert metrics[name]["n_scored"] == metrics[name]["n_expected"] == N
            mean = sum(case["scores"]["rougeL_f"] for case in cases) / N
            assert metrics["rougeL_f"]["value"] == pytest.approx(mean, abs=1e-6)
            mean = round(mean, 6)
            assert metrics["rougeL_f"]["ci_low"] <= mean <= metrics["rougeL_f"]["ci_high"]
    gold = cases_of(done_world, tier="2", kind="answers", generation_model="simulator/sim-strong")
    for number, case in enumerate(gold):
        assert case["retrieved"][0]["chunk_hash"] == hash_of(GOLD[number][2])
        if case["answer"] == GOLD[number][1]:
            # An answer that is the reference, in Russian or English, overlaps with it fully.
            assert case["scores"]["rouge1_f"] == case["scores"]["rougeL_f"] == 1.0
            assert case["scores"]["semantic_similarity"] == pytest.approx(1.0, abs=1e-5)
    assert sum(case["answer"] == GOLD[n][1] for n, case in enumerate(gold)) > N // 2


def test_scores_stay_on_their_scale_and_count_what_is_missing(done_world: World) -> None:
    for tier, names in (
        ("2", ("rubric_faithfulness", "rubric_answer_relevance", "rubric_answer_correctness")),
        ("3", ("rubric_e2e_quality",)),
    ):
        rows = done_world.rows(
            "select * from rag_bench.evaluation where tier = :tier and kind = 'scores'", tier=tier
        )
        assert len(rows) == len(OFFLINE.generation) * len(OFFLINE.benchmark_judges)
        for row in rows:
            cases = done_world.rows(
                "select * from rag_bench.evaluation_case where evaluation_id = :id", id=row["id"]
            )
            for name in names:
                metric = row["metrics"][name]
                scores = [c["scores"][name] for c in cases if name in c["scores"]]
                assert metric["n_expected"] == N
                assert metric["n_scored"] == len(scores)
                assert set(scores) <= {1, 2, 3, 4, 5}
                assert metric["value"] == pytest.approx(sum(scores) / len(scores), abs=1e-6)
                assert metric["scale"] == [1.0, 5.0]
            assert row["status"] == ("partial" if row["errors"] else "succeeded")


def test_production_judges(done_world: World) -> None:
    rows = done_world.rows("select * from rag_bench.evaluation where tier = 'judge_pipeline'")
    assert {row["production_judge_model"] for row in rows} == set(OFFLINE.production_judges)
    for row in rows:
        counts = {name: row["metrics"][name]["value"] for name in row["metrics"]}
        verdicts = ("true_positives", "false_positives", "false_negatives", "true_negatives")
        assert sum(counts[name] for name in verdicts) + counts["unreadable"] == len(PAIRS)
        right = counts["true_positives"] + counts["true_negatives"]
        readable = len(PAIRS) - counts["unreadable"]
        assert counts["accuracy"] == pytest.approx(right / readable)


def test_model_runs_has_every_triple(done_world: World) -> None:
    rows = done_world.rows("select * from rag_bench.model_runs")
    triples = {
        (r["generation_model"], r["benchmark_judge_model"], r["production_judge_model"])
        for r in rows
    }
    assert len(rows) == len(triples) == 4 * 3 * 3
    for row in rows:
        tiers = {"tier_0", "tier_1", "tier_2", "tier_3", "tier_judge_pipeline"}
        assert row["metrics"].keys() == tiers
        assert {"rougeL_f", "rubric_faithfulness"} <= row["metrics"]["tier_2"].keys()
    # Each number of a triple is that of its own models.
    for row in rows:
        scored = metrics_of(
            done_world,
            tier="3",
            kind="scores",
            generation_model=row["generation_model"],
            benchmark_judge_model=row["benchmark_judge_model"],
        )
        assert row["metrics"]["tier_3"]["rubric_e2e_quality"] == scored["rubric_e2e_quality"]


@pytest.mark.parametrize("judge", OFFLINE.benchmark_judges)
def test_the_models_of_known_quality_are_ranked_by_it(done_world: World, judge: str) -> None:
    from rag_bench.reporting.leaderboard import build

    order = [
        row.generation_model.removeprefix("simulator/sim-")
        for row in build(done_world.engine).rows
        if row.benchmark_judge_model == judge and "sim-" in row.generation_model
    ]
    assert list(dict.fromkeys(order)) == ["strong", "medium", "weak"]


def test_what_a_person_sees(whole_graph: Done) -> None:
    lab = whole_graph.results[-1]
    [board] = materializations(lab, "leaderboard")
    assert value(board.metadata, "n_combinations") == 36
    assert value(board.metadata, "best_generation_model") == "simulator/sim-strong"
    assert value(board.metadata, "simulated_models_present") is True
    rows = [record.data for record in board.metadata["table"].records]
    # On so few questions a single lost reply leaves a model unranked, which is said.
    places = [row["#"].split()[0] for row in rows]
    ranked = [place for place in places if place != "–"]
    assert ranked == [str(n) for n in range(1, len(ranked) + 1)]
    assert places[: len(ranked)] == ranked
    assert "Ordered by" in value(board.metadata, "notes")
    assert {row["generation model"] for row in rows} == set(OFFLINE.generation)
    gates = [record.data for record in board.metadata["production_judges"].records]
    assert {row["production judge"] for row in gates} == set(OFFLINE.production_judges)
    assert all(row["accuracy"] != "–" and row["latency, ms"] != "–" for row in gates)
    for name in ("plot", "heatmap"):
        assert value(board.metadata, name).startswith("![plot](data:image/png;base64,")
    assert value(board.metadata, "n_questions") == N
    assert 1 <= value(board.metadata, "rubric_e2e_quality: simulator/sim-weak") <= 5
    assert 0 < value(board.metadata, "leader_share_scored") <= 1
    [runs] = materializations(lab, "model_runs")
    assert value(runs.metadata, "dagster/row_count") == 36


def test_the_report_files(whole_graph: Done) -> None:
    [page] = whole_graph.reports.glob("rag_benchmark_*.html")
    report = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert report["generation_model"] == "simulator/sim-strong"
    assert len(report["model_runs"]) == 36
    assert report["tier_1_metrics"]["chunk_mrr"]["n_scored"] == N
    registry = json.loads((whole_graph.reports / "benchmark_runs.json").read_text("utf-8"))
    assert [entry["id"] for entry in registry] == [report["id"]]
    words = page.read_text(encoding="utf-8")
    assert "simulator/sim-medium" in words
    assert not any(place in words for place in ('src="http', "src='http", "<link"))
    assert "simulator/sim-medium" in page.with_suffix(".md").read_text(encoding="utf-8")


def test_a_second_run_asks_and_encodes_nothing(done_world: World, whole_graph: Done) -> None:
    before = {table: done_world.count(table) for table in STORED}
    results = done_world.run_all()
    assert all(result.success for result in results)
    assert {table: done_world.count(table) for table in STORED} == before
    [chunks] = materializations(results[0], "chunk_embeddings")
    assert (value(chunks.metadata, "n_encoded"), value(chunks.metadata, "coverage")) == (0, 1.0)
    for old, new, names in zip(
        whole_graph.results, results[1:], (ANSWERS, SCORES, PRODUCTION), strict=False
    ):
        for name in names:
            first, second = materializations(old, name), materializations(new, name)
            assert versions(first) == versions(second)
            assert all(value(m.metadata, "reused") for m in second)


def versions(events: list[dg.AssetMaterialization]) -> dict[str, str]:
    return {str(m.partition): (m.tags or {})["dagster/data_version"] for m in events}


def test_a_reindexed_dump_changes_nothing_downstream(done_world: World, tmp_path: Any) -> None:
    """Same texts, every id another, in another order."""
    dump = tmp_path / "reindexed.dump"
    dump.write_text(plain_dump(first_id=5001), encoding="utf-8")
    before = {table: done_world.count(table) for table in STORED}
    [old] = done_world.rows("select * from rag_bench.dump")

    free = done_world.run(FREE, ops={"dump": {"path": str(dump)}})
    assert free.success, failure(free)
    [loaded] = materializations(free, "dump")
    assert value(loaded.metadata, "sha256") != old["sha256"]
    assert [value(loaded.metadata, f"chunks_{how}") for how in ("added", "removed", "changed")] == [
        0,
        0,
        0,
    ]
    [chunks] = materializations(free, "chunk")
    assert (chunks.tags or {})["dagster/data_version"] == old["corpus_hash"]
    for stage in (ANSWERS, SCORES, PRODUCTION, LAB):
        result = done_world.run(stage)
        assert result.success, failure(result)
    assert {table: done_world.count(table) for table in STORED} == before
    with_ids = done_world.rows("select source_id from rag_bench.chunk where source_id::int > 5000")
    assert len(with_ids) == len(CHUNKS)


TWO = ModelLists(["simulator/sim-strong"], ["simulator/sim-judge-sharp"], OFFLINE.production_judges)


def test_a_smoke_run_never_mixes_with_a_full_one(done_world: World) -> None:
    full = done_world.count("model_runs")
    for stage in (("tier1_retrieval",), ANSWERS, SCORES, PRODUCTION, LAB):
        result = done_world.run(stage, TWO, benchmark={"limit": 3})
        assert result.success, failure(result)
    rows = done_world.rows("select * from rag_bench.model_runs")
    assert len(rows) == full + 3
    smoke = [r for r in rows if r["metrics"]["tier_3"]["rubric_e2e_quality"]["n_expected"] == 3]
    assert len(smoke) == 3
    assert len({row["settings_hash"] for row in smoke}) == 1
    assert all(r["metrics"]["tier_2"]["rougeL_f"]["n_expected"] == 3 for r in smoke)
    # The smoke run asked nothing new: its questions are among those of the full run.
    assert done_world.count("llm_call") == len(
        {row["key"] for row in done_world.rows("select key from rag_bench.llm_call")}
    )


@pytest.mark.parametrize(
    ("assets", "upstream"),
    [
        (("tier2_scores",), "tier2_answers"),
        (("tier3_scores",), "tier3_answers"),
        (("tier3_answers",), "tier1_retrieval"),
    ],
)
def test_inputs_of_other_settings_are_refused(
    done_world: World, assets: tuple[str, ...], upstream: str
) -> None:
    result = done_world.run(assets, TWO, benchmark={"limit": 3})
    assert not result.success
    words = failure(result)
    assert f"materialize {upstream} with the same run config" in words
    assert "limit None instead of 3" in words
    assert not materializations(result, assets[0])


def test_repeats_enter_consistency_only(free_world: World) -> None:
    models = replace(TWO, generation=["simulator/sim-weak"])
    settings = {"consistency_runs": 3}
    for stage in (("tier1_retrieval",), ("tier2_answers",), ("tier2_scores",)):
        result = free_world.run(stage, models, benchmark=settings)
        assert result.success, failure(result)
    answers = metrics_of(free_world, tier="2", kind="answers")
    cases = cases_of(free_world, tier="2", kind="answers")
    assert len(cases) == 3 * N
    by_question: dict[str, list[str]] = {}
    for case in cases:
        by_question.setdefault(case["case_id"], []).append(case["answer"])
    assert any(len(set(said)) > 1 for said in by_question.values())  # repeats are new draws
    assert answers["rougeL_f"]["n_expected"] == N
    assert answers["response_exact_match_rate"]["n_scored"] == N
    assert answers["response_exact_match_rate"]["value"] < 1
    assert metrics_of(free_world, tier="2", kind="scores")["rubric_faithfulness"]["n_expected"] == N
