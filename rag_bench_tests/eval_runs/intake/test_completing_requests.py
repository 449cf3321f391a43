"""Going on with a run, with metrics added: what that makes of its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from known_chunks import known_engine
from sqlalchemy import Engine, select

from rag_bench.eval_runs.config import RunConfig
from rag_bench.eval_runs.intake.completing import completed
from rag_bench.eval_runs.intake.preparing import prepare
from rag_bench.eval_runs.invalid import InvalidInput
from rag_bench.settings import Settings
from rag_bench.store.embedded import EmbeddedServer
from rag_bench.store.eval_runs.creating import create
from rag_bench.store.eval_runs.tables import eval_run


@pytest.fixture(scope="module")
def engine(server: EmbeddedServer, template_database: str) -> Iterator[Engine]:
    with known_engine(server, template_database) as made:
        yield made


def stored(engine: Engine, **request: Any) -> Any:
    prepared = prepare(engine, Settings(), request)
    run = prepared.run(user_id="ann", subject="ann", trace_id="t", mode="sync", place="service")
    with engine.begin() as connection:
        run_id = create(connection, run, prepared.cases)
        found = connection.execute(select(eval_run).where(eval_run.c.id == run_id))
        return found.mappings().one()


def test_metrics_alone_ask_no_judge(engine: Engine) -> None:
    case = {"question": "?", "answer": "!", "citations": [2, "x"]}
    row = stored(engine, cases=[case], eval_type=[], metrics=["BLEU"])
    config = RunConfig.of_json(row["config"])
    assert (config.eval_types, config.metrics, config.judge_model) == ((), ("bleu",), None)


def test_metrics_are_added_and_a_judge_where_they_need_one(engine: Engine) -> None:
    case = {"question": "?", "answer": "!", "contexts": []}
    row = stored(engine, cases=[case], eval_type="retrieval", metrics=["BLEU"])
    assert completed(engine, Settings(), row, []) == (row["config"], False)
    config, paid = completed(engine, Settings(), row, ["BLEU", "rubric_faithfulness"])
    assert config["metrics"] == ["bleu", "rubric_faithfulness"]
    assert config["judge_model"] == "simulator/sim-judge-sharp"
    assert not paid
    with pytest.raises(InvalidInput) as error:
        completed(engine, Settings(), row, ["BLEU", "BLUE"])
    assert [one.pointer for one in error.value.errors] == ["#/metrics/1"]


def test_a_run_without_answers_gets_no_metrics_of_answers(engine: Engine) -> None:
    row = stored(engine, cases=[{"question": "?"}], eval_type="retrieval")
    assert completed(engine, Settings(), row, ["chunk_mrr"])[0]["metrics"] == ["chunk_mrr"]
    with pytest.raises(InvalidInput, match="no answers"):
        completed(engine, Settings(), row, ["BLEU"])
