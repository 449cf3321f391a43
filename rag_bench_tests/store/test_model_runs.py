"""The view that joins what was measured once into every triple of models."""

from __future__ import annotations

import itertools
import time
from typing import Any

from measured import GATES, GENERATORS, JUDGES, metric, store, store_failed, store_sweep
from sqlalchemy import Engine, text

from rag_bench.store.evaluations import Kind, measured_triples, model_runs

Triple = tuple[str | None, str | None, str | None]


def triples(engine: Engine, settings: str = "settings-1") -> dict[Triple, dict[str, Any]]:
    rows = model_runs(engine, settings)
    found = {
        (
            row["generation_model"],
            row["benchmark_judge_model"],
            row["production_judge_model"],
        ): row["metrics"]
        for row in rows
    }
    assert len(found) == len(rows), "no triple twice"
    models = measured_triples(engine, settings)
    assert len(models) == len(rows)
    assert set(models) == set(found)
    return found


def test_every_triple_with_the_metrics_of_each_of_its_parts(engine: Engine) -> None:
    made = store_sweep(engine)
    rows = model_runs(engine, "settings-1")
    assert set(rows[0]) == {
        *("generation_model", "benchmark_judge_model", "production_judge_model"),
        *("dataset_id", "settings_hash", "metrics"),
    }
    assert {row["dataset_id"] for row in rows} == {made.id}
    assert {row["settings_hash"] for row in rows} == {"settings-1"}
    found = triples(engine)
    assert set(found) == set(itertools.product(GENERATORS, JUDGES, GATES))
    assert found[GENERATORS[1], JUDGES[0], GATES[1]] == {
        "tier_0": {"avg_nn_distance": metric(0.2)},
        "tier_1": {"chunk_mrr": metric(0.9)},
        "tier_2": {
            "semantic_similarity": metric(0.7),
            "rougeL_f": metric(0.35),
            "rubric_faithfulness": metric(3.5),
            "rubric_answer_relevance": metric(3.5),
            "rubric_answer_correctness": metric(3.5),
        },
        "tier_3": {
            "semantic_similarity": metric(0.7),
            "rougeL_f": metric(0.35),
            "rubric_e2e_quality": metric(3.5),
        },
        "tier_judge_pipeline": {"f1_score": metric(0.9)},
    }


def test_results_of_different_settings_never_meet(engine: Engine) -> None:
    store_sweep(engine)
    store(
        engine, "3", "answers", {"rougeL_f": metric(0.1)}, generation="smoke", settings="limit-10"
    )
    store(engine, "3", "scores", {}, generation=GENERATORS[0], judge="smoke", settings="limit-10")
    store(engine, "judge_pipeline", "scores", {}, gate="smoke gate", settings="limit-10")
    store(engine, "1", "metrics", {"chunk_mrr": metric(0.1)}, settings="limit-10")
    found = triples(engine)
    assert set(found) == set(itertools.product(GENERATORS, JUDGES, GATES))
    assert all(metrics["tier_1"]["chunk_mrr"] == metric(0.9) for metrics in found.values())
    assert triples(engine, "limit-10") == {
        ("smoke", None, "smoke gate"): {
            "tier_1": {"chunk_mrr": metric(0.1)},
            "tier_3": {"rougeL_f": metric(0.1)},
            "tier_judge_pipeline": {},
        }
    }
    assert triples(engine, "unknown") == {}


def test_the_newest_evaluation_wins_and_a_failed_one_does_not_count(engine: Engine) -> None:
    store_sweep(engine)
    models: dict[str, Any] = {"generation": GENERATORS[0], "judge": JUDGES[0]}
    store(engine, "3", "scores", {"rubric_e2e_quality": metric(1.5)}, **models)
    store(engine, "1", "metrics", {"chunk_mrr": metric(0.4)})
    store_failed(engine, "3", "scores", **models)
    store_failed(engine, "3", "answers", generation="dead/model")
    store_failed(engine, "3", "scores", generation="dead/model", judge=JUDGES[0])
    store_failed(engine, "judge_pipeline", "scores", gate="dead/gate")
    found = triples(engine)
    assert set(found) == set(itertools.product(GENERATORS, JUDGES, GATES))
    for (generator, judge, _), metrics in found.items():
        changed = (generator, judge) == (GENERATORS[0], JUDGES[0])
        quality = 1.5 if changed else 4.5 if generator == GENERATORS[0] else 3.5
        assert metrics["tier_3"]["rubric_e2e_quality"] == metric(quality)
        assert metrics["tier_2"]["semantic_similarity"]["value"] > 0.6, "the rest is untouched"
        assert metrics["tier_1"] == {"chunk_mrr": metric(0.4)}


def test_a_measure_without_a_value_stays_without_one(engine: Engine) -> None:
    store_sweep(engine, generators={"a/g": 4.0}, judges=("b/j",), gates={"c/p": 0.5})
    store(
        engine,
        "3",
        "scores",
        {"rubric_e2e_quality": metric(None)},
        generation="a/g",
        judge="b/j",
    )
    (metrics,) = triples(engine).values()
    assert metrics["tier_3"]["rubric_e2e_quality"] == metric(None)
    assert metrics["tier_3"]["rubric_e2e_quality"]["value"] is None
    assert metrics["tier_3"]["rougeL_f"] == metric(0.4)


