"""After a trial with a limit, and after a changed dump: what is shown and called fresh is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from small_world import (
    ANSWERS,
    FREE,
    LAB,
    OFFLINE,
    PRODUCTION,
    SCORES,
    World,
    failure,
    materializations,
    value,
)
from world_data import CHUNKS, plain_dump

from rag_bench.definitions import build_defs
from rag_bench.partitions import ModelLists, cell_key

STRONG, SHARP = "simulator/sim-strong", "simulator/sim-judge-sharp"
MODELS = ModelLists([STRONG], [SHARP], OFFLINE.production_judges[:1])
FULL = (FREE, ANSWERS, SCORES, PRODUCTION, LAB)
CELL = str(cell_key(STRONG, SHARP))
PARTITIONED = {"tier2_answers": STRONG, "tier3_answers": STRONG, "tier3_scores": CELL}
WHOLE = ("tier1_retrieval", "model_runs", "leaderboard", "benchmark_report")


def run_all(world: World, limit: int | None = None) -> dict[str, dg.ExecuteInProcessResult]:
    settings = {} if limit is None else {"limit": limit}
    results = {}
    for stage in FULL:
        result = world.run(stage, MODELS, benchmark=settings)
        assert result.success, failure(result)
        results |= dict.fromkeys(stage, result)
    return results


def newest(world: World, asset: str, partition: str | None = None) -> dg.AssetMaterialization:
    """What the UI shows of an asset, or of a partition of it."""
    wanted = dg.AssetRecordsFilter(
        dg.AssetKey(asset), asset_partitions=[partition] if partition else None
    )
    [record] = world.instance.fetch_materializations(wanted, limit=1).records
    assert record.asset_materialization is not None
    return record.asset_materialization


def version(event: dg.AssetMaterialization) -> str:
    return (event.tags or {})["dagster/data_version"]


def stale(world: World) -> dict[str, StaleStatus]:
    """What the UI calls out of date, by asset."""
    graph = build_defs(MODELS).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(
        world.instance, graph, LoadingContextForTest(world.instance)
    )
    found = {}
    for key in graph.materializable_asset_keys:
        split = graph.get(key).partitions_def
        if isinstance(split, dg.DynamicPartitionsDefinition):
            continue  # nobody has asked for a run of the service
        keys = [None] if split is None else [str(k) for k in split.get_partition_keys()]
        statuses = {resolver.get_status(key, partition) for partition in keys}
        found[key.to_user_string()] = (
            StaleStatus.STALE if StaleStatus.STALE in statuses else statuses.pop()
        )
    return found


@pytest.fixture
def measured_world(free_world: World) -> World:
    run_all(free_world)
    return free_world


def test_after_a_full_run_everything_is_fresh(measured_world: World) -> None:
    found = stale(measured_world)
    assert {name for name, status in found.items() if status is StaleStatus.STALE} == set()


def test_a_trial_is_marked_and_leaves_the_full_results_in_view(measured_world: World) -> None:
    world = measured_world
    places = [*PARTITIONED.items(), *((name, None) for name in WHOLE)]
    before = {name: newest(world, name, partition) for name, partition in places}
    results = run_all(world, limit=3)
    for name, partition in places:
        trial, again = materializations(results[name], name)[-2:]
        assert value(trial.metadata, "limit") == 3
        assert "3 of 14" in value(trial.metadata, "trial")
        shown = newest(world, name, partition)
        assert version(shown) == version(before[name]) == version(again) != version(trial)
        assert "limit 3" in value(shown.metadata, "trial_since")
        kept = {key: entry for key, entry in shown.metadata.items() if key != "trial_since"}
        assert kept == before[name].metadata
    found = stale(world)
    assert {name for name, status in found.items() if status is StaleStatus.STALE} == set()


def test_a_trial_is_made_from_the_trial(measured_world: World) -> None:
    """Whatever a trial names as its input is of the trial as well."""
    results = run_all(measured_world, limit=3)

    def trial_of(name: str) -> dg.AssetMaterialization:
        return materializations(results[name], name)[-2]

    def made_from(name: str, upstream: str) -> str:
        return (trial_of(name).tags or {})[f"dagster/input_data_version/{upstream}"]

    assert made_from("tier3_answers", "tier1_retrieval") == version(trial_of("tier1_retrieval"))
    assert made_from("tier3_scores", "tier3_answers") == version(trial_of("tier3_answers"))
    assert made_from("model_runs", "tier1_retrieval") == version(trial_of("tier1_retrieval"))


def test_a_first_trial_is_shown_and_replaced_by_the_full_run(free_world: World) -> None:
    run_all(free_world, limit=3)
    for name, partition in PARTITIONED.items():
        assert value(newest(free_world, name, partition).metadata, "limit") == 3
    assert value(newest(free_world, "leaderboard").metadata, "limit") == 3
    run_all(free_world)
    for name, partition in PARTITIONED.items():
        assert "limit" not in newest(free_world, name, partition).metadata
    assert "limit" not in newest(free_world, "leaderboard").metadata


def test_model_runs_names_exactly_what_it_joined(measured_world: World) -> None:
    """Not what was recorded last: cells of other settings are newer and have no part in it."""
    world = measured_world
    world.run(["tier1_retrieval"], MODELS, benchmark={"top_k": 5})
    for stage in (ANSWERS, SCORES):
        result = world.run(stage, MODELS, benchmark={"top_k": 5})
        assert result.success, failure(result)
    result = world.run(LAB, MODELS)
    assert result.success, failure(result)
    [event] = materializations(result, "model_runs")
    ids = value(event.metadata, "evaluation_ids")
    [settings] = {value(event.metadata, "settings_hash")}
    rows = world.rows("select id, settings_hash from rag_bench.evaluation")
    of_settings = {row["id"] for row in rows if row["settings_hash"] == settings}
    assert {one for found in ids.values() for one in found} == of_settings
    for name, key in (("tier2_scores", CELL), ("tier3_scores", CELL)):
        from hashlib import sha256

        made = [
            record.asset_materialization
            for record in world.instance.fetch_materializations(
                dg.AssetRecordsFilter(dg.AssetKey(name), asset_partitions=[key]), limit=10
            ).records
        ]
        first = made[-1]
        assert first is not None
        assert made[0] is not None
        assert version(made[0]) != version(first)
        wanted = sha256(version(first).encode()).hexdigest()
        assert (event.tags or {})[f"dagster/input_data_version/{name}"] == wanted


def changed_dump(folder: Path) -> dict[str, Any]:
    """A dump in which one chunk, of which no question asks, has other words."""
    (page, words), *others = reversed(CHUNKS)
    chunks = [*reversed(others), (page, words + " This is new.")]
    path = folder / "changed.dump"
    path.write_text(plain_dump(chunks=chunks), encoding="utf-8")
    return {"dump": {"path": str(path)}}


def test_after_a_changed_dump_nothing_unusable_is_called_fresh(
    measured_world: World, tmp_path: Path
) -> None:
    world = measured_world
    # The newest answers of all are a trial's: it is no reason why the others count no longer.
    trial = world.run(ANSWERS[:1], MODELS, benchmark={"limit": 2})
    assert trial.success, failure(trial)
    free = world.run(FREE, MODELS, ops=changed_dump(tmp_path))
    assert free.success, failure(free)
    found = stale(world)
    measured = {*ANSWERS, *SCORES, *PRODUCTION, *LAB}
    assert {name for name in measured if found[name] is not StaleStatus.STALE} == set()
    # What was made anew from the new dump is fresh.
    assert {name for name in FREE if found[name] is StaleStatus.STALE} == set()

    scored = world.run(["tier2_scores"], MODELS)
    assert not scored.success
    words = failure(scored)
    assert "the dump has changed since they were made" in words
    assert "Materialize tier2_answers again" in words
    assert not any(len(word) == 64 for word in words.split())

    report = world.run(LAB, MODELS)
    assert not report.success
    assert failure(report).startswith("The dump has changed since the models were measured")
    assert "Run the jobs answers, scores and production_judges" in failure(report)

    run_all(world)
    found = stale(world)
    assert {name for name, status in found.items() if status is StaleStatus.STALE} == set()


def test_a_model_without_answers_is_told_from_settings_without_any(measured_world: World) -> None:
    other = ModelLists(
        [*MODELS.generation, "simulator/sim-weak"], [SHARP], MODELS.production_judges
    )
    cell = str(cell_key("simulator/sim-weak", SHARP))
    scored = measured_world.run(["tier2_scores"], other, partition_key=cell)
    assert not scored.success
    assert "those of this model failed or were never asked for" in failure(scored)
