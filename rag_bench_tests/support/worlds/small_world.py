"""A small made-up knowledge base, its questions and labelled pairs, and the whole graph over it.

The database, the encoder, the client and the offline models are the real ones. What takes long
(embeddings, one whole run of the graph) is done once in a session and copied as a database.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from fresh_databases import copies_of
from sqlalchemy import Engine, text
from world_data import write_data

from rag_bench.automation import range_tags
from rag_bench.definitions import build_defs
from rag_bench.llm.config import offline
from rag_bench.partitions import ModelLists, Partitions
from rag_bench.store.database import make_engine
from rag_bench.store.embedded import EmbeddedServer

OFFLINE = ModelLists(offline.GENERATORS, offline.BENCHMARK_JUDGES, offline.PRODUCTION_JUDGES)
#: The stages of a sweep, as (assets, attribute of Partitions).
FREE = (
    *("dump", "chunk", "question_answer", "chunk_embeddings", "question_embeddings"),
    *("manual_dataset", "show_hide_dataset", "tier0_embedding_geometry", "tier1_retrieval"),
)
ANSWERS = ("tier2_answers", "tier3_answers")
SCORES = ("tier2_scores", "tier3_scores")
PRODUCTION = ("production_judge_scores",)
CUSTOM = ("tier2_custom_metrics", "tier3_custom_metrics")
RAGAS = ("tier2_ragas_scores", "tier3_ragas_scores")
LAB = ("model_runs", "leaderboard", "benchmark_report")


@dataclass
class World:
    """The graph over one database, with Dagster's instance in this process."""

    engine: Engine
    url: str
    data: Path
    reports: Path
    instance: dg.DagsterInstance

    def run(
        self,
        assets: Iterable[str],
        models: ModelLists = OFFLINE,
        *,
        benchmark: Mapping[str, Any] | None = None,
        ops: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        partition_key: str | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets in one run; over all their partitions unless tags or a key say so."""
        names = list(assets)
        partitions = Partitions.of(models)
        if tags is None and partition_key is None:
            for group, splits in (
                (ANSWERS, partitions.generation),
                (SCORES, partitions.grid),
                (PRODUCTION, partitions.production_judges),
                (CUSTOM, partitions.generation),
                (RAGAS, partitions.grid),
                (("tier3_context_scores",), partitions.benchmark_judges),
                (("benchmark_judge_quality",), partitions.benchmark_judges),
                (("retrieval_lab",), partitions.retrievers),
            ):
                if set(names) <= set(group):
                    tags = range_tags(splits)
        config: dict[str, Any] = {
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            "ops": {name: {"config": dict(given)} for name, given in (ops or {}).items()},
        }
        if benchmark:
            config["resources"] = {"benchmark": {"config": dict(benchmark)}}
        job = build_defs(models).resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(name) for name in names],
            run_config=config,
            tags=dict(tags or {}),
            partition_key=partition_key,
            raise_on_error=False,
        )

    def run_all(
        self, models: ModelLists = OFFLINE, benchmark: Mapping[str, Any] | None = None
    ) -> list[dg.ExecuteInProcessResult]:
        """Run the whole graph, stage by stage."""
        return [
            self.run(stage, models, benchmark=benchmark)
            for stage in (FREE, ANSWERS, SCORES, PRODUCTION, LAB)
        ]

    def check(
        self,
        asset: str,
        models: ModelLists = OFFLINE,
        *,
        benchmark: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Evaluate the checks of one asset without materializing it; return them by name."""
        job = dg.define_asset_job(
            "only_checks", selection=dg.AssetSelection.checks_for_assets(dg.AssetKey(asset))
        )
        defs = dg.Definitions.merge(build_defs(models), dg.Definitions(jobs=[job]))
        config = {
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            "resources": {"benchmark": {"config": dict(benchmark or {})}},
        }
        result = defs.resolve_job_def("only_checks").execute_in_process(
            instance=self.instance, run_config=config, raise_on_error=False
        )
        return checks_of(result)

    def count(self, table: str, where: str = "true") -> int:
        """Return the number of rows of a table of ours."""
        with self.engine.connect() as connection:
            query = text(f"select count(*) from rag_bench.{table} where {where}")
            return int(connection.execute(query).scalar_one())

    def rows(self, query: str, **values: Any) -> list[Mapping[str, Any]]:
        """Return a query's rows as mappings."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]


def failure(result: dg.ExecuteInProcessResult) -> str:
    """Return what the failed steps of a run said, causes included."""
    return failure_words(result.all_events)


def failure_words(events: Iterable[dg.DagsterEvent | None]) -> str:
    """Return what failed steps said, causes included."""
    words = []
    for event in events:
        if event is not None and event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data:
                words.append(data.user_failure_data.description or "")
            error = data.error
            while error is not None:
                words.append(error.message)
                error = error.cause
    return "\n".join(words)


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Return the evaluations of a run's checks by the check's name."""
    return {
        event.asset_check_evaluation_data.check_name: event.asset_check_evaluation_data
        for event in result.all_events
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    }


def materializations(
    result: dg.ExecuteInProcessResult, asset: str
) -> list[dg.AssetMaterialization]:
    """Return a run's materializations of one asset, in order."""
    key = dg.AssetKey(asset)
    return [
        event.step_materialization_data.materialization
        for event in result.all_events
        if event.is_step_materialization and event.asset_key == key
    ]


def value(metadata: Mapping[str, Any], name: str) -> Any:
    """Return the plain value of a metadata entry."""
    return metadata[name].value


@pytest.fixture(scope="session")
def quick_encoder() -> Iterator[None]:
    """Keep the real encoder between runs of a session: loading it takes seconds."""
    from rag_bench.retrieval import encoder
    from rag_bench.settings import Settings

    loaded: dict[tuple[Any, ...], encoder.Encoder] = {}
    load = encoder.load_encoder

    def load_once(settings: Settings) -> encoder.Encoder:
        key = (settings.home, settings.encoder, settings.encoder_max_tokens)
        if key not in loaded:
            loaded[key] = load(settings)
        return loaded[key]

    patch = pytest.MonkeyPatch()
    patch.setattr(encoder, "load_encoder", load_once)
    yield
    patch.undo()


@contextmanager
def opened_world(
    server: EmbeddedServer, template: str, data: Path, reports: Path, keep: bool = False
) -> Iterator[World]:
    """A copy of a template database, which stays as it is, with the environment that points at it.

    ``keep``: the copy stays when the block ends, as a template of others.
    """
    if keep:
        name = f"test_world_{uuid.uuid4().hex[:12]}"
        _copy_database(server, template, name)
        with _opened(server, name, data, reports) as world:
            yield world
    else:
        copies = copies_of(server, template)
        name = copies.take()
        try:
            with _opened(server, name, data, reports) as world:
                yield world
        finally:
            copies.give_back(name)


@contextmanager
def copy_of(server: EmbeddedServer, world: World) -> Iterator[World]:
    """A copy of a world as it is, in place of it until the block ends."""
    world.engine.dispose()
    name = f"test_world_{uuid.uuid4().hex[:12]}"
    _copy_database(server, str(world.engine.url.database), name)
    try:
        with _opened(server, name, world.data, world.reports) as copied:
            yield copied
    finally:
        drop_database(server, name)


@contextmanager
def _opened(server: EmbeddedServer, name: str, data: Path, reports: Path) -> Iterator[World]:
    patch = pytest.MonkeyPatch()
    patch.setenv("RAG_BENCH_DATABASE_URL", server.url(name))
    patch.setenv("RAG_BENCH_DATA_DIR", str(data))
    patch.setenv("RAG_BENCH_REPORTS_DIR", str(reports))
    engine = make_engine(server.url(name))
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            yield World(engine, server.url(name), data, reports, instance)
    finally:
        engine.dispose()
        patch.undo()


def _copy_database(server: EmbeddedServer, template: str, name: str) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'create database "{name}" template "{template}"')


