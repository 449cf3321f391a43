"""Sensor and schedules: what is new is loaded once, and nothing pays unless switched on."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from world_data import plain_dump

from rag_bench import automation
from rag_bench.automation import TIMEZONE, build, range_tags, read_cursor, stages
from rag_bench.definitions import build_defs
from rag_bench.partitions import ModelLists, Partitions
from rag_bench.source.load import load_dump
from rag_bench.tiers import registry

MODELS = ModelLists(["a/1", "a/2"], ["j/1"], ["p/1"])
PARTITIONS = Partitions.of(MODELS)
A, B = "-- содержание A\n", "-- содержание B, другое\n"


class Folder:
    """The dumps folder and the sensor that looks at it; time passes at each write."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.folder = folder
        self._instance = instance
        self._defs = build_defs(MODELS)
        self.sensor = self._defs.get_repository_def().get_sensor_def("dump_folder")
        self.cursor: str | None = None
        self._clock = 1_700_000_000

    def write(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.write_text(content, encoding="utf-8")
        return self.touch(path)

    def touch(self, path: Path) -> Path:
        self._clock += 60
        os.utime(path, (self._clock, self._clock))
        return path

    def look(self) -> dg.RunRequest | str:
        """One tick: the run asked for, or why there is none."""
        context = dg.build_sensor_context(
            instance=self._instance,
            cursor=self.cursor,
            repository_def=self._defs.get_repository_def(),
        )
        data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor
        if data.run_requests:
            [request] = data.run_requests
            return request
        return data.skip_message or ""


@pytest.fixture
def dumps(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Folder:
    folder = tmp_path / "dumps"
    monkeypatch.setenv("RAG_BENCH_DUMPS_DIR", str(folder))
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", database_url)
    folder.mkdir()
    with dg.DagsterInstance.ephemeral() as instance:
        return Folder(folder, instance)


def requested(answer: dg.RunRequest | str) -> dg.RunRequest:
    assert isinstance(answer, dg.RunRequest), answer
    return answer


def test_no_folder_and_no_file(dumps: Folder) -> None:
    assert "holds no dump" in str(dumps.look())
    dumps.folder.rmdir()
    assert "holds no dump" in str(dumps.look())


def test_a_new_file_is_loaded_at_the_second_look(dumps: Folder) -> None:
    path = dumps.write("дамп.dump", A)
    assert "loaded if it is the same" in str(dumps.look())
    request = requested(dumps.look())
    assert request.run_config == {"ops": {"dump": {"config": {"path": str(path)}}}}
    assert len(request.tags["rag_bench/dump_sha256"]) == 64
    assert "unchanged" in str(dumps.look())
    assert "unchanged" in str(dumps.look())


def test_a_file_that_grows_is_waited_for(dumps: Folder) -> None:
    for part in (A[:5], A[:10], A):
        dumps.write("db.dump", part)
        assert "loaded if it is the same" in str(dumps.look())
    requested(dumps.look())


def test_a_change_while_it_is_read_is_waited_for(
    dumps: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dumps.write("db.dump", A)
    dumps.look()
    read = automation.file_sha256

    def read_while_written(file: Path) -> str:
        digest = read(file)
        dumps.write("db.dump", A + B)
        return digest

    with monkeypatch.context() as patch:
        patch.setattr(automation, "file_sha256", read_while_written)
        assert "still being written" in str(dumps.look())
    assert "loaded if it is the same" in str(dumps.look())
    assert requested(dumps.look()).tags["rag_bench/dump_sha256"] == read(path)


def test_touched_with_the_same_content_is_no_change(dumps: Folder) -> None:
    path = dumps.write("db.dump", A)
    dumps.look()
    requested(dumps.look())
    dumps.touch(path)
    dumps.look()
    assert "touched" in str(dumps.look())
    assert "unchanged" in str(dumps.look())


def test_content_a_then_b_then_a_is_three_changes(dumps: Folder) -> None:
    keys = []
    for content in (A, B, A):
        dumps.write("db.dump", content)
        dumps.look()
        keys.append(requested(dumps.look()).run_key)
    assert len(set(keys)) == 3
    assert keys[0].split(":")[0] == keys[2].split(":")[0] != keys[1].split(":")[0]


def test_a_newer_file_beside_the_old_one(dumps: Folder) -> None:
    dumps.write("monday.dump", A)
    dumps.look()
    requested(dumps.look())
    newer = dumps.write("tuesday.dump", B)
    dumps.look()
    request = requested(dumps.look())
    assert request.run_config["ops"]["dump"]["config"]["path"] == str(newer)


@pytest.mark.parametrize("cursor", ["не JSON {", "[1, 2]", "17", '"x"', '{"seen": 5}', ""])
def test_a_damaged_cursor_counts_as_none(dumps: Folder, cursor: str) -> None:
    dumps.write("db.dump", A)
    dumps.cursor = cursor
    assert "loaded if it is the same" in str(dumps.look())
    requested(dumps.look())
    assert json.loads(dumps.cursor)["sha256"]


def test_read_cursor() -> None:
    assert read_cursor(None) == read_cursor("{") == read_cursor("[]") == {}
    assert read_cursor('{"sha256": "ё"}') == {"sha256": "ё"}


def test_what_was_loaded_before_the_first_look_is_not_loaded_again(
    dumps: Folder, engine: Engine
) -> None:
    path = dumps.write("db.dump", plain_dump())
    load_dump(engine, path)
    dumps.look()
    assert "was loaded before this sensor" in str(dumps.look())
    # From now on a return to that content is a change like any other.
    dumps.write("db.dump", B)
    dumps.look()
    requested(dumps.look())
    dumps.write("db.dump", plain_dump())
    dumps.look()
    requested(dumps.look())


def test_a_database_that_does_not_answer_fails_the_tick_and_keeps_the_cursor(
    dumps: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps.write("db.dump", A)
    dumps.look()
    before = dumps.cursor
    with monkeypatch.context() as patch:
        patch.setenv("RAG_BENCH_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
        with pytest.raises((OperationalError, dg.DagsterError)):
            dumps.look()
    assert dumps.cursor == before
    requested(dumps.look())


@pytest.mark.parametrize(
    "name", ["README.md", "readme", "db.dump.part", "db.tmp", ".db.dump", "db.dump~"]
)
def test_what_is_no_dump_is_left_alone(dumps: Folder, name: str) -> None:
    dumps.write(name, A)
    assert "holds no dump" in str(dumps.look())
    (dumps.folder / "sub").mkdir()
    assert "holds no dump" in str(dumps.look())


def test_the_requested_config_is_one_that_the_job_takes(dumps: Folder) -> None:
    dumps.write("db.dump", A)
    dumps.look()
    request = requested(dumps.look())
    job = build_defs(MODELS).resolve_job_def("refresh")
    assert dg.validate_run_config(job, request.run_config)


def built() -> automation.Automation:
    assets = build_defs(MODELS).assets or ()
    return build(PARTITIONS, [asset for asset in assets if isinstance(asset, dg.AssetsDefinition)])


def test_the_sensor_starts_the_free_job_only() -> None:
    sensors = {sensor.name: sensor for sensor in built().sensors}
    sensor, reporting, hooks = (
        sensors[name] for name in ("dump_folder", "report_what_was_measured", "hooks_received")
    )
    assert [job.name for job in reporting.jobs] == ["report"]
    assert sensor.job_name == "refresh"
    assert {job.name for job in hooks.jobs} == {stage.name for stage in stages(PARTITIONS)}
    [refresh] = [stage for stage in stages(PARTITIONS) if stage.name == "refresh"]
    assert not refresh.pays
    graph = build_defs(MODELS).resolve_asset_graph()
    assert not any("pays" in graph.get(dg.AssetKey(name)).tags for name in refresh.assets)


def test_schedules_are_weekly_stopped_and_in_their_order() -> None:
    schedules = {schedule.name: schedule for schedule in built().schedules}
    assert {name: s.cron_schedule for name, s in schedules.items()} == {
        "weekly_canary": "15 0 * * 1",
        "weekly_refresh": "0 1 * * 1",
        "weekly_plan": "30 1 * * 1",
        "weekly_retrievers": "40 1 * * 1",
        "weekly_compare_retrievers": "50 1 * * 1",
        "weekly_answers": "0 2 * * 1",
        "weekly_your_metrics": "30 3 * * 1",
        "weekly_scores": "0 4 * * 1",
        "weekly_ragas": "0 5 * * 1",
        "weekly_ragas_contexts": "15 5 * * 1",
        "weekly_benchmark_judges": "30 5 * * 1",
        "weekly_calibration": "45 5 * * 1",
        "weekly_production_judges": "0 6 * * 1",
        "weekly_report": "0 7 * * 1",
        "weekly_release": "15 7 * * 1",
        "weekly_analytics": "30 7 * * 1",
        "weekly_map": "45 7 * * 1",
        "weekly_self_test": "0 8 * * 1",
    }
    for schedule in schedules.values():
        assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
        assert schedule.execution_timezone == TIMEZONE == "Asia/Yekaterinburg"


@pytest.mark.parametrize("stage", stages(PARTITIONS), ids=lambda stage: stage.name)
def test_a_tick_asks_for_one_run_of_the_whole_stage(stage: automation.Scheduled) -> None:
    defs = build_defs(MODELS)
    repository = defs.get_repository_def()
    schedule = repository.get_schedule_def(f"weekly_{stage.name}")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime.datetime(2026, 3, 2, 1, tzinfo=ZoneInfo(TIMEZONE)),
            repository_def=repository,
        )
        data = schedule.evaluate_tick(context)
    [request] = data.run_requests or []
    wanted = range_tags(stage.partitions) if stage.partitions else {}
    assert wanted.items() <= request.tags.items()
    job = defs.resolve_job_def(stage.name)
    assert {key.to_user_string() for key in job.asset_layer.selected_asset_keys} == set(
        stage.assets
    )
    graph = defs.resolve_asset_graph()
    assert stage.pays == any("pays" in graph.get(dg.AssetKey(name)).tags for name in stage.assets)


@pytest.mark.parametrize("stage", stages(PARTITIONS), ids=lambda stage: stage.name)
def test_the_launchpad_opens_with_what_people_set(stage: automation.Scheduled) -> None:
    job = build_defs(MODELS).resolve_job_def(stage.name)
    if stage.partitions:
        [key, *_] = stage.partitions.get_partition_keys()
        config = job.partitioned_config.get_run_config_for_partition_key(key)
    else:
        config = job.run_config
    assert dg.validate_run_config(job, config)
    shown = config.get("resources", {})
    assert ("benchmark" in shown) == (stage.name not in ("analytics", "map", "self_test"))
    # With some settings a step that is free by default asks a service: the caps hold for it, too.
    may_ask = any(step.may_ask for step in registry.steps() if step.asset in stage.assets)
    assert ("models" in shown) == (stage.pays or may_ask)
    if "benchmark" in shown:
        assert shown["benchmark"]["config"]["limit"] is None
    if "models" in shown:
        assert shown["models"]["config"] == {"max_calls": None, "max_cost_usd": None}
