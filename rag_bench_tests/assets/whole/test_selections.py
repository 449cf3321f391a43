"""Every selection that a person can make in the UI: it ends well and has measured what it names.

Backfills are planned by Dagster's daemon and run one after the other, here; `browser/test_all.py`
clicks one in a real browser.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from backfills import Daemon, opened_daemon
from dagster._core.execution.backfill import BulkActionStatus
from small_world import OFFLINE, World, failure, materializations, opened_world, value
from world_data import write_data

from rag_bench.automation import CANARY, range_tags
from rag_bench.definitions import defs
from rag_bench.partitions import Partitions, cell_key
from rag_bench.store.embedded import EmbeddedServer

pytestmark = pytest.mark.timeout(900)
PARTITIONS = Partitions.of(OFFLINE)
GRAPH = defs.resolve_asset_graph()
ALL = sorted(key.to_user_string() for key in GRAPH.materializable_asset_keys)
#: A group in which there is nothing to do yet cannot be selected alone in the UI.
GROUPS = sorted({str(GRAPH.get(dg.AssetKey(name)).group_name) for name in ALL} - {"service"})
WEAK, STRONG = "simulator/sim-weak", "simulator/sim-strong"
SHARP, NOISY = "simulator/sim-judge-sharp", "simulator/sim-judge-noisy"


def keys_of(asset: str) -> list[str | None]:
    """An asset's partitions; one without any has the key None."""
    split = GRAPH.get(dg.AssetKey(asset)).partitions_def
    if isinstance(split, dg.DynamicPartitionsDefinition):
        return []  # nobody has asked for a run of the service
    return [None] if split is None else [str(key) for key in split.get_partition_keys()]


