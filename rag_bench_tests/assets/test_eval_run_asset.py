"""Runs of the service in Dagster: each is started once, fairly, and recorded however it was run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from backfills import Daemon, opened_daemon
from dagster._core.execution.backfill import BulkActionStatus
from dagster_runs import Sensing
from queued_runs import AGGREGATES, events_of, expire, finish, queued, row_of, succeed
from run_processes import asked
from sqlalchemy import Engine, text

from rag_bench.assets.service.record import KEY, NO_RUN
from rag_bench.errors import RagBenchError
from rag_bench.eval_runs import runner
from rag_bench.eval_runs.executing import execute
from rag_bench.eval_runs.reply import reply
from rag_bench.eval_runs.runner import Runner
from rag_bench.settings import Settings
from rag_bench.store.eval_runs import queueing

Execute = Callable[..., None]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with opened_daemon(tmp_path_factory.mktemp("eval_runs") / "dagster") as opened:
        yield opened


@pytest.fixture
def sensing(
    daemon: Daemon, engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Sensing:
    """The daemon over an empty database; what executes a run is the test's."""
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", database_url)
    monkeypatch.setattr(runner, "_executor", lambda: executed)
    executed.by = succeed
    daemon.instance.wipe()
    assert daemon.instance.schedule_storage
    daemon.instance.schedule_storage.wipe()
    for key in daemon.instance.get_dynamic_partitions("eval_runs"):
        daemon.instance.delete_dynamic_partition("eval_runs", key)
    return Sensing(daemon)


class _Executed:
    """Stands for `eval_runs.executing.execute`."""

    by: Execute = succeed

    def __call__(self, *arguments: Any, **named: Any) -> None:
        type(self).by(*arguments[:1], arguments[2], **named)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(type(self), name, staticmethod(value))


executed = _Executed()


def in_service(engine: Engine, *run_ids: str) -> None:
    """Let a service execute what waits for one."""
    made = Runner(engine, Settings(eval_runs_in_service=1))
    for _ in run_ids:
        claimed = queueing.claim(engine, made.holder, at_once=9)
        assert claimed
        made.work(claimed.run_id, claimed.trace_id, claimed.user_id)


def long(engine: Engine, subject: str = "key a", **values: Any) -> str:
    return queued(engine, subject, place="dagster", mode="async", **values)


def test_a_long_run_is_one_run_of_dagsters_and_is_started_once(
    sensing: Sensing, engine: Engine
) -> None:
    run_id = long(engine)
    before = None
    for _ in range(3):
        sensing.tick(launch=False)
        # Killed after the run was made and before anything was noted of it.
        before = before or sensing.state()
        sensing.forget(before)
    [run] = sensing.runs()
    assert run.tags["rag_bench/eval_run"] == run_id
    assert run.tags["rag_bench/trace_id"] == f"trace-{run_id}"
    assert run.tags["dagster/partition"] == run_id
    sensing.daemon.launch_queued()
    row = row_of(engine, run_id)
    assert (row.status, row.dagster_run_id) == ("succeeded", run.run_id)
    sensing.tick()
    assert sensing.tick() == "Nothing to start; of runs that ended 0 new."
    assert [len(events) for events in sensing.materialized().values()] == [1]
    assert [run.status for run in sensing.runs()] == [dg.DagsterRunStatus.SUCCESS]


def test_what_the_service_executes_is_recorded_with_the_same_words(
    sensing: Sensing, engine: Engine
) -> None:
    asked = {"user_id": "ann", "config": {"generation_model": "x/m"}, "labels": {"release": "7"}}
    short, large = queued(engine, mode="async", **asked), long(engine, **asked)
    in_service(engine, short)
    sensing.tick()
    sensing.tick()
    [one], [other] = (sensing.materialized()[run_id] for run_id in (short, large))
    assert sensing.partitions() == {short, large}
    own = {"trace_id", "place", "result", "report"}
    assert {name: value for name, value in one.metadata.items() if name not in own} == {
        name: value for name, value in other.metadata.items() if name not in own
    }
    assert one.metadata["faithfulness"].value == AGGREGATES["faithfulness"]["value"]
    assert one.metadata["place"].value == "service"
    assert one.tags
    assert other.tags
    assert one.tags.keys() == other.tags.keys() >= {"dagster/data_version"}
    assert len(sensing.runs()) == 1, "the short one needed none"