def drop_database(server: EmbeddedServer, name: str) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'drop database if exists "{name}" with (force)')


@pytest.fixture(scope="session")
def world_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world as a data folder; tests that change it make their own."""
    return write_data(tmp_path_factory.mktemp("world") / "data")


@dataclass(frozen=True)
class Done:
    """A finished run over the world: its database, to be copied, and what Dagster said."""

    database: str
    results: Sequence[dg.ExecuteInProcessResult]
    reports: Path


def _made_once(
    server: EmbeddedServer,
    template: str,
    data: Path,
    reports: Path,
    run: Callable[[World], Sequence[dg.ExecuteInProcessResult]],
) -> Iterator[Done]:
    with opened_world(server, template, data, reports, keep=True) as world:
        name = str(world.engine.url.database)
        results = run(world)
        bad = [failure(result) for result in results if not result.success]
    if bad:
        drop_database(server, name)
        pytest.fail("\n".join(bad))
    yield Done(name, results, reports)
    drop_database(server, name)


@pytest.fixture(scope="session")
def free_part(
    server: EmbeddedServer,
    template_database: str,
    world_data: Path,
    quick_encoder: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Done]:
    """The free part of the graph, run once: snapshot, embeddings, datasets, tiers 0 and 1."""
    reports = tmp_path_factory.mktemp("reports")
    yield from _made_once(
        server, template_database, world_data, reports, lambda world: [world.run(FREE)]
    )


@pytest.fixture(scope="session")
def whole_graph(
    server: EmbeddedServer,
    free_part: Done,
    world_data: Path,
    quick_encoder: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Done]:
    """The whole graph with all offline models, run once on top of the free part."""
    reports = tmp_path_factory.mktemp("reports")
    stages = (ANSWERS, SCORES, PRODUCTION, LAB)
    yield from _made_once(
        server,
        free_part.database,
        world_data,
        reports,
        lambda world: [world.run(stage) for stage in stages],
    )


@pytest.fixture
def free_world(
    server: EmbeddedServer, free_part: Done, world_data: Path, quick_encoder: None, tmp_path: Path
) -> Iterator[World]:
    """A database of the test's own, in which the free part is done."""
    with opened_world(server, free_part.database, world_data, tmp_path / "reports") as world:
        yield world


@pytest.fixture
def done_world(
    server: EmbeddedServer, whole_graph: Done, world_data: Path, quick_encoder: None, tmp_path: Path
) -> Iterator[World]:
    """A database of the test's own, in which the whole graph has been run."""
    with opened_world(server, whole_graph.database, world_data, tmp_path / "reports") as world:
        yield world


@pytest.fixture
def empty_world(
    server: EmbeddedServer, template_database: str, quick_encoder: None, tmp_path: Path
) -> Iterator[World]:
    """A migrated, empty database and a data folder of the test's own with the world in it."""
    data = write_data(tmp_path / "data")
    with opened_world(server, template_database, data, tmp_path / "reports") as world:
        yield world