@pytest.mark.parametrize("tier", ["2", "3"])
def test_what_depends_on_answers_runs_in_the_run_that_makes_them(
    free_world: World, tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cell is recorded once, by itself, and none of the dependents is skipped."""
    metric = tmp_path / "words.py"
    metric.write_text("def n_words(answer):\n    return len(answer.split())\n", encoding="utf-8")
    monkeypatch.setenv("RAG_BENCH_CUSTOM_METRICS", f"n_words={metric}:n_words")
    names = (f"tier{tier}_answers", f"tier{tier}_custom_metrics")
    result = free_world.run(names, tags=range_tags(PARTITIONS.generation))
    assert result.success, failure(result)
    assert not [event for event in result.all_events if event.event_type_value == "STEP_SKIPPED"]
    answers, measured = (materializations(result, name) for name in names)
    for events in (answers, measured):
        assert Counter(event.partition for event in events) == Counter(OFFLINE.generation)
    made = {event.partition: (event.tags or {})["dagster/data_version"] for event in answers}
    for event in measured:
        assert value(event.metadata, "n_words") > 0
        given = (event.tags or {})[f"dagster/input_data_version/tier{tier}_answers"]
        assert given == made[event.partition]


@pytest.fixture(scope="module")
def everything(
    server: EmbeddedServer,
    template_database: str,
    quick_encoder: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[World, Daemon]]:
    """Materialize all on an empty database: a data folder is all that there is."""
    folder = tmp_path_factory.mktemp("everything")
    data = write_data(folder / "data")
    with (
        opened_world(server, template_database, data, folder / "reports") as world,
        opened_daemon(folder / "dagster") as daemon,
    ):
        ended = daemon.materialize(ALL)
        assert ended.status is BulkActionStatus.COMPLETED_SUCCESS, daemon.words(ended)
        yield world, daemon


def test_all_of_an_empty_instance(everything: tuple[World, Daemon]) -> None:
    """Every partition is recorded once, and the leaderboard has every combination."""
    world, daemon = everything
    for asset in ALL:
        assert Counter(event.partition for event in daemon.recorded(asset)) == Counter(
            keys_of(asset)
        )
    [board] = daemon.recorded("leaderboard")
    assert value(board.metadata, "n_combinations") == 36
    assert world.count("evaluation", "status = 'failed'") == 0
    # What has nothing to measure says so, in place of being missing or failed.
    for event in daemon.recorded("tier2_custom_metrics"):
        assert "Nothing is configured" in value(event.metadata, "note")


def newest_ids(daemon: Daemon, assets: Iterable[str]) -> dict[tuple[str, str | None], int]:
    """The place in the log of each partition's newest materialization."""
    return {
        (asset, record.partition_key): record.storage_id
        for asset in assets
        for record in reversed(
            daemon.instance.fetch_materializations(dg.AssetKey(asset), limit=1000).records
        )
    }


def recorded_anew(
    before: dict[tuple[str, str | None], int], after: dict[tuple[str, str | None], int]
) -> set[tuple[str, str | None]]:
    """Which partitions have another newest materialization."""
    return {key for key, place in after.items() if before.get(key) != place}


GRID = [f"{judge}|{model}" for judge in OFFLINE.benchmark_judges for model in OFFLINE.generation]
SELECTIONS: dict[str, tuple[list[str], list[str] | None]] = {
    **{
        f"the group {group}": (
            [name for name in ALL if GRAPH.get(dg.AssetKey(name)).group_name == group],
            None,
        )
        for group in GROUPS
    },
    "one asset with all of its partitions": (["tier3_scores"], None),
    "a part of the grid that is no rectangle": (
        ["tier2_scores", "tier2_ragas_scores"],
        [str(cell_key(WEAK, SHARP)), str(cell_key(STRONG, NOISY)), str(cell_key(WEAK, NOISY))],
    ),
    "one model's answers and what is made of them": (
        ["tier2_answers", "tier2_custom_metrics"],
        [WEAK],
    ),
    "some retrievers": (["retrieval_lab"], ["default", "hybrid"]),
    "upstream and downstream of one asset": (
        ["tier1_retrieval", "tier3_answers", "tier3_scores", "model_runs", "leaderboard"],
        None,
    ),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_selection_of_a_full_instance(everything: tuple[World, Daemon], name: str) -> None:
    """It ends well, has recorded just what was selected, and asks nothing twice.

    But the canary, which is there to ask the same again; it asks nothing new.
    """
    world, daemon = everything
    assets, partitions = SELECTIONS[name]
    what = "*" if CANARY not in assets else "distinct (model, request)"
    asked = f"select count({what}) as n from rag_bench.llm_call"
    calls = world.rows(asked)
    before = newest_ids(daemon, ALL)
    ended = daemon.materialize(assets, partitions)
    assert ended.status is BulkActionStatus.COMPLETED_SUCCESS, daemon.words(ended)
    wanted = {(asset, key) for asset in assets for key in partitions or keys_of(asset)}
    assert recorded_anew(before, newest_ids(daemon, ALL)) == wanted
    assert world.rows(asked) == calls


def test_answers_and_scores_of_an_instance_that_has_only_data(
    free_world: World, tmp_path: Path
) -> None:
    """Upstream and downstream together, where neither was ever made: in order, and all of it."""
    assets = ["tier2_answers", "tier2_scores", "tier2_custom_metrics", "model_runs", "leaderboard"]
    with opened_daemon(tmp_path / "dagster") as daemon:
        ended = daemon.materialize(assets)
        assert ended.status is BulkActionStatus.COMPLETED_SUCCESS, daemon.words(ended)
        for asset in assets:
            assert {event.partition for event in daemon.recorded(asset)} == set(keys_of(asset))
    scored = free_world.rows("select * from rag_bench.evaluation where kind = 'scores'")
    assert len(scored) == len(GRID)


def test_without_any_dump_the_first_step_says_what_to_do(
    empty_world: World, tmp_path: Path
) -> None:
    for dump in (empty_world.data / "dumps").iterdir():
        dump.unlink()
    with opened_daemon(tmp_path / "dagster") as daemon:
        ended = daemon.materialize(["dump", "chunk", "tier2_answers"])
        assert ended.status is BulkActionStatus.COMPLETED_FAILED
        words = daemon.words(ended)
    assert "No dump to load" in words
    assert "rag-bench load-dump" in words


@pytest.mark.parametrize(
    ("asset", "cells"), [("tier2_ragas_scores", 12), ("tier3_context_scores", 3)]
)
def test_without_ragas_its_cells_say_so_and_nothing_fails(
    free_world: World, monkeypatch: pytest.MonkeyPatch, asset: str, cells: int
) -> None:
    from importlib.metadata import PackageNotFoundError

    from rag_bench.llm.ragas import prompts

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(prompts, "version", missing)
    result = free_world.run([asset])
    assert result.success, failure(result)
    events = materializations(result, asset)
    assert len(events) == cells
    assert all("ragas is not installed" in value(event.metadata, "note") for event in events)
