"""A run of Dagster that names a trace by its tag: what it measures is of that trace."""

from __future__ import annotations

import json
import logging
import logging.config

import pytest
from small_world import OFFLINE, World, failure
from sqlalchemy import text

from rag_bench.api.logs import log_config
from rag_bench.automation import range_tags
from rag_bench.observing.trace import TRACE_TAG, current_trace, traced, tracing
from rag_bench.partitions import Partitions

TRACE, OTHER = "4bf92f3577b34da6a3ce929d0e0e4736", "0" * 31 + "1"


def test_evaluations_are_of_the_trace_that_the_runs_tag_names(free_world: World) -> None:
    tags = {**range_tags(Partitions.of(OFFLINE).generation), TRACE_TAG: TRACE}
    result = free_world.run(["tier2_answers"], tags=tags)
    assert result.success, failure(result)
    with free_world.engine.connect() as connection:
        rows = connection.execute(
            text("select trace_id, count(*) from rag_bench.evaluation where tier = '2' group by 1")
        ).all()
    assert rows == [(TRACE, len(OFFLINE.generation))]
    assert current_trace() is None


def test_a_tag_that_is_no_trace_and_a_trace_that_there_is_stay() -> None:
    for tag in (None, "", "0" * 32, TRACE.upper(), TRACE + "\n"):
        with traced(tag):
            assert current_trace() is None
    with tracing(OTHER), traced(TRACE):
        trace = current_trace()
        assert trace is not None
        assert trace.trace_id == OTHER


def test_what_is_logged_in_a_run_names_it(capfd: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger("rag_bench").handlers[:]
    logging.config.dictConfig(log_config("json"))
    try:
        with tracing(TRACE, run_id="r1", user_id="anna"):
            logging.getLogger("rag_bench.eval_runs").info("A part is done.")
            logging.getLogger("rag_bench.api").info("x", extra={"trace_id": OTHER})
        logging.getLogger("rag_bench.eval_runs").info("Outside.")
    finally:
        ours = logging.getLogger("rag_bench")
        ours.handlers, ours.propagate = before, True
        ours.setLevel(logging.NOTSET)
    inside, own, outside = map(json.loads, capfd.readouterr().err.splitlines())
    assert (inside["trace_id"], inside["run_id"], inside["user_id"]) == (TRACE, "r1", "anna")
    assert own["trace_id"] == OTHER
    assert "trace_id" not in outside
