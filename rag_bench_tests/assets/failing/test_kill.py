"""kill -9 of a sweep: it goes on where it stopped, and pays again only for what was in flight."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import killed_sweep
import psycopg
import pytest
from local_provider import LocalProvider, serving
from small_world import World, copy_of, drop_database, failure

from rag_bench.dagster_home import instance_yaml
from rag_bench.partitions import ModelLists
from rag_bench.simulator.answer_key import AnswerKey, answer_key_from_database
from rag_bench.store import snapshots
from rag_bench.store.embedded import EmbeddedServer

pytestmark = pytest.mark.long

MODELS = ModelLists(killed_sweep.GENERATORS, killed_sweep.JUDGES, killed_sweep.GATES)


@pytest.fixture
def dagster_environment(server: EmbeddedServer, tmp_path: Path) -> Iterator[dict[str, str]]:
    """An instance of the project's own kind, with its storage in a database of the test's."""
    name = f"test_dagster_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'create database "{name}"')
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(instance_yaml(), encoding="utf-8")
    yield {"DAGSTER_HOME": str(home), "RAG_BENCH_DAGSTER_DATABASE_URL": server.url(name)}
    drop_database(server, name)


@pytest.mark.timeout(900)
def test_a_killed_sweep_goes_on(
    server: EmbeddedServer,
    free_world: World,
    dagster_environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[AnswerKey] = [answer_key_from_database(free_world.engine)]
    with (
        LocalProvider(lambda: found[0]).serving() as calm,
        copy_of(server, free_world) as undisturbed,
    ):
        with monkeypatch.context() as patch:
            for name, content in killed_sweep.provider_environment(calm).items():
                patch.setenv(name, content)
            for result in undisturbed.run_all(MODELS):
                assert result.success, failure(result)
        expected = killed_sweep.numbers(undisturbed.engine)
    assert calm.repeated == 0

    environment = {
        **dagster_environment,
        "RAG_BENCH_DATABASE_URL": free_world.url,
        "RAG_BENCH_DATA_DIR": str(free_world.data),
        "RAG_BENCH_REPORTS_DIR": str(free_world.reports),
    }
    log = tmp_path / "sweep.log"
    free_world.engine.dispose()
    lost = 0
    with LocalProvider(lambda: found[0], latency_seconds=0.01).serving() as provider:
        # Once among the answers, once among the scores.
        for kill_at in (calm.count // 6, calm.count * 2 // 3):
            assert killed_sweep.sweep_until(provider, environment, kill_at, log)
            state = killed_sweep.after_the_kill(provider, free_world.engine)
            free_world.engine.dispose()
            assert state.kept + lost > 0
            # In the network, or received and on the way into the ledger.
            assert 0 < state.in_flight - lost <= 2 * killed_sweep.SLOTS
            lost = state.in_flight
        assert not killed_sweep.sweep_until(provider, environment, None, log)
    assert provider.repeated <= lost
    assert len(provider.by_body) == calm.count
    assert provider.most_in_flight <= killed_sweep.SLOTS
    assert len(expected) == 15
    assert killed_sweep.same(killed_sweep.numbers(free_world.engine), expected)
    words = log.read_text(encoding="utf-8")
    assert words.count("had lost its process") == 2


@pytest.mark.timeout(900)
def test_a_killed_sweep_with_a_live_assistant_goes_on(
    free_world: World, dagster_environment: dict[str, str], tmp_path: Path
) -> None:
    """Two offline models and a target in one sweep: killed at the target, resumed, run again."""
    models = killed_sweep.Models(
        ("simulator/sim-strong", "simulator/sim-weak", "target/desk"),
        ("simulator/sim-judge-sharp",),
        ("simulator/sim-gate-balanced",),
    )
    current = snapshots.require_current(free_world.engine)
    chunks = snapshots.chunks_of(free_world.engine, current.sha256)
    log = tmp_path / "sweep.log"
    with serving(chunks) as assistant:
        environment = {
            **dagster_environment,
            "RAG_BENCH_DATABASE_URL": free_world.url,
            "RAG_BENCH_DATA_DIR": str(free_world.data),
            "RAG_BENCH_REPORTS_DIR": str(free_world.reports),
            "TARGET_DESK_URL": assistant.url,
            "TARGET_DESK_IDS": "/sources/*/id",
            "TARGET_DESK_CONCURRENCY": "2",
        }
        free_world.engine.dispose()
        n = 14
        assert killed_sweep.sweep_until(assistant, environment, n // 2, log, models=models)
        state = killed_sweep.after_the_kill(assistant, free_world.engine, "target")
        free_world.engine.dispose()
        assert 0 < state.in_flight <= 2 * 2
        assert not killed_sweep.sweep_until(assistant, environment, None, log, models=models)
        # Only what was in flight is asked a second time.
        assert assistant.count == n + state.in_flight
        triples = free_world.rows(
            "select distinct generation_model from rag_bench.model_runs "
            "where benchmark_judge_model is not null"
        )
        assert {row["generation_model"] for row in triples} == set(models.generators)
        asked = free_world.rows("select count(*) as n from rag_bench.llm_call")
        free_world.engine.dispose()
        assert not killed_sweep.sweep_until(assistant, environment, None, log, models=models)
        assert assistant.count == n + state.in_flight
        assert free_world.rows("select count(*) as n from rag_bench.llm_call") == asked
    assert "0 calls of models" in log.read_text(encoding="utf-8").rpartition("total")[2]