def test_a_role_that_was_not_measured_is_null(engine: Engine) -> None:
    store(engine, "2", "answers", {"rougeL_f": metric(0.3)}, generation="a/g")
    assert triples(engine) == {("a/g", None, None): {"tier_2": {"rougeL_f": metric(0.3)}}}
    store(engine, "2", "scores", {"x": metric(2.0)}, generation="a/g", judge="b/j")
    store(engine, "2", "answers", {"rougeL_f": metric(0.4)}, generation="a/unjudged")
    assert triples(engine) == {
        ("a/g", "b/j", None): {"tier_2": {"rougeL_f": metric(0.3), "x": metric(2.0)}},
        ("a/unjudged", None, None): {"tier_2": {"rougeL_f": metric(0.4)}},
    }
    store(engine, "judge_pipeline", "scores", {"f1_score": metric(0.5)}, gate="c/p")
    assert set(triples(engine)) == {("a/g", "b/j", "c/p"), ("a/unjudged", None, "c/p")}


def test_the_measures_of_a_judge_by_itself_reach_its_rows_only(engine: Engine) -> None:
    store_sweep(engine)
    store(engine, "judge", "metrics", {"consistency": metric(0.9)}, judge=JUDGES[1])
    for (_, judge, _), metrics in triples(engine).items():
        assert ("tier_judge" in metrics) == (judge == JUDGES[1])


def test_every_part_of_any_tier_meets_the_others(engine: Engine) -> None:
    """Answers, their scores, a judge's and a gate's own results, and common ones: of one tier."""
    store_sweep(engine)
    generator, judge, gate = GENERATORS[0], JUDGES[0], GATES[0]
    parts: dict[str, dict[str, Any]] = {
        "common": {},
        "of_judge": {"judge": judge},
        "of_gate": {"gate": gate},
        "of_answers": {"generation": generator},
        "of_scores": {"generation": generator, "judge": judge},
    }
    for tier in ("dialog", "2", "judge"):
        for name, models in parts.items():
            # Tier 2 has answers of this generator already: newer ones would replace them.
            kind: Kind = "answers" if name == "of_answers" and tier != "2" else "metrics"
            store(engine, tier, kind, {name: metric(0.5)}, **models)
        expected = {
            (generator, judge, gate): set(parts),
            (GENERATORS[1], judge, gate): {"common", "of_judge", "of_gate"},
            (generator, JUDGES[1], gate): {"common", "of_gate", "of_answers"},
            (generator, judge, GATES[1]): set(parts) - {"of_gate"},
            (GENERATORS[1], JUDGES[1], GATES[1]): {"common"},
        }
        found = triples(engine)
        for triple, names in expected.items():
            assert set(found[triple][f"tier_{tier}"]) & set(parts) == names, (tier, triple)
    assert found[generator, judge, gate]["tier_2"]["rubric_faithfulness"] == metric(4.5)


def test_a_thousand_triples_of_thirty_models_are_quick(engine: Engine) -> None:
    models = [f"provider/model-{number}" for number in range(10)]
    store_sweep(
        engine,
        generators={model: 1 + number / 5 for number, model in enumerate(models)},
        judges=models,
        gates=dict.fromkeys(models, 0.5),
    )
    with engine.begin() as connection:
        calls = connection.execute(text("select count(*) from rag_bench.evaluation")).scalar_one()
    assert calls == 2 + 10 * 2 + 10 * 10 * 2 + 10, "measured once per model or pair"
    started = time.perf_counter()
    found = triples(engine)
    seconds = time.perf_counter() - started
    assert set(found) == set(itertools.product(models, repeat=3))
    assert all(
        metrics["tier_3"]["rubric_e2e_quality"]["value"] == 1 + models.index(str(generator)) / 5
        for (generator, _, _), metrics in found.items()
    )
    assert seconds < 2


def test_joined_here_as_in_the_view(engine: Engine) -> None:
    store_sweep(engine)
    store_failed(engine, "3", "answers", generation=GENERATORS[0])
    live = "target/assistant"
    store(engine, "3", "answers", {"own_answers": metric(0.6)}, generation=live)
    store(engine, "3", "scores", {"own_scores": metric(0.6)}, generation=live, judge=JUDGES[0])
    store(engine, "3", "context", {"context_precision": metric(0.4)}, judge=JUDGES[0])
    store(engine, "3", "custom", {"own": metric(0.1)}, generation=GENERATORS[0])
    store(engine, "judge", "scores", {"label_kappa": metric(0.4)}, judge=JUDGES[0])
    store(engine, "ux", "metrics", {"coverage": metric(0.4)})
    query = text("select * from rag_bench.model_runs where settings_hash = 'settings-1'")
    with engine.connect() as connection:
        view = [dict(row) for row in connection.execute(query).mappings()]
    assert len(view) > 8

    def by_models(row: dict[str, Any]) -> list[str]:
        return [
            str(row[f"{role}_model"])
            for role in ("generation", "benchmark_judge", "production_judge")
        ]

    assert sorted(model_runs(engine, "settings-1"), key=by_models) == sorted(view, key=by_models)
