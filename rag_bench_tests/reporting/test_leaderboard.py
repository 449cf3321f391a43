"""The order of the leaderboard: better models first, a judge's leniency aside, missing last."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from measured import GATES, GENERATORS, JUDGES, dataset, metric, store, store_sweep
from sqlalchemy import Engine

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.catalogue import CATALOGUE
from rag_bench.reporting import baselines, board, leaderboard, report
from rag_bench.reporting.board import gates, generators, notes
from rag_bench.reporting.leaderboard import (
    COLUMNS,
    RANKED_BY,
    Column,
    Leaderboard,
    Row,
    build,
    judges_of,
    ordered_gates,
    ranking_of,
)
from rag_bench.store.evaluations import Case

E2E, CORRECTNESS, SIMILARITY = RANKED_BY


def order(board: Leaderboard) -> list[str]:
    return list(dict.fromkeys(row.generation_model for row in board.rows))


def row(generator: str, judge: str | None, **values: float | None) -> Row:
    columns = {"e2e": E2E, "correctness": CORRECTNESS, "similarity": SIMILARITY}
    metrics: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        column = columns[name]
        metrics.setdefault(column.tier, {})[column.metric] = metric(value)
    return Row(0, generator, judge, None, metrics)


@pytest.fixture(autouse=True)
def judges_as_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_BETA_API_URL", "http://127.0.0.1:1/v1/chat/completions")
    monkeypatch.setenv("PROVIDER_BETA_API_KEY", "none")
    monkeypatch.setenv("BETA_BM_JUDGE_MODELS", "j2,j1")


def test_nothing_to_show_is_an_error_that_says_what_to_do(engine: Engine) -> None:
    for settings in (None, "unknown"):
        with pytest.raises(RagBenchError, match=r"no result to show yet.*rag-bench sweep"):
            build(engine, settings)


def test_every_triple_once_best_model_then_best_gate_then_judges_as_configured(
    engine: Engine,
) -> None:
    made = store_sweep(engine)
    board = build(engine)
    assert [
        (r.generation_model, r.production_judge_model, r.benchmark_judge_model) for r in board.rows
    ] == list(itertools.product(GENERATORS, GATES[::-1], JUDGES[::-1]))
    assert [r.rank for r in board.rows] == list(range(1, 9))
    assert board.dataset == made
    assert board.settings_hash == "settings-1"


def test_a_lenient_judge_does_not_lift_what_it_saw(engine: Engine) -> None:
    """All of a strict judge's scores are below all of a lenient one's."""
    store_sweep(engine, generators={"a/weak": 0, "a/strong": 0})
    for generator, scores in (("a/weak", (1.2, 4.6)), ("a/strong", (2.0, 4.8))):
        for judge, value in zip(JUDGES, scores, strict=True):
            metrics = {"rubric_e2e_quality": metric(value)}
            store(engine, "3", "scores", metrics, generation=generator, judge=judge)
    assert order(build(engine)) == ["a/strong", "a/weak"]


def stand(rows: list[Row]) -> list[tuple[str, bool]]:
    """The models in their order, and whether they are ranked."""
    found = ranking_of(rows, {}, {}, judges_of(rows)).standings
    return [(standing.model, standing.rank is not None) for standing in found]


def test_each_judge_counts_once() -> None:
    rows = [
        row("a", "j1", e2e=4.0),
        row("b", "j1", e2e=3.0),
        row("a", "j2", e2e=2.0),
        row("b", "j2", e2e=2.5),
    ]
    assert stand(rows) == [("a", True), ("b", True)]


def test_a_tie_is_broken_by_the_next_measure() -> None:
    rows = [
        row("a", "j", e2e=4.0, correctness=3.0, similarity=0.9),
        row("b", "j", e2e=4.0, correctness=3.5, similarity=0.1),
        row("c", "j", e2e=4.0, correctness=3.0, similarity=0.95),
    ]
    assert [model for model, _ in stand(rows)] == ["b", "c", "a"]


def test_what_was_not_measured_is_not_ranked_and_a_zero_is() -> None:
    rows = [
        row("a-missing", "j", similarity=0.99),
        row("b-without-value", "j", e2e=None, similarity=0.9),
        row("c-poor", "j", e2e=1.0, similarity=-0.5),
        row("d-zero", "j", e2e=0.0),
    ]
    assert stand(rows) == [
        *(("c-poor", True), ("d-zero", True), ("b-without-value", False), ("a-missing", False))
    ]


def test_a_model_that_no_judge_scored_is_behind_every_scored_one() -> None:
    rows = [
        row("a-unscored", None, similarity=0.99),
        row("b", "j1", e2e=2.0, similarity=0.5),
        row("b", "j2", e2e=2.0, similarity=0.5),
    ]
    assert stand(rows) == [("b", True), ("a-unscored", False)]
    assert stand(rows[:1]) == [("a-unscored", True)]  # by similarity, where nothing else is


def test_a_gate_is_ordered_by_what_it_had_if_the_unreadable_were_wrong(engine: Engine) -> None:
    store_sweep(engine, gates={"c/steady": 0.85})
    half_read = {**metric(0.95, n=166, of=194), "low_if_missing": 0.80, "high_if_missing": 0.96}
    store(engine, "judge_pipeline", "scores", {"f1_score": half_read}, gate="c/a-unreadable")
    board = build(engine)
    assert ordered_gates(board.rows) == ["c/steady", "c/a-unreadable"]
    steady, unreadable = gates(board)
    assert steady.remark == ""
    assert "only 85 % of its replies could be read; F1 0.800" in unreadable.remark


def test_a_judge_that_fails_its_examination_does_not_order_models(engine: Engine) -> None:
    made = store_sweep(engine, generators={"a/x": 4.0, "a/y": 3.0}, judges=("beta/j1",))
    common: dict[str, Any] = {"settings": "settings-1", "dataset_id": made.id}
    for generator, value in (("a/x", 1.0), ("a/y", 5.0)):
        metrics = {"rubric_e2e_quality": metric(value)}
        store(engine, "3", "scores", metrics, generation=generator, judge="beta/j2", **common)
    assert order(build(engine)) == ["a/y", "a/x"]
    bad = {"constructed_auc": metric(0.5, half=0.1), "score_std": metric(1.0)}
    good = {"constructed_auc": metric(0.9, half=0.1), "score_std": metric(1.0)}
    store(engine, "judge", "scores", bad, judge="beta/j2", **common)
    board = build(engine)
    assert order(board) == ["a/x", "a/y"]
    assert "it hardly tells good from bad" in board.ranking.left_out["beta/j2"]
    assert any("Not checked by tier judge: beta/j1" in note for note in notes(board))
    store(engine, "judge", "scores", good, judge="beta/j1", **common)
    assert not any("Not checked" in note for note in notes(build(engine)))


def test_models_are_compared_on_the_cases_that_all_have(engine: Engine) -> None:
    """The worst fifth of one model's answers failed: what is left is better than the best model."""
    made = dataset(engine, n=50)
    common: dict[str, Any] = {"settings": "settings-1", "dataset_id": made.id}
    quality = {"a/best": 4.0, "a/survivor": 3.9, "a/near": 3.95}
    for generator, level in quality.items():
        found = {str(n): min(5.0, max(1.0, round(level + (n % 5 - 2) * 0.6, 2))) for n in range(50)}
        if generator == "a/survivor":
            found = {case: score for case, score in found.items() if int(case) % 5}
        cases = [
            Case(case, scores={"rubric_e2e_quality": found[case]})
            if case in found
            else Case(case, error_code="LLM_FAILED")
            for case in map(str, range(50))
        ]
        mean = sum(found.values()) / len(found)
        for tier_kind, metrics in (
            ("answers", {"semantic_similarity": metric(0.9)}),
            ("scores", {"rubric_e2e_quality": metric(mean, n=len(found), of=50)}),
        ):
            store(
                engine, "3", tier_kind, metrics, generation=generator,
                judge="beta/j1" if tier_kind == "scores" else None,
                cases=cases if tier_kind == "scores" else (), **common,
            )  # fmt: skip
    board = build(engine)
    lines = {line.model: line for line in generators(board)}
    assert lines["a/survivor"].row.value(E2E) > lines["a/best"].row.value(E2E)
    assert order(board) == ["a/best", "a/near", "a/survivor"]
    assert [line.place for line in lines.values()] == ["1", "2", "–"]
    assert "40 of 50 cases have a score" in (lines["a/survivor"].standing.reason or "")
    assert any("a/survivor is not ranked" in note for note in notes(board))
    assert board.ranking.n_common == 50
    found_json = board.as_json()
    assert [line["rank"] for line in found_json["generation_models"]] == [1, 2, None]
    assert found_json["generation_models"][1]["behind_first"]["n_scored"] == 50
    json.dumps(found_json, allow_nan=False)


