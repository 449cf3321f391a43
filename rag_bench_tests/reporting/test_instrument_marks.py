"""Results whose instrument did not stay the same are marked wherever they are shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from measured import GENERATORS, JUDGES, dataset, metric, store, store_sweep
from sqlalchemy import Engine

from rag_bench.evaluation.instrument.served import Served, ServedTally
from rag_bench.reporting.board import notes
from rag_bench.reporting.compared.inputs import of_the_evaluation
from rag_bench.reporting.details.board_json import board_json
from rag_bench.reporting.instruments import mark_of
from rag_bench.reporting.leaderboard import build
from rag_bench.store.evaluations.comparing import find_evaluation


def served(model_key: str, *names: str) -> dict[str, Any]:
    tally = ServedTally()
    for name in names:
        tally.note(model_key, Served(name), datetime(2026, 1, 5, tzinfo=UTC))
    return tally.as_inputs()


def rescore(engine: Engine, generator: str, *names: str) -> int:
    """Store a newer score of a generator by the first judge, served by these."""
    return store(
        engine,
        "3",
        "scores",
        {"rubric_e2e_quality": metric(4.0)},
        generation=generator,
        judge=JUDGES[0],
        dataset_id=dataset(engine).id,
        inputs=served(JUDGES[0], *names),
    ).id


def test_an_evaluation_that_mixes_two_is_marked_on_the_board(engine: Engine) -> None:
    store_sweep(engine)
    assert build(engine).instrument_marks == []
    one = rescore(engine, GENERATORS[0], "judge-1", "judge-2")
    board = build(engine)
    [mark] = board.instrument_marks
    assert JUDGES[0] in mark
    assert f"evaluation {one}" in mark
    assert "two instruments" in mark
    assert mark in notes(board)
    assert board_json(board)["instrument_marks"] == [mark]


def test_two_evaluations_by_two_instruments_are_marked_too(engine: Engine) -> None:
    store_sweep(engine)
    one = rescore(engine, GENERATORS[0], "judge-1")
    other = rescore(engine, GENERATORS[1], "judge-2")
    [mark] = build(engine).instrument_marks
    assert f"judge-1 in evaluation {one} and judge-2 in evaluation {other}" in mark


def test_what_was_served_by_one_has_no_mark(engine: Engine) -> None:
    store_sweep(engine)
    rescore(engine, GENERATORS[0], "judge-1")
    rescore(engine, GENERATORS[1], "judge-1")
    assert build(engine).instrument_marks == []
    assert mark_of(served("a/m", "x")) is None
    assert mark_of({}) is None
    assert "x, y" in (mark_of(served("a/m", "x", "y")) or "")


def test_a_comparison_names_who_answered_and_counts_no_calls(engine: Engine) -> None:
    store_sweep(engine)
    first = rescore(engine, GENERATORS[0], "judge-1")
    second = rescore(engine, GENERATORS[0], "judge-1", "judge-1")
    with engine.connect() as connection:
        a, b = (find_evaluation(connection, one) for one in (first, second))
    assert a is not None
    assert b is not None
    made = [of_the_evaluation(one)[f"served_model ({JUDGES[0]})"] for one in (a, b)]
    assert made == ["judge-1", "judge-1"]
