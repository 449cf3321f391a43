"""Tier ux over the real database: real vectors, rows that lack something, no rows at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from evaluated import evaluated_whole
from small_world import OFFLINE, World, value
from sqlalchemy import insert
from world_data import GOLD, url_of

from rag_bench.assets.factories.tier_assets import step_asset
from rag_bench.evaluation.metrics.ux import UX_NAMES
from rag_bench.partitions import Partitions
from rag_bench.resources import BenchmarkResource, DatabaseResource
from rag_bench.store import evaluations
from rag_bench.store.snapshots import require_current
from rag_bench.store.tables import question_answer
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.registry import step_named
from rag_bench.tiers.traffic.ux import NO_TEXT, NO_TIME, NO_USER, dialog_tasks, hit_curve

N = len(GOLD)
STEP = step_named("tier_ux_dialogs")
START = datetime(2025, 10, 1, 9, 0, tzinfo=UTC)
SAME = "сколько стоит комната в общежитии"


def row(number: int, minutes: float | None, user: int | None, **values: Any) -> dict[str, Any]:
    return {
        "source_id": 100 + number,
        "question": "где деканат",
        "user_id": user,
        "created_at": None if minutes is None else START + timedelta(minutes=minutes),
        **values,
    }


ROWS = (
    row(0, 0, 1, question=SAME, answer="940 рублей", page_url=url_of("obshezhitie"), score=5),
    row(1, 5, 1, question="а платить до какого числа?", answer="до 5", page_url=url_of("x")),
    row(2, 100, 2, question=SAME, answer="стоит 940", page_url=url_of("obshezhitie")),
    row(3, 110, 2, question=f"{SAME} ", answer="Ответ не найден."),
    row(4, 120, None, question="кто мой куратор"),
    row(5, None, 3, question=SAME, answer="940 рублей", page_url=url_of("obshezhitie"), score=5),
    row(6, 130, 3, question=" \n"),
)


def fill(world: World, *rows: Mapping[str, Any]) -> None:
    """Give the current snapshot these questions of users and no others."""
    sha256 = require_current(world.engine).sha256
    with world.engine.begin() as connection:
        connection.execute(question_answer.delete())
        for values in rows:
            connection.execute(insert(question_answer).values(dump_sha256=sha256, **values))


def bench_of(world: World, **settings: Any) -> Bench:
    return BenchmarkResource(**settings).open(world.engine, None)


def dialogs(bench: Bench) -> evaluations.StoredEvaluation:
    return evaluated_whole(dialog_tasks, bench, STEP)


def test_real_dialogs(free_world: World) -> None:
    fill(free_world, *ROWS)
    found = dialogs(bench_of(free_world, cache_threshold=0.999))
    metrics = found.metrics
    assert set(metrics) == set(UX_NAMES)
    assert found.status == "succeeded"
    assert (found.tier, found.kind, found.generation_model) == ("ux", "metrics", None)

    # Rated 5: rows 0 and 5. The same words are in 0, 2, 5 and (but for a space) 3.
    cases = {case.case_id: case for case in evaluations.cases_of(free_world.engine, found.id)}
    assert cases["100"].scores["best_rated"] == 1.0  # row 5, not itself
    assert "best_earlier" not in cases["100"].scores
    assert cases["102"].scores["best_earlier"] == 1.0
    assert cases["106"].flags == [NO_TEXT]
    assert cases["104"].flags == [NO_USER]
    assert cases["105"].flags == [NO_TIME]
    hit = metrics["cache_hit_rate"]
    assert (hit["n_scored"], hit["n_expected"]) == (6, 7)
    assert 0.5 <= hit["value"] <= 0.666667
    assert (metrics["earlier_cache_hit_rate"]["n_scored"]) == 5
    assert metrics["n_cache_entries"]["value"] == metrics["n_servable_entries"]["value"] == 2

    # 0 1 | 2 3: two dialogs of two turns.
    assert metrics["n_dialogs"]["value"] == 2
    assert metrics["avg_turns"]["value"] == 2
    assert metrics["follow_up_rate"]["value"] == 0.5
    assert metrics["follow_up_rate"]["n_expected"] == 7
    kept = metrics["context_preservation"]
    assert kept["n_scored"] == 2
    assert kept["value"] == pytest.approx(
        (cases["101"].scores["previous"] + cases["103"].scores["previous"]) / 2, abs=1e-6
    )
    assert cases["103"].scores["previous"] > 0.95 > cases["101"].scores["previous"]

    # 2 repeats 0 from the same page; 3 repeats 2 and is not answered any more.
    assert cases["102"].scores["agrees"] is True
    assert cases["103"].scores["agrees"] is False
    assert metrics["multi_turn_consistency"]["value"] == 0.5
    assert metrics["multi_turn_consistency"]["n_expected"] == 2
    assert metrics["within_dialog_consistency"]["value"] == 0.0
    # Only 2 and 0 were both answered.
    assert metrics["repeated_answer_similarity"]["n_scored"] == 1
    assert 0.7 < metrics["repeated_answer_similarity"]["value"] < 1

    again = dialogs(bench_of(free_world, cache_threshold=0.999))
    assert again.reused
    assert again.id == found.id
    assert free_world.count("llm_call") == 0
    fill(free_world, *ROWS[:3])
    assert dialogs(bench_of(free_world, cache_threshold=0.999)).id != found.id


def test_the_dataset_against_the_cache(free_world: World) -> None:
    """At the lowest threshold every question hits; gold says if the page is right."""
    right = {"answer": "940 рублей", "score": 5, "page_url": url_of("obshezhitie")}
    fill(free_world, row(0, 0, 1, question=SAME, **right))
    metrics = dialogs(bench_of(free_world, cache_threshold=-1)).metrics
    assert metrics["dataset_cache_hit_rate"]["value"] == 1.0
    # Questions 3, 4 and 5 are about that page.
    assert metrics["dataset_cache_hit_precision"]["value"] == pytest.approx(3 / N, abs=1e-6)
    assert metrics["dataset_cache_hit_precision"]["n_expected"] == N

    # A row of a question's own text does not answer it, so this one question has no entry.
    fill(free_world, row(0, 0, 1, question=GOLD[5][0].lower(), **right))
    metrics = dialogs(bench_of(free_world, cache_threshold=-1)).metrics
    assert metrics["dataset_cache_hit_rate"]["value"] == pytest.approx((N - 1) / N, abs=1e-6)
    assert metrics["cache_hit_rate"]["n_scored"] == 0  # the only row is the only entry


def run_asset(world: World) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [step_asset(STEP, Partitions.of(OFFLINE))],
        instance=world.instance,
        resources={"database": DatabaseResource(), "benchmark": BenchmarkResource()},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )


def metadata_of(result: dg.ExecuteInProcessResult) -> Mapping[str, Any]:
    [event] = result.asset_materializations_for_node("tier_ux_dialogs")
    return event.metadata


def test_the_asset_shows_dialogs_and_no_words_of_users(free_world: World) -> None:
    fill(free_world, *ROWS)
    metadata = metadata_of(run_asset(free_world))
    assert value(metadata, "plot").startswith("![plot](data:image/png")
    (row,) = value(metadata, "dialogs").records
    assert row.data == {"questions in the dialog": 2, "dialogs": 2, "share": "1.000"}
    assert value(metadata, "left_out") == {NO_TEXT: 1, NO_USER: 1, NO_TIME: 1}
    assert "cache_hit_rate" in str(value(metadata, "metrics"))
    shown = str({name: entry.value for name, entry in metadata.items() if name != "plot"})
    assert SAME not in shown
    assert "куратор" not in shown


def test_a_snapshot_without_traffic_is_undefined_and_says_so(free_world: World) -> None:
    fill(free_world)
    metadata = metadata_of(run_asset(free_world))
    assert "no questions of users" in value(metadata, "note")
    [found] = evaluations.latest_of_kind(
        free_world.engine, tier="ux", kind="metrics", settings_hash=value(metadata, "settings_hash")
    )
    assert found.status == "succeeded"
    assert set(found.metrics) == set(UX_NAMES)
    assert all(metric["value"] is None for metric in found.metrics.values())
    assert found.metrics["cache_hit_rate"]["n_expected"] == 0
    assert found.metrics["dataset_cache_hit_rate"]["n_expected"] == N


def test_the_curve_falls_and_counts_misses(free_world: World) -> None:
    fill(free_world, *ROWS)
    found = dialogs(bench_of(free_world))
    cases = evaluations.cases_of(free_world.engine, found.id)
    for name, metric in (
        ("best_rated", "cache_hit_rate"),
        ("best_earlier", "earlier_cache_hit_rate"),
    ):
        shares = hit_curve(cases, name, [-1.0, 0.85, 0.9, 1.0])
        assert shares == sorted(shares, reverse=True)  # type: ignore[type-var]
        assert shares[1] == pytest.approx(found.metrics[metric]["value"])
    assert hit_curve([], "best_rated", [0.5]) == [None]