def test_models_that_are_no_longer_configured_are_marked(engine: Engine) -> None:
    store_sweep(engine, generators={"simulator/sim-strong": 4.0, "gone/model": 3.0})
    board = build(engine)
    assert {line.model: line.configured for line in generators(board)} == {
        "simulator/sim-strong": True,
        "gone/model": False,
    }
    marked = {line["generation_model"]: line for line in board.as_json()["generation_models"]}
    assert marked["gone/model"]["configured"] is False
    assert any("No longer configured" in n and "gone/model" in n for n in notes(board))


def test_a_gate_without_results_comes_after_those_with_some(engine: Engine) -> None:
    store_sweep(engine, gates={"c/poor": 0.1})
    store(engine, "judge_pipeline", "scores", {"f1_score": metric(None)}, gate="c/a-silent")
    gates = [r.production_judge_model for r in build(engine).rows]
    assert list(dict.fromkeys(gates)) == ["c/poor", "c/a-silent"]


def test_the_order_does_not_hang_on_the_order_of_storing(engine: Engine) -> None:
    equal = {"a/z": 3.0, "a/m": 3.0, "a/a": 3.0}
    store_sweep(engine, generators=equal)
    assert order(build(engine)) == ["a/a", "a/m", "a/z"]


def test_the_default_is_the_newest_settings_and_others_can_be_asked_for(engine: Engine) -> None:
    store_sweep(engine, settings="old", generators={"a/old": 3.0})
    store_sweep(engine, settings="new", generators={"a/new": 3.0})
    assert order(build(engine)) == ["a/new"]
    assert order(build(engine, "old")) == ["a/old"]


