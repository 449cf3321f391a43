"""Questions of users in a small world, and the log of answers that is measured beside a model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from small_world import OFFLINE, World, failure, materializations
from sqlalchemy import insert
from world_data import url_of

from rag_bench.answer_sources import PRODUCTION_LOG
from rag_bench.partitions import ModelLists
from rag_bench.resources import BenchmarkResource
from rag_bench.store.snapshots import require_current
from rag_bench.store.tables import question_answer
from rag_bench.tiers.base.bench import Bench

SEPTEMBER = datetime(2025, 9, 1, tzinfo=UTC)


def ask(world: World, *rows: Mapping[str, Any]) -> None:
    """Add questions of users to the current snapshot, a day after one another."""
    sha256 = require_current(world.engine).sha256
    with world.engine.begin() as connection:
        last = world.count("question_answer")
        for number, row in enumerate(rows, last + 1):
            values = {
                "dump_sha256": sha256,
                "source_id": number,
                "user_id": 100 + number,
                "created_at": SEPTEMBER + timedelta(days=number),
                "score": 5,
                **row,
            }
            connection.execute(insert(question_answer).values(**values))


LOG = PRODUCTION_LOG.key
GENERATOR = "simulator/extractive"
JUDGES = ("simulator/sim-judge-sharp", "simulator/sim-judge-noisy")
MODELS = ModelLists([GENERATOR, LOG], JUDGES, OFFLINE.production_judges[:1])
RUBRICS = ("faithfulness", "answer_relevance", "reference_free_quality")
SETTINGS = {"dataset": "traffic", "consistency_runs": 2}

ROOM = {
    "question": "сколько стоит комната в общаге?",
    "answer": "Одна комната стоит 940 рублей в месяц.",
    "page_url": url_of("obshezhitie"),
    "score": 5,
}
BOOKS = {
    "question": "How many books may I borrow?",
    "answer": "You may borrow six books for 30 days.",
    "page_url": url_of("library"),
    "score": 1,
}
GONE = {
    "question": "where is the swimming pool",
    "answer": "It is behind the main building.",
    "page_url": url_of("a-page-that-is-gone"),
    "score": None,
}
REFUSED = {
    "question": "а когда починят лифт?",
    "answer": "К сожалению, ответ не найден.",
    "page_url": url_of("library"),
    "score": 1,
}
NOTHING = {"question": "где мои ключи", "answer": "", "page_url": None, "score": None}
ROWS = (ROOM, BOOKS, GONE, REFUSED, NOTHING)


@pytest.fixture
def asked(free_world: World) -> World:
    """A world whose users asked `ROWS`, and the dataset of that."""
    with free_world.engine.begin() as connection:
        connection.exec_driver_sql("delete from rag_bench.question_answer")
    ask(free_world, *ROWS)
    make(free_world)
    return free_world


def make(world: World, **config: Any) -> Mapping[str, Any]:
    result = world.run(["traffic_dataset"], ops={"traffic_dataset": config})
    assert result.success, failure(result)
    [event] = materializations(result, "traffic_dataset")
    return {name: entry.value for name, entry in event.metadata.items()}


def materialize(world: World, *assets: str, models: ModelLists = MODELS, **settings: Any) -> None:
    for asset in assets:
        result = world.run([asset], models, benchmark={**SETTINGS, **settings})
        assert result.success, failure(result)


def bench_of(world: World, **settings: Any) -> Bench:
    return BenchmarkResource(**{**SETTINGS, **settings}).open(world.engine, None)
