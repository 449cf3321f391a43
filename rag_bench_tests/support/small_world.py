"""A small made-up knowledge base, its questions and labelled pairs, and the whole graph over it.

The database, the encoder, the client and the offline models are the real ones. What takes long
(embeddings, one whole run of the graph) is done once in a session and copied as a database.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from sqlalchemy import Engine, text

from rag_bench.automation import range_tags
from rag_bench.definitions import build_defs
from rag_bench.hashing import chunk_hash
from rag_bench.llm.config import offline
from rag_bench.partitions import ModelLists, Partitions
from rag_bench.store.database import make_engine
from rag_bench.store.embedded import EmbeddedServer

SITE = "https://help.example.org"
# (page, text); two chunks a page, Russian and English.
CHUNKS = (
    (
        "stipendiya",
        "Когда платят стипендию\nСтипендию перечисляют 25-го числа каждого месяца на карту «Мир». "
        "Если 25-е выпало на выходной, деньги приходят днём раньше.",
    ),
    (
        "stipendiya",
        "Социальная стипендия\nСправку о доходах семьи приносят в кабинет А-212 до 10 октября. "
        "Выплату назначают со следующего месяца и на один год.",
    ),
    (
        "obshezhitie",
        "Гости в общежитии\nГостей пускают с 9 до 21 часа по паспорту. Ночевать гостям нельзя, "
        "кроме родителей по заявлению коменданту.",
    ),
    (
        "obshezhitie",
        "Оплата общежития\nКомната стоит 940 рублей в месяц. Платят до 5 числа через личный "
        "кабинет, за просрочку начисляют пени.",
    ),
    (
        "peresdacha",
        "Пересдачи\nПервая пересдача проходит с 10 по 20 февраля, вторую принимает комиссия из "
        "трёх преподавателей. Направление берут в деканате.",
    ),
    (
        "peresdacha",
        "Академический отпуск\nЗаявление на академический отпуск подают в деканат вместе с "
        "медицинским заключением. Отпуск дают не больше чем на два года.",
    ),
    (
        "library",
        "Library opening hours\nThe reading room is open from 10 am to 8 pm on weekdays and until "
        "5 pm on Saturday. It is closed on Sunday.",
    ),
    (
        "library",
        "Borrowing books\nStudents may borrow six books for 30 days with a student card. A lost "
        "book is replaced by the same edition.",
    ),
    (
        "transfer",
        "Перевод на бюджет\nЗаявление на перевод с платного места подают после сессии, если нет "
        "троек за последние два семестра. Решает комиссия 1 марта.",
    ),
    (
        "transfer",
        "Changing the faculty\nA transfer to another faculty needs an interview with the dean and "
        "an academic record. The difference in courses is passed within one semester.",
    ),
)
# (question, reference answer, number of the chunk)
GOLD = (
    ("Какого числа приходит стипендия?", "Стипендию перечисляют 25-го числа каждого месяца.", 0),
    (
        "что будет если 25 число выходной",
        "Если 25-е выпало на выходной, деньги приходят днём раньше.",
        0,
    ),
    (
        "Куда нести справку о доходах?",
        "Справку о доходах семьи приносят в кабинет А-212 до 10 октября.",
        1,
    ),
    ("До скольки можно гостям в общаге?", "Гостей пускают с 9 до 21 часа по паспорту.", 2),
    ("Можно ли маме переночевать у меня?", "Родителям можно по заявлению коменданту.", 2),
    ("Сколько стоит комната?", "Комната стоит 940 рублей в месяц.", 3),
    ("Когда первая пересдача?", "Первая пересдача проходит с 10 по 20 февраля.", 4),
    ("Кто принимает вторую пересдачу?", "Вторую принимает комиссия из трёх преподавателей.", 4),
    ("Как уйти в академ?", "Подать заявление в деканат вместе с медицинским заключением.", 5),
    (
        "When is the reading room open on Saturday?",
        "The reading room is open until 5 pm on Saturday.",
        6,
    ),
    ("How many books may I take home?", "Students may borrow six books for 30 days.", 7),
    (
        "Как перевестись на бюджет?",
        "Подать заявление после сессии, если нет троек за последние два семестра.",
        8,
    ),
    (
        "What do I need to change my faculty?",
        "An interview with the dean and an academic record.",
        9,
    ),
    ("Когда комиссия решает о переводе на бюджет?", "Решает комиссия 1 марта.", 8),
)
# (question, answer, number of the chunk, to be shown)
PAIRS = (
    ("Когда стипендия?", "25-го числа каждого месяца, на карту «Мир».", 0, True),
    ("Когда стипендия?", "5-го числа, наличными в кассе.", 0, False),
    ("До скольки гости?", "С 9 до 21 часа, нужен паспорт.", 2, True),
    ("До скольки гости?", "Гости могут остаться на ночь без документов.", 2, False),
    ("Сколько стоит комната?", "940 рублей в месяц.", 3, True),
    ("Сколько стоит комната?", "Бесплатно для всех.", 3, False),
    ("Is the library open on Sunday?", "No, it is closed on Sunday.", 6, True),
    ("Is the library open on Sunday?", "Yes, from 8 am to midnight.", 6, False),
)
TRAFFIC = (
    ("когда стипа", "25-го числа", "stipendiya", 5),
    ("где мой чемодан", None, None, None),
    ("во сколько закрывают общагу", "В 21 час уходят гости", "obshezhitie", 1),
)

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


def url_of(page: str) -> str:
    return f"{SITE}/{page}"


def hash_of(number: int) -> str:
    """The address of a chunk of the world."""
    page, words = CHUNKS[number]
    return chunk_hash(url_of(page), words)


def plain_dump(first_id: int = 1, chunks: Iterable[tuple[str, str]] = CHUNKS) -> str:
    """A plain SQL dump of the production schema; a reindex changes ``first_id`` and the order."""

    def cell(value: object) -> str:
        return "\\N" if value is None else str(value).replace("\\", "\\\\").replace("\n", "\\n")

    def block(head: str, rows: Iterable[Sequence[object]]) -> str:
        lines = ["\t".join(map(cell, row)) for row in rows]
        return "\n".join([f"COPY public.{head} FROM stdin;", *lines, "\\.", ""])

    when = "2025-09-01 10:00:00"
    rows = list(chunks)
    if first_id > 1:
        rows.reverse()
    return "\n".join(
        [
            "--\n-- PostgreSQL database dump\n--\n",
            "SET client_encoding = 'UTF8';",
            block(
                "chunk (id, confluence_url, text, embedding, created_at, updated_at)",
                [
                    (first_id + n, url_of(page), words, None, when, when)
                    for n, (page, words) in enumerate(rows)
                ],
            ),
            block(
                "question_answer (id, question, answer, confluence_url, score, user_id, "
                "created_at, stop_point)",
                [
                    (n + 1, question, answer, page and url_of(page), score, 7, when, "f")
                    for n, (question, answer, page, score) in enumerate(TRAFFIC)
                ],
            ),
            "--\n-- PostgreSQL database dump complete\n--\n",
        ]
    )


def write_data(folder: Path) -> Path:
    """Write the world as a data folder: a dump, gold questions, labelled pairs."""
    for name in ("dumps", "gold", "show_hide"):
        (folder / name).mkdir(parents=True)
    (folder / "dumps" / "world.dump").write_text(plain_dump(), encoding="utf-8")
    gold = [
        {
            "id": f"вопрос-{number:02}",
            "question": question,
            "reference_answer": reference,
            "relevant": [{"page": CHUNKS[n][0], "text_contains": CHUNKS[n][1].split("\n")[0]}],
        }
        for number, (question, reference, n) in enumerate(GOLD)
    ]
    pairs = [
        {
            "id": f"pair-{number}",
            "question": question,
            "answer": answer,
            "context": CHUNKS[n][1],
            "ground_truth_show": show,
        }
        for number, (question, answer, n, show) in enumerate(PAIRS)
    ]
    for path, items in (("gold/gold.jsonl", gold), ("show_hide/pairs.jsonl", pairs)):
        lines = [json.dumps(item, ensure_ascii=False) for item in items]
        (folder / path).write_text("\n".join(lines), encoding="utf-8")
    return folder


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
    """A copy of a template database with the environment that points at it."""
    name = f"test_world_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'create database "{name}" template "{template}"')
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
        if not keep:
            drop_database(server, name)


def copy_of(server: EmbeddedServer, world: World) -> AbstractContextManager[World]:
    """A copy of a world as it is, in place of it until the block ends."""
    world.engine.dispose()
    return opened_world(server, str(world.engine.url.database), world.data, world.reports)


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