def test_simulated_models_are_named_so(engine: Engine) -> None:
    store_sweep(engine, generators={"simulator/sim-strong": 4.0, "simulator/extractive": 3.0})
    named = {r.generation_model: r.simulated for r in build(engine).rows}
    assert named == {"simulator/sim-strong": True, "simulator/extractive": False}


def test_the_json_holds_everything_and_is_json(engine: Engine) -> None:
    made = store_sweep(engine)
    store(
        engine,
        "3",
        "answers",
        {"rougeL_f": metric(None)},
        generation="a/unjudged",
        dataset_id=made.id,
    )
    board = json.loads(json.dumps(build(engine).as_json(), allow_nan=False))
    assert {key: board[key] for key in ("dataset", "dataset_type", "n_items")} == {
        "dataset": "gold",
        "dataset_type": "manual",
        "n_items": 20,
    }
    first, last = board["rows"][0], board["rows"][-1]
    assert first["rank"] == 1
    assert first["metrics"]["tier_3"]["rubric_e2e_quality"] == metric(4.5)
    assert (last["generation_model"], last["benchmark_judge_model"]) == ("a/unjudged", None)
    assert last["metrics"]["tier_3"]["rougeL_f"]["value"] is None


def test_the_matrix_of_models_by_judges(engine: Engine) -> None:
    made = store_sweep(engine)
    store(engine, "3", "answers", {}, generation="a/unjudged", dataset_id=made.id)
    generators, judges, cells = build(engine).matrix(E2E)
    assert generators == [*GENERATORS, "a/unjudged"]
    assert judges == list(JUDGES)
    assert cells[GENERATORS[1], JUDGES[0]] == metric(3.5)
    assert ("a/unjudged", JUDGES[0]) not in cells


def test_every_column_and_every_target_is_of_a_metric_that_a_tier_computes() -> None:
    """A name misspelled here would look like "not measured" for ever."""
    for column in COLUMNS:
        spec = CATALOGUE[column.metric]
        assert column.tier.removeprefix("tier_") in spec.tiers
        assert column.scale == spec.scale
    for spec, target in baselines.TARGETS:
        assert target.tier in spec.tiers
        if spec.scale:
            assert spec.scale[0] < target.value < spec.scale[1]


def test_columns_and_ranking_are_in_their_places_whatever_declares_them_first() -> None:
    assert [(column.tier, column.metric, column.title) for column in COLUMNS] == [
        ("tier_3", "rubric_e2e_quality", "e2e quality"),
        ("tier_2", "rubric_answer_correctness", "correctness"),
        ("tier_2", "rubric_faithfulness", "faithfulness"),
        ("tier_2", "rubric_answer_relevance", "relevance"),
        ("tier_3", "semantic_similarity", "similarity"),
        ("tier_3", "rougeL_f", "ROUGE-L"),
        ("tier_judge_pipeline", "f1_score", "show F1"),
    ]
    assert [column.metric for column in RANKED_BY] == [
        "rubric_e2e_quality",
        "rubric_answer_correctness",
        "semantic_similarity",
    ]


def test_a_column_put_in_between_changes_no_ranking(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store_sweep(engine)
    before = build(engine)
    between = Column("tier_2", "measured_nowhere", "between", (0, 1))
    changed = (between, *COLUMNS[:3], between, *COLUMNS[3:])
    for module in (leaderboard, board, report):
        monkeypatch.setattr(module, "COLUMNS", changed)
    after = build(engine)
    assert [row.as_json() for row in after.rows] == [row.as_json() for row in before.rows]
    assert after.ranking == before.ranking
    now = datetime(2026, 3, 1, tzinfo=UTC)
    made = report.content(after, {}, "encoder", now)
    written = report.write(made, after, tmp_path).markdown.read_text(encoding="utf-8")
    (combination,) = (
        line
        for line in written.partition("## Combinations")[2].splitlines()
        if line.startswith("| 1 |")
    )
    # How many were scored is of what leads, not of whatever column stands first.
    assert combination.endswith("| 20 of 20 |")
