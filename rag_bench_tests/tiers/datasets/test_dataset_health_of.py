"""The health of a dataset over a real store, as the asset, the command and the report say it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from small_world import World

from rag_bench.assets.results.health_description import checks_of
from rag_bench.reporting.dataset_health import sentences
from rag_bench.resources import BenchmarkResource
from rag_bench.store import evaluations
from rag_bench.store.evaluations import Case, NewEvaluation
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.datasets.health import health_of


@pytest.fixture(scope="module")
def bench(
    server: Any, free_part: Any, world_data: Any, quick_encoder: None, tmp_path_factory: Any
) -> Iterator[Bench]:
    from small_world import opened_world

    reports = tmp_path_factory.mktemp("reports")
    with opened_world(server, free_part.database, world_data, reports) as world:
        yield opened(world)


def opened(world: World) -> Bench:
    return BenchmarkResource().open(world.engine, None)


def save(bench: Bench, model: str, kind: Any, scores: dict[str, float]) -> None:
    """Store what a model got of the dataset, by one judge."""
    from datetime import UTC, datetime

    judge = "local/judge" if kind == "scores" else None
    new = NewEvaluation(
        tier="3",
        kind=kind,
        settings_hash=bench.run.hash,
        settings=bench.run.as_json(),
        input_hash=f"{model}-{kind}",
        started_at=datetime.now(UTC),
        generation_model=model,
        benchmark_judge_model=judge,
        dataset_id=bench.dataset.id,
    )
    cases = [Case(item, scores={"rubric_e2e_quality": score}) for item, score in scores.items()]
    evaluations.save_evaluation(bench.engine, new, cases, n_scored=len(cases))


def test_what_was_not_scored_tells_nothing_and_no_check_fails_for_it(bench: Bench) -> None:
    found = health_of(bench)
    assert found["discrimination"] is None
    assert found["stale"] == {"items": 0, "waiting": 0, "examples": []}
    chunks = found["coverage"]["chunks"]
    named = {h for item in bench.items for h in item.chunk_hashes}
    assert (chunks["covered"], chunks["all"]) == (len(named), len(bench.chunks))
    assert not chunks["gone"]
    passed = {one.check_name: one.passed for one in checks_of(found)}
    assert passed["no_answer_is_stale"]
    assert passed["questions_tell_models_apart"]
    assert any("chunks" in sentence for sentence in sentences(found))


def test_scores_say_which_questions_tell_models_apart(bench: Bench) -> None:
    ids = [item.item_id for item in bench.items]
    for model, wrong in (("local/a", 0), ("local/b", 1)):
        save(bench, model, "answers", dict.fromkeys(ids, 1.0))
        save(
            bench,
            model,
            "scores",
            {item: 1.0 if place < wrong or place == 2 else 5.0 for place, item in enumerate(ids)},
        )
    found = health_of(bench)
    told = found["discrimination"]
    assert told["telling"] == [ids[0]]
    assert told["all_wrong"] == [ids[2]]
    assert len(told["all_right"]) == len(ids) - 2
    assert (told["best_model"], told["n_models"]) == ("local/a", 2)
    assert told["by"] == "tier_3.rubric_e2e_quality"
    assert any("1 questions tell the models apart" in one for one in sentences(found))