def test_the_same_request_has_the_same_results_both_ways(
    sensing: Sensing, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_BENCH_EVAL_RESULTS", str(tmp_path))
    monkeypatch.setattr(runner, "_executor", lambda: execute)
    judge = "simulator/sim-judge-sharp"
    short, large = (asked(engine, 3, place, judge=judge) for place in ("service", "dagster"))
    in_service(engine, short)
    for _ in range(2):
        sensing.tick()
    here, there = (reply(engine, run_id) for run_id in (short, large))
    for part in ("cases", "aggregates", "counts", "errors", "status", "config"):
        assert here[part] == there[part], part
    query = "select evaluation_id from rag_bench.eval_run_evaluation where run_id = :id order by 1"
    with engine.connect() as connection:
        linked = [
            connection.execute(text(query), {"id": run_id}).scalars().all()
            for run_id in (short, large)
        ]
    assert linked[0] == linked[1] != []
    one, other = (sensing.materialized()[run_id][0].metadata for run_id in (short, large))
    assert one["rubric_e2e_quality"].value == other["rubric_e2e_quality"].value
    assert one.keys() == other.keys()
    # What was asked before is found.
    own = {"n_calls", "place", "result", "report"}
    assert {name for name in one if one[name] != other[name]} == own


def test_only_so_many_are_with_dagster_and_a_key_with_many_holds_up_nobody(
    sensing: Sensing, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_BENCH_EVAL_RUNS_IN_DAGSTER", "3")
    monkeypatch.setenv("RAG_BENCH_EVAL_RUNS_AT_ONCE", "2")
    many = [long(engine, "many") for _ in range(1000)]
    sensing.tick(launch=False)
    few = long(engine, "few")
    for _ in range(3):
        sensing.tick(launch=False)
    asked = [run.tags["rag_bench/eval_run"] for run in sensing.runs()]
    assert asked == [many[0], many[1], few]
    sensing.daemon.launch_queued()
    sensing.tick(launch=False)
    assert [run.tags["rag_bench/eval_run"] for run in sensing.runs()][3:] == many[2:4]


def test_a_run_whose_process_was_lost_gets_another_attempt(
    sensing: Sensing, engine: Engine
) -> None:
    run_id = long(engine)
    sensing.tick(launch=False)
    [first] = sensing.runs()
    # Begun, then killed: nothing renews the claim, and Dagster has seen the process end.
    assert queueing.claim_run(engine, run_id, "gone", dagster_run_id=first.run_id)
    sensing.tick(launch=False)
    expire(engine, run_id)
    sensing.tick(launch=False)
    assert len(sensing.runs()) == 1, "Dagster says that it is at work"
    sensing.instance.report_run_failed(first)
    sensing.tick()
    assert row_of(engine, run_id).status == "succeeded"
    assert [run.tags["rag_bench/attempt"] for run in sensing.runs()] == ["1", "2"]
    assert events_of(engine, run_id) == ["queued", "started", "interrupted", "started", "finished"]


def test_an_attempt_that_dagster_lost_before_it_began_is_made_again(
    sensing: Sensing, engine: Engine
) -> None:
    run_id = long(engine)
    sensing.tick(launch=False)
    [first] = sensing.runs()
    sensing.tick(launch=False)
    sensing.instance.delete_run(first.run_id)
    with engine.begin() as connection:
        connection.execute(text("update rag_bench.eval_outbox set sent_at = now() - interval '1h'"))
    sensing.tick()
    assert row_of(engine, run_id).status == "succeeded"


def test_errors_a_person_can_mend_fail_the_run_and_others_are_tried_again(
    sensing: Sensing, engine: Engine
) -> None:
    tries: list[str] = []

    def execute(engine: Engine, run_id: str, **arguments: Any) -> None:
        tries.append(run_id)
        if len(tries) == 1:
            raise ValueError("secret words")
        raise RagBenchError("The model x/m is not configured.")

    executed.by = execute
    run_id = long(engine)
    sensing.tick()
    assert row_of(engine, run_id).status == "queued"
    sensing.tick()  # notes that Dagster has it
    with engine.begin() as connection:
        connection.execute(text("update rag_bench.eval_outbox set sent_at = now() - interval '1h'"))
        connection.execute(text("update rag_bench.eval_run set expires_at = null"))
    sensing.tick()
    assert row_of(engine, run_id).error_detail == "The model x/m is not configured."
    assert [run.status for run in sensing.runs()] == [dg.DagsterRunStatus.FAILURE] * 2
    sensing.tick()
    assert not sensing.materialized()
    assert "not configured" in str(sensing.observed()[run_id].metadata["cause"].value)


def test_cancelled_before_it_began_wherever(sensing: Sensing, engine: Engine) -> None:
    here, there = long(engine), long(engine)
    sensing.tick(launch=False)
    sensing.tick(launch=False)
    with engine.begin() as connection:
        assert queueing.request_cancel(connection, here, "anna") == "cancelled"
    [of_here, of_there] = sensing.runs()
    assert of_there.tags["rag_bench/eval_run"] == there
    sensing.instance.report_run_canceled(of_there)
    with engine.begin() as connection:
        connection.execute(text("update rag_bench.eval_outbox set sent_at = now() - interval '1h'"))
    sensing.tick()
    assert [row_of(engine, run_id).status for run_id in (here, there)] == ["cancelled"] * 2
    run = sensing.instance.get_run_by_id(of_here.run_id)
    assert run
    assert run.is_success, "there was nothing left to do"
    assert events_of(engine, here) == ["queued", "cancelled"]


def test_materializing_a_partition_by_hand_completes_its_run(
    sensing: Sensing, engine: Engine
) -> None:
    executed.by = lambda engine, run_id, *, holder, **_: finish(
        engine, run_id, holder, "partial", AGGREGATES
    )
    short, large = queued(engine), long(engine)
    in_service(engine, short)
    for _ in range(3):
        sensing.tick()
    executed.by = succeed
    for run_id in (short, large):
        ended = sensing.daemon.materialize(["eval_run"], [run_id])
        assert ended.status is BulkActionStatus.COMPLETED_SUCCESS, sensing.daemon.words(ended)
        assert row_of(engine, run_id).status == "succeeded"
    sensing.tick()
    statuses = {
        run_id: [event.metadata["status"].value for event in events]
        for run_id, events in sensing.materialized().items()
    }
    assert statuses == {short: ["succeeded", "partial"], large: ["succeeded", "partial"]}


def test_all_partitions_at_once_are_recorded_and_only_what_waits_is_executed(
    sensing: Sensing, engine: Engine
) -> None:
    ended_ones = [queued(engine) for _ in range(2)]
    in_service(engine, *ended_ones)
    sensing.tick()
    waiting = long(engine)
    sensing.instance.add_dynamic_partitions("eval_runs", [waiting])
    asked: list[str] = []

    def execute(engine: Engine, run_id: str, **arguments: Any) -> None:
        asked.append(run_id)
        succeed(engine, run_id, **arguments)

    executed.by = execute
    ended = sensing.daemon.materialize(["eval_run"])
    assert ended.status is BulkActionStatus.COMPLETED_SUCCESS, sensing.daemon.words(ended)
    assert asked == [waiting]
    assert {run_id: len(events) for run_id, events in sensing.materialized().items()} == {
        ended_ones[0]: 2,
        ended_ones[1]: 2,
        waiting: 1,
    }
    sensing.tick()
    assert len(sensing.runs()) == 1, "the sensor knows that Dagster had it"


def test_old_partitions_go_and_their_runs_stay(
    sensing: Sensing, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_BENCH_EVAL_PARTITIONS", "2")
    still_open = long(engine)
    sensing.tick(launch=False)
    ended_ones = [queued(engine) for _ in range(3)]
    in_service(engine, *ended_ones)
    sensing.tick(launch=False)
    assert sensing.partitions() == {still_open, *ended_ones[1:]}
    assert set(sensing.materialized()) == set(ended_ones[1:]), "nobody could look at the first"
    assert row_of(engine, ended_ones[0]).status == "succeeded"
    # With their partitions go the events that no run of Dagster's holds; of other assets none.
    sensing.instance.report_runless_asset_event(dg.AssetMaterialization("other", partition="0"))
    newer = [queued(engine) for _ in range(2)]
    in_service(engine, *newer)
    sensing.tick(launch=False)
    sensing.tick(launch=False)
    assert sensing.partitions() == {still_open, *newer}
    assert set(sensing.materialized()) == set(newer)
    storage = sensing.instance.event_log_storage
    assert len(storage.get_event_tags_for_asset(KEY)) == len(newer)
    [other] = sensing.instance.fetch_materializations(dg.AssetKey("other"), limit=9).records
    assert other.partition_key == "0"


def test_one_odd_row_holds_up_no_other(sensing: Sensing, engine: Engine) -> None:
    odd, other = queued(engine), queued(engine)
    in_service(engine, odd, other)
    with engine.begin() as connection:
        spoil = "update rag_bench.eval_run set aggregates = '{\"bleu\": 1}' where id = :id"
        connection.execute(text(spoil), {"id": odd})
    sensing.tick()
    sensing.tick()
    assert set(sensing.materialized()) == {other}


def test_a_partition_without_a_run_says_so(sensing: Sensing, engine: Engine) -> None:
    sensing.instance.add_dynamic_partitions("eval_runs", ["nobody"])
    ended = sensing.daemon.materialize(["eval_run"], ["nobody"])
    assert "There is no run nobody." in sensing.daemon.words(ended)


def test_nobody_asked_for_anything(sensing: Sensing, engine: Engine) -> None:
    assert sensing.tick() == "Nothing to start; of runs that ended 0 new."
    # Dagster materializes nothing that has no partition, so there is one, which ends well.
    assert sensing.partitions() == {NO_RUN}
    ended = sensing.daemon.materialize(["eval_run"])
    assert ended.status is BulkActionStatus.COMPLETED_SUCCESS
    [[noted]] = sensing.materialized().values()
    assert "POST /eval/run makes one" in str(noted.metadata["note"].value)
    run_id = queued(engine)
    in_service(engine, run_id)
    sensing.tick()
    assert sensing.partitions() == {run_id}
