"""The order of the leaderboard: better models first, a judge's leniency aside, missing last."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from measured import GATES, GENERATORS, JUDGES, metric, store, store_sweep
from sqlalchemy import Engine

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.catalogue import CATALOGUE
from rag_bench.reporting import baselines
from rag_bench.reporting.leaderboard import COLUMNS, RANKED_BY, Leaderboard, Row, build, mean_ranks

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


def test_the_mean_rank_counts_each_judge_once() -> None:
    rows = [
        row("a", "j1", e2e=4.0),
        row("b", "j1", e2e=3.0),
        row("c", "j1", e2e=2.0),
        row("a", "j2", e2e=1.0),
        row("b", "j2", e2e=1.0),
        row("c", "j2", e2e=5.0),
    ]
    assert mean_ranks(rows) == {"a": 1.75, "b": 2.25, "c": 2.0}


def test_a_tie_is_broken_by_the_next_measure() -> None:
    rows = [
        row("a", "j", e2e=4.0, correctness=3.0, similarity=0.9),
        row("b", "j", e2e=4.0, correctness=3.5, similarity=0.1),
        row("c", "j", e2e=4.0, correctness=3.0, similarity=0.95),
    ]
    assert mean_ranks(rows) == {"b": 1.0, "c": 2.0, "a": 3.0}


def test_what_was_not_measured_comes_last_and_a_zero_does_not() -> None:
    rows = [
        row("a-missing", "j", similarity=0.99),
        row("b-without-value", "j", e2e=None, similarity=0.9),
        row("c-poor", "j", e2e=1.0, similarity=-0.5),
        row("d-zero", "j", e2e=0.0),
    ]
    ranks = mean_ranks(rows)
    assert sorted(ranks, key=ranks.__getitem__) == [
        "c-poor",
        "d-zero",
        "a-missing",
        "b-without-value",
    ]


def test_a_model_that_no_judge_scored_is_behind_every_scored_one() -> None:
    rows = [
        row("a-unscored", None, similarity=0.99),
        row("b", "j1", e2e=2.0, similarity=0.5),
        row("b", "j2", e2e=2.0, similarity=0.5),
    ]
    assert mean_ranks(rows) == {"b": 1.0, "a-unscored": 2.0}
    assert mean_ranks(rows[:1]) == {"a-unscored": 1.0}


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
        assert column.higher_is_better == spec.higher_is_better
    for name, (tier, target, higher) in baselines.BASELINES.items():
        spec = CATALOGUE[name]
        assert tier.removeprefix("tier_") in spec.tiers
        assert higher == spec.higher_is_better
        if spec.scale:
            assert spec.scale[0] < target < spec.scale[1]
